"""The three forms of CloudEvents over HTTP, as events that our own door takes."""

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.envelope import Rejection
from ingest.connectors.cloudevents import BATCHED, STRUCTURED, header_text, is_cloud_event, our_type, ours, read
from ingest.domain.accept import Accepted, accept
from ingest.domain.split import Body, Unreadable

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLACED = {"order_id": "o1", "amount": {"amount_minor": 1250, "currency": "CNY"}}
HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "291f",
    "ce-source": "/shop/1",
    "ce-type": "com.shop.order.placed",
    "ce-subject": "%E5%BC%A0%e4%b8%89",
    "ce-time": "2026-05-01T11:00:00.453661Z",
    "content-type": "application/json",
}
OURS = {
    "specversion": "1.0",
    "id": "291f",
    "source": "/shop/1",
    "type": "order.placed",
    "subject": "张三",
    "time": "2026-05-01T11:00:00.453661Z",
    "datacontenttype": "application/json",
    "data": PLACED,
}


def the_one(body: Any, headers: Mapping[str, str]) -> Any:
    """The event of a request of one, which our own door takes."""
    made = read(body if isinstance(body, bytes) else json.dumps(body).encode(), headers, 100)
    assert isinstance(made, Body), made
    assert made.single
    (event,) = made.events
    assert isinstance(accept(event, "shop", "CNY", NOW, historic=False), Accepted)
    return json.loads(bytes(event))


def refused_at(event: Mapping[str, Any]) -> str:
    outcome = accept(ours(json.dumps(event).encode()), "shop", "CNY", NOW, historic=False)
    assert isinstance(outcome, Rejection), outcome
    return outcome.path


def test_binary() -> None:
    assert the_one(PLACED, HEADERS) == OURS
    checkin = HEADERS | {"ce-type": "checkin"}
    del checkin["content-type"]
    assert the_one(b"", checkin) == {
        **{name: OURS[name] for name in ("specversion", "id", "source", "subject", "time")},
        "type": "checkin",
    }


def test_structured() -> None:
    event = OURS | {"type": "com.shop.order.placed"}
    for media_type in (STRUCTURED, f"{STRUCTURED}; charset=utf-8", STRUCTURED.upper()):
        assert the_one(event, {"content-type": media_type}) == OURS
    more = {"dataschema": None, "partitionkey": "7", "sequence": "9", "time": OURS["time"], "shopid": "shop"}
    assert the_one(event | more, {"content-type": STRUCTURED}) == OURS | {"shopid": "shop"}
    packed = {name: value for name, value in event.items() if name != "data"}
    packed["data_base64"] = b64encode(json.dumps(PLACED).encode()).decode()
    assert the_one(packed, {"content-type": STRUCTURED}) == OURS
    dialect = event | {"datacontenttype": "application/vnd.shop+json; charset=utf-8"}
    assert the_one(dialect, {"content-type": STRUCTURED}) == OURS


def test_a_batch() -> None:
    events = [OURS | {"id": f"e{number}", "type": "order.placed.v1"} for number in range(2)]
    made = read(json.dumps([*events, 17]).encode(), {"content-type": BATCHED}, 3)
    assert isinstance(made, Body)
    assert not made.single
    assert [json.loads(bytes(each)) for each in made.events] == [
        *({**OURS, "id": f"e{number}"} for number in range(2)),
        17,
    ]


def test_personal_data_may_stand_in_the_data() -> None:
    person = {"phone": "+8613800138000"}
    assert the_one(PLACED | {"personal": person}, HEADERS) == OURS | {"personal": person}
    assert the_one(OURS | {"personal": person}, {"content-type": STRUCTURED}) == OURS | {"personal": person}
    both = {"personal": person, "identities": {"card": "8800"}}  # other names of the person as well
    assert the_one(PLACED | both, HEADERS) == OURS | both
    assert the_one(OURS | both, {"content-type": STRUCTURED}) == OURS | both


@pytest.mark.parametrize(
    ("said", "ours"),
    [
        ("order.placed", "order.placed"),
        ("order.placed.v1", "order.placed"),
        ("com.shop.order.placed", "order.placed"),
        ("com.shop.visit.v1", "visit"),
        ("order.placed.v2", "order.placed.v2"),
        ("com.shop.orderplaced", "com.shop.orderplaced"),
        ("reorder.placed", "reorder.placed"),
        ("tick", "tick"),
        ("." * 100_000, "." * 100_000),
        ("", ""),
    ],
)
def test_types(said: str, ours: str) -> None:
    assert our_type(said) == ours


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%f0%9f%98%80", "Euro € 😀"),
        ("%48i", "Hi"),
        ("100%", "100%"),
        ('"a \\"b\\" c"', 'a "b" c'),
        ("é".encode().decode("latin-1"), "é"),
        ("%C0%AF", None),
        ("%ED%A0%80", None),
        ("\xff", None),
        ("€", None),
    ],
)
def test_headers(value: str, text: str | None) -> None:
    assert header_text(value) == text


def test_what_is_refused_is_refused_by_the_one_door() -> None:
    assert refused_at(OURS | {"subject": "order #1"}) == "$.subject"
    visit = {"type": "visit", "data": {}}  # whose it is, nothing in it says; an order would be a name
    assert refused_at({k: v for k, v in (OURS | visit).items() if k != "subject"}) == "$.subject"
    assert refused_at(OURS | {"specversion": "0.3"}) == "$.specversion"
    assert refused_at(OURS | {"type": "com.shop.order.eaten"}) == "$.type"
    assert refused_at(OURS | {"datacontenttype": "text/plain", "data": "x"}) == "$.datacontenttype"
    assert refused_at(OURS | {"data": PLACED | {"typo": 1}}) == "$.data.typo"
    assert refused_at(OURS | {"data": None, "data_base64": "e30"}) == "$.data"
    assert refused_at(OURS | {"type": 7}) == "$.type"


def test_what_cannot_be_read() -> None:
    for body, headers, kind in (
        (b"{", {"content-type": STRUCTURED}, "malformed"),
        (b"[]", {"content-type": STRUCTURED}, "malformed"),
        (b"[]", {"content-type": BATCHED}, "malformed"),
        (b"{}", {"content-type": BATCHED}, "malformed"),
        (b"[1, 2, 3]", {"content-type": BATCHED}, "too_large"),
        (b"<e/>", {"content-type": "application/cloudevents+xml"}, "unsupported"),
        (b"{}", HEADERS | {"ce-subject": "%ff"}, "malformed"),
        (b'{}, "historic": true', HEADERS, "malformed"),
    ):
        made = read(body, headers, 2)
        assert isinstance(made, Unreadable), (body, made)
        assert made.kind == kind


def test_what_speaks_cloud_events() -> None:
    for headers in (HEADERS, {"content-type": STRUCTURED}, {"content-type": BATCHED + "; charset=utf-8"}):
        assert is_cloud_event(headers)
    for headers in ({}, {"content-type": "application/json"}, {"content-type": "application/x-ndjson"}):
        assert not is_cloud_event(headers)


NAMES = st.sampled_from([*OURS, "data_base64", "personal", "shopid", "x\x00"])
NEAR = st.sampled_from([*OURS.values(), {}, None, 17, 10**30, "e30=", "a\x00b", {"personal": {"name": "x"}}])
VALUES = st.recursive(
    NEAR | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=9),
    max_leaves=12,
)
HEADER_VALUES = st.text(st.characters(max_codepoint=255), max_size=20) | st.sampled_from(list(HEADERS.values()))


@settings(max_examples=500)
@given(
    st.binary() | VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from([*HEADERS, "ce-data", "ce-personal", "ce-x"]), HEADER_VALUES)
    | st.sampled_from([{"content-type": STRUCTURED}, {"content-type": BATCHED}, HEADERS]),
)
def test_no_request_is_too_odd(body: bytes, headers: dict[str, str]) -> None:
    made = read(body, headers, 10)
    for event in made.events if isinstance(made, Body) else ():
        assert isinstance(accept(event, "shop", "CNY", NOW, historic=False), Accepted | Rejection)
