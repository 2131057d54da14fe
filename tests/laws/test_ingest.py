"""The laws of ingest's edge: it never fails, refuses in words of its own, and what it takes holds nothing personal."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect, structs

from common.contracts.envelope import Decoder, Event, Rejection, encode
from common.contracts.ingest import EVENTS, FROM_SENDERS, OF_THE_EDGE, ReviewSubmitted
from common.ids import Id
from ingest.domain.accept import Accepted, Personal, accept
from ingest.domain.split import Body, split, unpack
from tests.contract.event_strategies import values_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HEARD = Decoder((*EVENTS, *OF_THE_EDGE))  # what stays at the edge is read by nobody, and is just as sound
TYPES = {kind.TYPE: kind for kind in FROM_SENDERS}
FIELDS = (
    "id",
    "type",
    "subject",
    "source",
    "time",
    "shopid",
    "specversion",
    "traceparent",
    "data",
    "personal",
    "x\x00",
)
# Values that come close to what is expected somewhere, and what no store takes.
NEAR = st.sampled_from(
    [
        "",
        "e1",
        "visit",
        "order.paid",
        "shop",
        "1.0",
        "2026-05-01T00:00:00Z",
        "CNY",
        "a\x00b",
        "\u2028",
        "13800138000",
        0,
        -1,
        1.5,
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | NEAR,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), inner, max_size=6)
    ),
    max_leaves=12,
)
# Marks that occur in nothing but what they are planted in.
PLANTED = {
    "phone": "+8613905718888",
    "email": "wang.fang@example.com",
    "name": "王小芳",
    "address": "杭州市文三路 90 号\n3 幢",
    "review_text": "口罩有点\n小，but the courier was kind",
}


def take(body: bytes, *, historic: bool = False) -> Accepted | Rejection:
    return accept(body, "shop", "CNY", NOW, historic)


@st.composite
def sound(draw: st.DrawFn) -> dict[str, Any]:
    """Events as senders may send them, of all types, about people whose personal data we would know again."""
    kind = draw(st.sampled_from(FROM_SENDERS))
    data = msgspec.to_builtins(draw(values_of(inspect.type_info(kind))))
    if removed := data.get("tags_removed"):  # a tag is not put on and taken off at once
        data["tags_removed"] = [tag for tag in removed if tag not in data.get("tags_added", ())]
    event: dict[str, Any] = {
        "id": draw(values_of(inspect.type_info(Id))),
        "type": kind.TYPE,
        "subject": draw(st.sampled_from(["c1", "u-77", "张三", "0" * 128])),
        "data": data,
        "personal": {name: PLANTED[name] for name in draw(st.sets(st.sampled_from(sorted(PLANTED))))},
    }
    ago = draw(st.none() | st.timedeltas(timedelta(0), timedelta(days=3_000)))
    if ago is not None:
        event["time"] = (NOW - ago).isoformat()
    return event


def money_made_cny(value: Any) -> Any:
    """The same, in the shop's currency."""
    match value:
        case dict():
            return {name: "CNY" if name == "currency" else money_made_cny(inner) for name, inner in value.items()}
        case list() | tuple():
            return [money_made_cny(inner) for inner in value]
        case _:
            return value


@given(sound(), st.booleans(), st.booleans())
def test_what_is_sound_is_taken_and_heard_whole(event: dict[str, Any], historic: bool, escaped: bool) -> None:
    event["data"] = money_made_cny(event["data"])
    outcome = take(json.dumps(event, ensure_ascii=escaped).encode(), historic=historic)
    if isinstance(outcome, Rejection):
        told = (event["type"] == "history.ended" and not historic) or ("time" not in event and historic)
        assert told or outcome.reason == "control characters are not allowed", outcome
        return
    heard = HEARD.decode(encode(outcome.event))
    assert isinstance(heard, Event), heard
    assert (heard.id, heard.customer_id, heard.shop_id) == (event["id"], event["subject"], "shop")
    said = msgspec.convert(event["data"], TYPES[event["type"]])
    if isinstance(said, ReviewSubmitted) and "review_text" in event["personal"]:  # of which two things are told
        topics = said.topics or getattr(heard.data, "topics", ())
        said = structs.replace(said, length=len(PLANTED["review_text"]), topics=topics)
    assert msgspec.to_builtins(heard.data) == msgspec.to_builtins(said)
    assert outcome.personal == Personal(**event["personal"])


@given(sound(), st.booleans())
def test_nothing_personal_travels(event: dict[str, Any], historic: bool) -> None:
    outcome = take(json.dumps(event, ensure_ascii=False).encode(), historic=historic)
    told = encode(outcome.event) if isinstance(outcome, Accepted) else msgspec.json.encode(outcome)
    for value in PLANTED.values():
        for part in value.split("\n"):
            assert part.encode() not in told


def assert_either(outcome: Accepted | Rejection) -> None:
    """Taken, and heard once its person is found; or refused, in a text that every store takes."""
    if isinstance(outcome, Accepted):
        assert outcome.event.customer_id or outcome.identities
        told = encode(msgspec.structs.replace(outcome.event, customer_id=outcome.event.customer_id or "found"))
        assert isinstance(HEARD.decode(told), Event)
        assert b"\\u00" not in told
    else:
        assert outcome.path.startswith("$")
        assert outcome.reason
        assert (outcome.path + outcome.reason).isprintable()
        assert len(outcome.path + outcome.reason) < 400


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_break_it(body: bytes, historic: bool) -> None:
    assert_either(take(body, historic=historic))


@given(VALUES, st.booleans(), st.booleans())
def test_no_json_breaks_it(value: Any, historic: bool, escaped: bool) -> None:
    assert_either(take(json.dumps(value, ensure_ascii=escaped).encode(errors="replace"), historic=historic))


@given(sound(), st.data(), st.booleans())
def test_no_event_gone_wrong_somewhere_breaks_it(event: dict[str, Any], data: st.DataObject, historic: bool) -> None:
    """Sound but for one place: another value, a field too many, a field too few."""
    places = list(_places(event))
    place, name = data.draw(st.sampled_from(places))
    if data.draw(st.booleans()):
        place[name] = data.draw(VALUES)
    else:
        del place[name]
    body = bytearray(json.dumps(event, ensure_ascii=False).encode())
    if data.draw(st.booleans()):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert_either(take(bytes(body), historic=historic))


def _places(value: Any) -> Any:
    """Every field of every object, and every element of every array, in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield value, name
        yield from _places(inner)


@given(
    st.binary(max_size=100) | st.builds(lambda value: json.dumps(value).encode(), st.lists(VALUES, max_size=6)),
    st.sampled_from(["application/json", "application/x-ndjson", "", "text/csv"]),
    st.sampled_from(["", "gzip", "br"]),
)
def test_no_request_breaks_the_split(body: bytes, content_type: str, encoding: str) -> None:
    unpacked = unpack(body, encoding, 1_000)
    if isinstance(unpacked, bytes):
        found = split(unpacked, content_type, 4)
        assert not isinstance(found, Body) or 1 <= len(found.events) <= 4


@given(st.lists(sound(), min_size=1, max_size=3))
def test_an_array_and_its_lines_are_the_same_events(events: list[dict[str, Any]]) -> None:
    texts = [json.dumps(event, ensure_ascii=False).encode() for event in events]
    array = split(b"[" + b" , ".join(texts) + b"]", "application/json", 10)
    lines = split(b"\r\n".join(texts), "application/x-ndjson", 10)
    assert isinstance(array, Body)
    assert isinstance(lines, Body)
    assert [take(bytes(each)) for each in array.events] == [take(bytes(each)) for each in lines.events]
