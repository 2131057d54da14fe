"""A request body taken apart: every form it may have, and what nothing can be taken from."""

import gzip
import json

import pytest

from ingest.domain.split import Body, Unreadable, split, unpack

JSON, NDJSON = "application/json", "application/x-ndjson"
LIMIT = 5
BYTES_LIMIT = 100_000


def events_of(body: bytes, content_type: str = JSON) -> tuple[bool, list[bytes]]:
    found = split(body, content_type, LIMIT)
    assert isinstance(found, Body), found
    return found.single, [bytes(event).strip() for event in found.events]


def fault_of(found: Body | bytes | Unreadable) -> tuple[str, str]:
    assert isinstance(found, Unreadable), found
    return found.kind, found.reason


def test_one_event_is_answered_as_itself() -> None:
    assert events_of(b'{"id": "1"}') == (True, [b'{"id": "1"}'])
    assert events_of(b' \r\n\t{"id":\n"1"}\n') == (True, [b'{"id":\n"1"}'])


def test_an_array_is_a_batch_whatever_it_holds() -> None:
    assert events_of(b'[{"id": "1"}, {"id": "2"}]') == (False, [b'{"id": "1"}', b'{"id": "2"}'])
    assert events_of(b'[{"id": "1"}]') == (False, [b'{"id": "1"}'])
    assert events_of(b" " * 200 + b'[{"id": "1"}]') == (False, [b'{"id": "1"}'])
    assert events_of(b'[1, null, "a", [{}], []]') == (False, [b"1", b"null", b'"a"', b"[{}]", b"[]"])


def test_each_line_is_an_event() -> None:
    two = (False, [b'{"id": "1"}', b'{"id": "2"}'])
    assert events_of(b'{"id": "1"}\n{"id": "2"}', NDJSON) == two
    assert events_of(b'{"id": "1"}\r\n{"id": "2"}\r\n', NDJSON) == two
    assert events_of(b'\n\n{"id": "1"}\n  \r\n\n{"id": "2"}\n\n', NDJSON) == two
    assert events_of(b'{"id": "1"}\n', NDJSON) == (False, [b'{"id": "1"}'])


def test_a_bad_line_is_one_bad_event() -> None:
    assert events_of(b'{"id": "1"}\n{"id":\n{"id": "3"}', NDJSON) == (
        False,
        [b'{"id": "1"}', b'{"id":', b'{"id": "3"}'],
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "Application/JSON; charset=utf-8",
        "text/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json; charset=UTF-8",
        "application/x-www-form-urlencoded",
    ],
)
def test_content_types_that_mean_json(content_type: str) -> None:
    assert events_of(b'[{"id": "1"}]', content_type) == (False, [b'{"id": "1"}'])


@pytest.mark.parametrize(
    "content_type", [NDJSON, "application/ndjson", "application/jsonl", "application/x-ndjson;charset=x"]
)
def test_content_types_that_mean_lines(content_type: str) -> None:
    assert events_of(b"{}\n{}", content_type) == (False, [b"{}", b"{}"])


@pytest.mark.parametrize(
    "content_type", ["text/csv", "multipart/form-data; boundary=x", "application/xml", "json", "*/*"]
)
def test_other_content_types_are_not_guessed_at(content_type: str) -> None:
    reason = f"content-type {content_type.partition(';')[0]!r}: expected application/json or application/x-ndjson"
    assert fault_of(split(b"{}", content_type, LIMIT)) == ("unsupported", reason)


@pytest.mark.parametrize("content_type", [JSON, NDJSON])
def test_a_byte_order_mark_is_no_content(content_type: str) -> None:
    assert events_of(b"\xef\xbb\xbf{}", content_type)[1] == [b"{}"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", JSON),
        (b" \r\n", JSON),
        (b"\xef\xbb\xbf", JSON),
        (b"[]", JSON),
        (b"[ ]", JSON),
        (b"", NDJSON),
        (b"\n\r\n \n", NDJSON),
    ],
)
def test_no_events_are_a_mistake(body: bytes, content_type: str) -> None:
    reason = "no events: expected one, a JSON array of them, or one on each line (NDJSON)"
    assert fault_of(split(body, content_type, LIMIT)) == ("malformed", reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'[{"id": "1"}, {"id":', "Input data was truncated"),
        (b'[{"id": "1"}', "Input data was truncated"),
        (b'[{"id": "1"},]', "JSON is malformed: trailing comma in array (byte 13)"),
        (b'[{"id": "1"} {"id": "2"}]', "JSON is malformed: expected ',' or ']' (byte 13)"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_of_a_broken_array_nothing_is_taken(body: bytes, reason: str) -> None:
    assert fault_of(split(body, JSON, LIMIT)) == ("malformed", reason)


def test_so_many_events_and_no_more() -> None:
    too_many = ("too_large", "more than 5 events in a request")
    assert len(events_of(json.dumps([{}] * 5).encode())[1]) == 5
    assert fault_of(split(json.dumps([{}] * 6).encode(), JSON, LIMIT)) == too_many
    assert len(events_of(b"{}\n" * 5, NDJSON)[1]) == 5
    assert fault_of(split(b"{}\n" * 6, NDJSON, LIMIT)) == too_many


def test_gzip_is_unpacked() -> None:
    packed = gzip.compress(b'{"id": "1"}')
    assert unpack(packed, "gzip", BYTES_LIMIT) == b'{"id": "1"}'
    assert unpack(packed, " GZIP ", BYTES_LIMIT) == b'{"id": "1"}'
    assert unpack(packed, "x-gzip", BYTES_LIMIT) == b'{"id": "1"}'
    assert unpack(packed + packed, "gzip", BYTES_LIMIT) == b'{"id": "1"}{"id": "1"}'  # several members are one file
    assert unpack(b"{}", "", BYTES_LIMIT) == b"{}"
    assert unpack(b"{}", "identity", BYTES_LIMIT) == b"{}"


def test_a_bomb_is_not_unpacked() -> None:
    assert unpack(gzip.compress(b"0" * BYTES_LIMIT), "gzip", BYTES_LIMIT) == b"0" * BYTES_LIMIT
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < BYTES_LIMIT
    assert fault_of(unpack(bomb, "gzip", BYTES_LIMIT)) == ("too_large", "larger than 100000 bytes unpacked")


PACKED = gzip.compress(b'{"id": "1"}', mtime=0)  # the same bytes in every process


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"id": "1"}', id="plain"),
        pytest.param(PACKED[:-9], id="cut off in the data"),
        pytest.param(PACKED[:12], id="cut off at the beginning"),
        pytest.param(PACKED[:-8] + b"\0" * 8, id="another checksum"),
        pytest.param(PACKED + b"and more", id="more behind it"),
        pytest.param(b"\x1f\x8b\x08" + b"\0" * 7 + b"\xff" * 8, id="no data"),
    ],
)
def test_what_is_no_gzip_is_malformed(body: bytes) -> None:
    kind, reason = fault_of(unpack(body, "gzip", BYTES_LIMIT))
    assert kind == "malformed"
    assert reason.startswith("not gzip: ")


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_other_encodings_are_not_taken(encoding: str) -> None:
    assert fault_of(unpack(b"{}", encoding, BYTES_LIMIT)) == (
        "unsupported",
        f"content-encoding {encoding!r}: expected gzip, or none",
    )
