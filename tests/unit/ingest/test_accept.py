"""One event at the edge: what is taken as what, and for each thing that can be wrong with it, where and why."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.contracts.envelope import Data, Decoder, Event, Rejection, encode
from common.contracts.ingest import (
    EVENTS,
    FROM_SENDERS,
    CustomerRegistered,
    CustomerUpdated,
    HistoryEnded,
    Item,
    OrderPlaced,
    Visit,
)
from common.money import Money
from ingest.domain.accept import Accepted, Personal, accept

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AMOUNT = {"amount_minor": 1250, "currency": "CNY"}


def sent(data: Any = None, type_: Any = "order.placed", **attributes: Any) -> dict[str, Any]:
    """An order as a sender tells it; what is given replaces an attribute, `...` leaves it out."""
    order = {"order_id": "o1", "amount": AMOUNT} if data is None else data
    event = {"id": "e1", "type": type_, "subject": "ann", "time": "2026-05-01T19:30:00+08:00", "data": order}
    return {name: value for name, value in (event | attributes).items() if value is not ...}


def take(event: Any, *, historic: bool = False) -> Accepted | Rejection:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return accept(body, "shop", "CNY", NOW, historic)


def taken(event: Any, *, historic: bool = False) -> Accepted:
    outcome = take(event, historic=historic)
    assert isinstance(outcome, Accepted), outcome
    return outcome


def heard(accepted: Accepted) -> Data:
    """What the services behind the bus are told."""
    event = Decoder(EVENTS).decode(encode(accepted.event))
    assert isinstance(event, Event), event
    return event.data


def refused(event: Any, *, historic: bool = False) -> tuple[str, str]:
    outcome = take(event, historic=historic)
    assert isinstance(outcome, Rejection), outcome
    return outcome.path, outcome.reason


def test_an_event_is_taken_as_it_will_travel() -> None:
    data = {"order_id": "o1", "amount": AMOUNT, "items": [{"item_id": "i", "quantity": 2, "name": "蓝色口罩"}]}
    accepted = taken(sent(data, source="till-7", shopid="shop", personal={"phone": "+8613800138000"}))
    event = accepted.event
    assert (event.id, event.source, event.type, event.shop_id) == ("e1", "till-7", "order.placed", "shop")
    assert (event.customer_id, event.historic) == ("ann", False)
    assert event.occurred_at == datetime(2026, 5, 1, 11, 30, tzinfo=UTC)
    assert heard(accepted) == OrderPlaced("o1", Money(1250, "CNY"), (Item("i", 2, "蓝色口罩"),))
    assert accepted.personal == Personal(phone="+8613800138000")


def test_attributes_and_tags_are_taken_as_they_are_told() -> None:
    said = {"attributes": {"肤质": "干性", "size": None}, "tags_added": ["老客", "vip"], "tags_removed": ["new one"]}
    expected = CustomerUpdated(
        attributes={"肤质": "干性", "size": None}, tags_added=("老客", "vip"), tags_removed=("new one",)
    )
    assert heard(taken(sent(said, "customer.updated"))) == expected
    assert heard(taken(sent({}, "customer.registered"))) == CustomerRegistered()


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"attributes": {"a b": "x"}}, "$.data.attributes"),
        ({"attributes": {"a.b": "x"}}, "$.data.attributes"),
        ({"attributes": {"": "x"}}, "$.data.attributes"),
        ({"attributes": {"x" * 41: "x"}}, "$.data.attributes"),
        ({"attributes": {"a": ""}}, "$.data.attributes[...]"),
        ({"attributes": {"a": "x" * 201}}, "$.data.attributes[...]"),
        ({"attributes": {"a": 1}}, "$.data.attributes[...]"),
        ({"attributes": {"a": "x\ny"}}, "$.data.attributes.a"),
        ({"attributes": {"13800138000": "x\ny"}}, "$.data.attributes[...]"),
        ({"attributes": {f"a{number}": "x" for number in range(51)}}, "$.data.attributes"),
        ({"attributes": {"wechat": "13800138000"}}, "$.data.attributes[...]"),
        ({"attributes": {"+8613800138000": "x"}}, "$.data.attributes[...]"),
        ({"attributes": ["a"]}, "$.data.attributes"),
        ({"tags_added": ["a", ""]}, "$.data.tags_added[1]"),
        ({"tags_added": ["x" * 65]}, "$.data.tags_added[0]"),
        ({"tags_added": [str(number) for number in range(51)]}, "$.data.tags_added"),
        ({"tags_added": ["ann@example.com"]}, "$.data.tags_added[0]"),
        ({"tags_removed": ["a", "13800138000"]}, "$.data.tags_removed[1]"),
        ({"tags_added": ["a"], "tags_removed": ["b", "a"]}, "$.data.tags_removed[1]"),
        ({"tags": ["a"]}, "$.data.tags"),
    ],
)
def test_attributes_and_tags_that_are_refused(said: dict[str, Any], path: str) -> None:
    for type_ in ("customer.updated", "customer.registered"):
        where, why = refused(sent(said, type_))
        assert where == path
        assert "138" not in why


def test_what_may_be_left_out() -> None:
    accepted = taken({"id": "e1", "type": "visit", "subject": "ann"})
    assert (accepted.event.source, accepted.timed, heard(accepted)) == ("api", False, Visit())


def test_the_edges_of_what_is_taken() -> None:
    taken(sent({"order_id": "o", "amount": {"amount_minor": 0, "currency": "CNY"}}))
    taken(sent({"order_id": "o", "amount": {"amount_minor": 10**13, "currency": "CNY"}}))
    taken(sent({"order_id": "o", "amount": AMOUNT, "items": [{"item_id": "i"}] * 500}))
    taken(sent(id="x" * 128))
    taken(sent(time="2026-05-02T12:00:00Z"))  # a day ahead
    taken(sent(time=(NOW - timedelta(days=3653)).isoformat()))
    taken(sent(time="1970-01-01T00:00:00Z"), historic=True)
    taken(sent(time="2026-05-01T12:00:00Z"), historic=True)


@pytest.mark.parametrize("kind", FROM_SENDERS)
def test_every_type_is_known(kind: type) -> None:
    outcome = take(sent({"no_such_field": 1}, type_=kind.TYPE), historic=True)  # type: ignore[attr-defined]
    assert isinstance(outcome, Rejection)
    assert outcome.path.startswith("$.data"), outcome


# fmt: off
BAD: list[tuple[str, Any, str, str]] = [
    # what is wrong, the event, where, why
    ("not JSON", b"hello", "$", "JSON is malformed: invalid character (byte 0)"),
    ("nothing", b"", "$", "Input data was truncated"),
    ("cut off", b'{"id": "e1", "ty', "$", "Input data was truncated"),
    ("a trailing comma", b'{"id": "e1",}', "$", "JSON is malformed: trailing comma in object (byte 12)"),
    ("two events", b'{"id":"1","type":"visit","subject":"c"}\n{}', "$",
     "JSON is malformed: trailing characters (byte 41); events on lines of their own are sent as application/x-ndjson"),
    ("not UTF-8", b'{"id": "\xd5\xc5\xc8\xfd"}', "$", "not UTF-8"),
    ("half a surrogate pair", b'{"id": "\\ud800"}', "$", "Input data was truncated"),
    ("no object", [], "$", "Expected `object`, got `array`"),
    ("null", None, "$", "Expected `object`, got `null`"),
    ("too deep", b'{"data":' + b"[" * 100_000, "$", "nested too deeply"),
    ("too deep inside", b'{"id":"1","type":"visit","subject":"c","data":' + b"[" * 9_999 + b"]" * 9_999 + b"}", "$",
     "nested too deeply"),

    ("an unknown type", sent(type_="order.payed"), "$.type", "unknown event type 'order.payed'"),
    ("a type only we may say", sent({}, type_="customer.erased"), "$.type", "unknown event type 'customer.erased'"),
    ("a tick", sent({"watermark": "2026-05-01T00:00:00Z"}, type_="tick"), "$.type", "unknown event type 'tick'"),
    ("a type that is none", sent(type_="13800138000"), "$.type", "unknown event type"),
    ("no type", sent(type_=...), "$.type", "missing"),
    ("no id", sent(id=...), "$.id", "missing"),
    ("no name of anybody", sent({}, type_="visit", subject=...), "$.subject",
     "missing: say whose it is, by `subject`, `identities`, `personal.phone`, `personal.email` or an order"),
    ("no data", sent(data={}, type_="order.paid"), "$.data.order_id", "missing"),
    ("a field of data missing", sent({"order_id": "o"}), "$.data.amount", "missing"),
    ("a field of money missing", sent({"order_id": "o", "amount": {"currency": "CNY"}}), "$.data.amount.amount_minor",
     "missing"),

    ("a typo", sent(tiem="2026-05-01T12:00:00Z"), "$.tiem", "unknown field"),
    ("a typo in data", sent({"order_id": "o", "amount": AMOUNT, "itmes": []}), "$.data.itmes", "unknown field"),
    ("a typo in money", sent({"order_id": "o", "amount": AMOUNT | {"minor": 1}}), "$.data.amount.minor",
     "unknown field"),
    ("a typo in an item", sent({"order_id": "o", "amount": AMOUNT, "items": [{"item_id": "i"}, {"n": 1}]}),
     "$.data.items[1].n", "unknown field"),
    ("a typo in personal", sent(personal={"phon": "1"}), "$.personal.phon", "unknown field"),

    ("an id of the wrong type", sent(id=17), "$.id", "Expected `str`, got `int`"),
    ("an id with a space", sent(id="e 1"), "$.id", "spaces and control characters are not allowed"),
    ("an id with a line break", sent(id="e1\n"), "$.id", "control characters are not allowed"),
    ("an id too long", sent(id="x" * 129), "$.id", "Expected `str` of length <= 128"),
    ("an empty id", sent(id=""), "$.id", "Expected `str` of length >= 1"),
    ("a source with a space", sent(source="my shop"), "$.source", "spaces and control characters are not allowed"),
    ("an order id with a space", sent({"order_id": "o 1", "amount": AMOUNT}), "$.data.order_id",
     "spaces and control characters are not allowed"),
    ("text where a number belongs", sent({"item": {"item_id": "i", "quantity": "2"}}, type_="cart.item_added"),
     "$.data.item.quantity", "Expected `int`, got `str`"),
    ("no quantity at all", sent({"item": {"item_id": "i", "quantity": 0}}, type_="cart.item_added"),
     "$.data.item.quantity", "Expected `int` >= 1"),
    ("data that is none", sent([]), "$.data", "Expected `object`, got `array`"),
    ("six stars", sent({"rating": 6}, type_="review.submitted"), "$.data.rating", "Expected `int` <= 5"),
    ("an unknown channel", sent({"channel": "fax", "purpose": "marketing", "granted": True}, type_="consent.changed"),
     "$.data.channel", "none of the values that are allowed here"),
    ("too many items", sent({"order_id": "o", "amount": AMOUNT, "items": [{"item_id": "i"}] * 501}), "$.data.items",
     "Expected `array` of length <= 500"),
    ("an old version of CloudEvents", sent(specversion="0.3"), "$.specversion", "expected 1.0"),
    ("XML", sent(datacontenttype="text/xml"), "$.datacontenttype", "expected application/json"),

    ("an unknown shop", sent(shopid="nowhere"), "$.shopid", "unknown shop: the key is for 'shop'"),
    ("a time without an offset", sent(time="2026-05-01T12:00:00"), "$.time",
     "Expected `datetime` with a timezone component"),
    ("a time in milliseconds", sent(time=1777636800000), "$.time", "Expected `datetime | null`, got `int`"),
    ("a date", sent(time="2026-05-01"), "$.time", "Invalid RFC3339 encoded datetime"),
    ("older than ten years", sent(time="2016-04-30T11:59:59Z"), "$.time",
     "out of range: 2016-04-30T12:00:00+00:00 to 2026-05-02T12:00:00+00:00"),
    ("more than a day ahead", sent(time="2026-05-02T12:00:01Z"), "$.time",
     "out of range: 2016-04-30T12:00:00+00:00 to 2026-05-02T12:00:00+00:00"),
    ("the first year of all", sent(time="0001-01-01T00:00:00+23:59"), "$.time",
     "out of range: 2016-04-30T12:00:00+00:00 to 2026-05-02T12:00:00+00:00"),
    ("the last year of all", sent(time="9999-12-31T23:59:59-23:59"), "$.time",
     "out of range: 2016-04-30T12:00:00+00:00 to 2026-05-02T12:00:00+00:00"),
    ("history's end outside an import", sent({}, type_="history.ended"), "$.type",
     "history.ended belongs to an import: send it with ?historic=true"),
]
# fmt: on


@pytest.mark.parametrize(("event", "path", "reason"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_what_is_wrong_is_named(event: Any, path: str, reason: str) -> None:
    assert refused(event) == (path, reason)


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        ("12.5", "expected an integer of minor units (cents, fen), got `float`"),
        ("12.0", None),
        ("1e2", None),
        ('"12"', "Expected `int`, got `str`"),
        ('"¥12"', "Expected `int`, got `str`"),
        ("-1", "Expected `int` >= 0"),
        ("10000000000001", "Expected `int` <= 10000000000000"),
        ("99999999999999999999", "Expected `int` <= 10000000000000"),
        ("1e400", "Number out of range"),
        ("true", "Expected `int`, got `bool`"),
        ("null", "Expected `int`, got `null`"),
    ],
)
def test_money_is_an_integer_of_minor_units(amount: str, reason: str | None) -> None:
    body = json.dumps(sent()).replace("1250", amount).encode()
    expected = reason or "expected an integer of minor units (cents, fen), got `float`"
    assert refused(body) == ("$.data.amount.amount_minor", expected)


@pytest.mark.parametrize(
    ("currency", "reason"),
    [
        ("USD", "expected CNY, the shop's currency, got USD"),
        ("cny", "expected an ISO 4217 code, such as CNY"),
        ("元", "expected an ISO 4217 code, such as CNY"),
        ("CNY\n", "control characters are not allowed"),
    ],
)
def test_money_is_the_shops_wherever_it_stands(currency: str, reason: str) -> None:
    foreign = {"amount_minor": 100, "currency": currency}
    items = [{"item_id": "i", "unit_price": AMOUNT}] * 3 + [{"item_id": "i", "unit_price": foreign}]
    in_cart = sent({"item": {"item_id": "i", "unit_price": foreign}}, type_="cart.item_removed")
    refund = sent({"order_id": "o", "refund_id": "r", "amount": foreign}, type_="order.refunded")
    assert refused(sent({"order_id": "o", "amount": foreign})) == ("$.data.amount.currency", reason)
    assert refused(refund) == ("$.data.amount.currency", reason)
    assert refused(in_cart) == ("$.data.item.unit_price.currency", reason)
    in_fourth = refused(sent({"order_id": "o", "amount": AMOUNT, "items": items}))
    assert in_fourth == ("$.data.items[3].unit_price.currency", reason)


@pytest.mark.parametrize(
    "subject",
    [
        "13800138000",
        "8613800138000",
        "+8613800138000",
        "008613800138000",
        "+86-138-0013-8000",
        "138-0013-8000",
        "(+86)13800138000",
        "+5511987654321",
        "+1.202.555.0143",
        "１３８００１３８０００",
        "ann@example.com",
        "张三@example.com",
        "ann＠example.com",
        "mailto:ann@example.com",
    ],
)
def test_contact_data_is_no_subject(subject: str) -> None:
    reason = "looks like a phone number or an e-mail address: send your own id, and contact data under `personal`"
    assert refused(sent(subject=subject)) == ("$.subject", reason)


@pytest.mark.parametrize(
    "subject", ["10001", "20138001380001", "u13800138000", "0000366f3b9a7992", "张三", "a/b:c+d", "*"]
)
def test_other_ids_are_subjects(subject: str) -> None:
    assert taken(sent(subject=subject)).event.customer_id == subject


NUL, BELL = "\x00", "\x07"


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (sent(id=f"e{NUL}1"), "$.id"),
        (sent(subject=f"ann{NUL}"), "$.subject"),
        (sent(source=f"api{NUL}"), "$.source"),
        (sent(shopid=f"shop{NUL}"), "$.shopid"),
        (sent({"order_id": f"o{NUL}", "amount": AMOUNT}), "$.data.order_id"),
    ],
)
def test_no_id_holds_a_nul(event: Any, path: str) -> None:
    assert refused(event) == (path, "spaces and control characters are not allowed")


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (
            sent({"order_id": "o", "amount": AMOUNT, "items": [{"item_id": "i", "name": f"a{NUL}"}]}),
            "$.data.items[0].name",
        ),
        (sent({"order_id": "o", "reason": f"a{NUL}"}, type_="order.cancelled"), "$.data.reason"),
        (sent({"city": "Hang\nzhou"}, type_="customer.updated"), "$.data.city"),
        (sent({"category": BELL}, type_="visit"), "$.data.category"),
        (sent(traceparent=f"00-{NUL}"), "$.traceparent"),
        (sent(subject="ann\n"), "$.subject"),
        (sent(personal={"phone": f"138{NUL}"}), "$.personal.phone"),
        (sent(personal={"name": "Ann\r\nBcc: eve@example.com"}), "$.personal.name"),
        (sent(personal={"address": f"1 Street\n{BELL}"}), "$.personal.address"),
        (sent(personal={"review_text": f"good{NUL}"}), "$.personal.review_text"),
    ],
)
def test_no_text_holds_a_control_character(event: Any, path: str) -> None:
    assert refused(event) == (path, "control characters are not allowed")


def test_addresses_and_reviews_may_have_lines_and_any_text_a_backslash() -> None:
    personal = {"address": "1 Street\r\n2 City", "review_text": "good\n\tbut \\u0000 late"}
    assert taken(sent(personal=personal)).personal == Personal(**personal)
    assert heard(taken(sent({"category": 'a\\b "c" \u2028'}, type_="visit"))) == Visit(category='a\\b "c" \u2028')


def test_an_import_tells_its_own_times() -> None:
    assert refused(sent(time=...), historic=True) == ("$.time", "missing: an import tells events at their own times")
    bounds = "out of range: 1970-01-01T00:00:00+00:00 to 2026-05-01T12:00:00+00:00"
    assert refused(sent(time="2026-05-01T12:00:01Z"), historic=True) == ("$.time", bounds)
    assert refused(sent(time="1969-12-31T23:59:59Z"), historic=True) == ("$.time", bounds)
    event = taken(sent(time="2001-02-03T04:05:06Z"), historic=True).event
    assert (event.historic, event.received_at) == (True, datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC))


def test_the_end_of_a_history_is_news_of_today() -> None:
    event = taken(sent({}, type_="history.ended", time=...), historic=True).event
    assert isinstance(event.data, HistoryEnded)
    assert not event.historic


PHONE, STREET = "13800138000", "文三路 9 号"


@pytest.mark.parametrize(
    "event",
    [
        sent(**{PHONE: 1}),
        sent(**{f"x` - at `$.{PHONE}": 1}),
        sent(**{STREET: 1}),
        sent({STREET: 1, "order_id": "o", "amount": AMOUNT}),
        sent(type_=PHONE),
        sent(type_=STREET),
        sent(shopid=PHONE),
        sent({"rating": 5, "topics": [PHONE]}, type_="review.submitted"),
        sent({"rating": 5, "topics": [f"x - at `$.{PHONE}"]}, type_="review.submitted"),
        sent({"rating": 5, "topics": [f"x - at `{STREET}` - at `$.data"]}, type_="review.submitted"),
        sent({"order_id": "o", "amount": {"amount_minor": 1, "currency": STREET}}),
        sent({"order_id": STREET, "amount": AMOUNT}),
        sent(time=PHONE),
        sent(id=STREET),
        sent(subject=PHONE),
    ],
)
def test_a_refusal_repeats_nothing_of_what_was_sent(event: Any) -> None:
    path, reason = refused(event)
    assert PHONE not in path + reason
    assert STREET not in path + reason
