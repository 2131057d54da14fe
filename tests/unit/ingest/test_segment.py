"""Messages of Segment's and RudderStack's clients, and by hand what they tell of."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.envelope import Rejection
from common.ids import derived_id
from ingest.connectors.segment.messages import Ignored, Parcel, events, opened
from ingest.domain.accept import Accepted, accept
from ingest.domain.split import Unreadable

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOLD = "2026-05-01T12:00:00Z"
EXAMPLES = 500


def parcel(body: Any, kind: str = "batch", now: datetime = NOW) -> Parcel:
    made = opened(body if isinstance(body, bytes) else json.dumps(body).encode(), kind, now, 100)
    assert isinstance(made, Parcel), made
    return made


def told(message: Any, currency: str = "CNY", now: datetime = NOW) -> Any:
    """What becomes of one message: events without their source, their customer where it is u1, their time if now."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    (whole,) = parcel(b'{"batch": [' + body + b"]}", now=now).messages
    made = events(whole, currency)
    if isinstance(made, Rejection):
        return made.path, made.reason
    if isinstance(made, Ignored):
        return made
    plain = []
    for event in made:
        outcome = accept(event, "shop", currency, now, historic=False)
        if isinstance(outcome, Rejection):
            return "refused", outcome.path
        said = json.loads(event)
        assert said.pop("source") == "segment"
        plain.append({k: v for k, v in said.items() if (k, v) not in (("subject", "u1"), ("time", TOLD))})
    return plain


def id_of(message: bytes) -> str:
    return str(json.loads(message)["messageId"])


def track(event: str, properties: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "track", "messageId": "m1", "userId": "u1", "event": event, "properties": properties} | more


def cny(minor: int) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": "CNY"}


def test_a_batch_as_the_python_client_sends_it() -> None:
    body = {
        "batch": [
            {
                "integrations": {},
                "anonymousId": None,
                "properties": {"order_id": "O1", "revenue": 25.0, "products": [{"product_id": "p1"}], "when": "x"},
                "timestamp": "2026-05-01T11:59:59.218+00:00",
                "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
                "userId": "u1",
                "type": "track",
                "event": "Order Completed",
                "messageId": "dbc16e99-bb64-489a-8502-ef79a5b424d0",
            }
        ],
        "sentAt": "2026-05-01T11:59:59.318000+00:00",
        "writeKey": "wk_test",
    }
    made = parcel(body)
    assert made.write_key == "wk_test"
    (message,) = made.messages
    assert b"wk_test" not in message
    placed, paid = events(message, "CNY")  # type: ignore[misc]
    data = {"order_id": "O1", "amount": cny(2500)}
    common = {
        "source": "segment",
        "subject": "u1",
        "time": "2026-05-01T11:59:59.900000Z",
    }  # a tenth of a second on its way
    assert json.loads(placed) == common | {
        "id": derived_id("order.placed", "O1"),
        "type": "order.placed",
        "data": data | {"items": [{"item_id": "p1", "quantity": 1}]},
    }
    assert json.loads(paid) == common | {"id": derived_id("order.paid", "O1"), "type": "order.paid", "data": data}


def test_a_batch_as_the_documentation_shows_it() -> None:
    """Without ids, with a month without its zero and with a context for all."""
    person = {"email": "jo@example.com", "name": "Jo Doe", "age": 26}
    song = {"name": "A song", "artist": "A singer"}
    body = {
        "batch": [
            {"type": "identify", "userId": "019", "traits": person, "timestamp": "2015-2-02T00:30:08.276Z"},
            {"type": "track", "userId": "019", "event": "Song Played", "properties": song},
        ],
        "context": {"device": {"type": "phone"}, "locale": "en-GB"},
    }
    now = datetime(2015, 3, 1, tzinfo=UTC)
    first, second = parcel(body, now=now).messages
    (changed,) = events(first, "CNY")  # type: ignore[misc]
    said = json.loads(changed)
    assert (said["type"], said["subject"], said["time"]) == ("customer.updated", "019", "2015-02-02T00:30:08.276000Z")
    assert (said["data"], said["personal"]) == ({"locale": "en"}, {"email": "jo@example.com", "name": "Jo Doe"})
    assert events(second, "CNY") == Ignored("track")
    # The same again has the same id where it says when it happened; else it may be news.
    again = parcel(body, now=datetime(2015, 3, 2, tzinfo=UTC)).messages
    assert (id_of(again[0]) == id_of(first), id_of(again[1]) == id_of(second)) == (True, False)


def test_carts() -> None:
    product = {"product_id": "p1", "sku": "s1", "name": " A\nshirt ", "category": "Shirts", "price": 18.99}
    item = {"item_id": "p1", "name": "A shirt", "category": "Shirts", "unit_price": cny(1899)}
    more = {"cart_id": "k1", "quantity": 2}
    assert told(track("Product Added", product | more)) == [
        {"id": "m1", "type": "cart.item_added", "data": {"item": item | {"quantity": 2}, "cart_id": "k1"}}
    ]
    assert told(track("Product Removed", {"sku": "A 1", "quantity": "3"})) == [
        {"id": "m1", "type": "cart.item_removed", "data": {"item": {"item_id": "A_1", "quantity": 3}}}
    ]
    for name in ("added product", "product_added", "Wishlist Product Added to Cart"):
        assert told(track(name, {"product_id": 7}))[0]["data"] == {"item": {"item_id": "7", "quantity": 1}}
    assert told(track("Product Added", {})) == ("$.properties.product_id", "missing, and no sku either")
    assert told(track("Product Added", product | {"currency": "eur"})) == ("refused", "$.data.item.unit_price.currency")


@pytest.mark.parametrize("quantity", [None, "", 0, -2, 2.5, 1e16, 10**40, True, "many", [2]])
def test_a_quantity_that_cannot_be_true_is_one(quantity: Any) -> None:
    (event,) = told(track("Product Added", {"product_id": "p1", "quantity": quantity, "price": "free"}))
    assert event["data"] == {"item": {"item_id": "p1", "quantity": 1}}


@pytest.mark.parametrize(
    ("said", "currency", "minor"),
    [
        ("0.1", "CNY", 10),
        ("0.30000000000000004", "CNY", 30),
        ("1.005", "CNY", 101),
        ("4611686018.43", "CNY", 461168601843),
        ("9007199254740993", "JPY", None),
        ("1200", "JPY", 1200),
        ("1.2345", "KWD", 1235),
        ('" 25.50 "', "CNY", 2550),
        ('"1,234.50"', "CNY", None),
        ('"$25"', "CNY", None),
        ("-1", "CNY", None),
        ("1e400", "CNY", None),
        ("1e99999999999999999999", "CNY", None),
        ("true", "CNY", None),
        ("[1]", "CNY", None),
    ],
)
def test_amounts(said: str, currency: str, minor: int | None) -> None:
    message = json.dumps(track("Order Completed", {"order_id": "o1", "total": "?"})).replace('"?"', said).encode()
    made = told(message, currency)
    if minor is None:
        assert made == ("$.properties.total", "expected an amount such as 12.50, without signs or commas")
    else:
        assert made[0]["data"]["amount"] == {"amount_minor": minor, "currency": currency}


def test_orders() -> None:
    lines = [{"product_id": "p1", "price": 5, "quantity": 2}, 7, {"name": "no id"}, {"sku": "p2", "price": 2.5}]
    said = {"order_id": 17, "revenue": 9, "total": 12.5, "shipping": 3.5, "currency": "CNY", "products": lines}
    items = [
        {"item_id": "p1", "quantity": 2, "unit_price": cny(500)},
        {"item_id": "p2", "quantity": 1, "unit_price": cny(250)},
    ]
    placed_id, paid_id = derived_id("order.placed", "17"), derived_id("order.paid", "17")
    data = {"order_id": "17", "amount": cny(1250)}
    placed = {"id": placed_id, "type": "order.placed", "data": data | {"items": items}}
    assert told(track("Order Completed", said)) == [placed, {"id": paid_id, "type": "order.paid", "data": data}]
    assert told(track("Order Completed", said | {"paid": False})) == [placed]
    # What it came to is not known: that it happened is.
    assert [e["data"]["amount"] for e in told(track("Completed Order", {"order_id": "o1"}))] == [cny(0)] * 2
    assert told(track("Order Completed", {"total": 1})) == ("$.properties.order_id", "missing")
    assert told(track("Order Completed", said | {"currency": "USD"})) == ("refused", "$.data.amount.currency")
    many = [{"product_id": f"p{n}"} for n in range(501)]
    assert len(told(track("Order Completed", said | {"products": many}))[0]["data"]["items"]) == 500


def test_what_becomes_of_an_order() -> None:
    cancelled = {"id": "m1", "type": "order.cancelled", "data": {"order_id": "o1", "reason": "changed mind"}}
    assert told(track("Order Cancelled", {"order_id": "o1", "reason": "changed mind"})) == [cancelled]
    refunded = {"order_id": "o1", "refund_id": "m1", "amount": cny(500)}
    said = {"order_id": "o1", "total": 5.0}
    assert told(track("Order Refunded", said)) == [{"id": "m1", "type": "order.refunded", "data": refunded}]
    assert told(track("Order Refunded", said | {"refund_id": 9}))[0]["data"]["refund_id"] == "9"
    assert told(track("Order Refunded", {"order_id": "o1"})) == ("$.properties.total", "missing: what was paid back")
    assert told(track("Order Updated", said)) == Ignored("track")


def test_reviews() -> None:
    said = {"product_id": "p1", "review_id": "r1", "review_body": "很好\n再来", "rating": "4.5"}
    assert told(track("Product Reviewed", said)) == [
        {
            "id": "m1",
            "type": "review.submitted",
            "data": {"rating": 5, "item_id": "p1"},
            "personal": {"review_text": "很好\n再来"},
        }
    ]
    for rating in (None, 0, 6, "good"):
        assert told(track("Product Reviewed", {"rating": rating})) == ("$.properties.rating", "expected 1 to 5")


def test_looking_around() -> None:
    visit: dict[str, Any] = {"id": "m1", "type": "visit", "data": {}}
    browser = {"identities": {"anonymous": "a1"}}
    assert told({"type": "page", "messageId": "m1", "anonymousId": "a1"}) == [visit | browser]
    screen = {"type": "screen", "messageId": "m1", "userId": 12, "anonymousId": "a1"}
    assert told(screen) == [visit | {"subject": "12"} | browser]
    assert told(screen | {"anonymousId": "no id of ours"}) == [visit | {"subject": "12"}]
    for name in ("Cart Viewed", "Checkout Started", "Payment Info Entered", "Products Searched"):
        assert told(track(name)) == [visit]
    seen = {"item_id": "p1", "category": "Shirts"}
    assert told(track("Product Viewed", {"product_id": "p1", "category": "Shirts"})) == [visit | {"data": seen}]
    assert told(track("Product List Viewed", {"category": "Hats"})) == [visit | {"data": {"category": "Hats"}}]
    share = {"id": "m1", "type": "share", "data": {"item_id": "p1"}}
    assert told(track("Product Shared", {"product_id": "p1"})) == [share]
    assert told(track("Cart Shared")) == [share | {"data": {}}]


def test_people() -> None:
    address = {"street": "1 High St", "city": "Leeds", "postalCode": "LS1", "country": "GB"}
    traits = {"firstName": "Jo", "lastName": "Doe", "phone": 447700900000, "email": " jo@example.com ", "plan": "x"}
    message = {"type": "identify", "messageId": "m1", "userId": "u1", "traits": traits | {"address": address}}
    changed = {
        "id": "m1",
        "type": "customer.updated",
        "data": {"country": "GB", "city": "Leeds"},
        "personal": {
            "phone": "447700900000",
            "email": "jo@example.com",
            "name": "Jo Doe",
            "address": "1 High St, Leeds, LS1, GB",
        },
    }
    assert told(message) == [changed]
    # RudderStack's clients repeat traits in the context.
    assert told(message | {"traits": {}, "context": {"traits": message["traits"]}}) == [changed]
    new = {"type": "customer.registered", "id": derived_id("customer.registered", "u1")}
    recent = message | {"traits": {"createdAt": "2026-05-01T09:00:00Z", "locale": "zh_CN"}}
    facts = {"data": {"locale": "zh-CN"}}
    assert told(recent) == [new | facts, {"id": "m1", "type": "customer.updated"} | facts]
    old = {"createdAt": "2020-05-01", "address": "1 High St"}
    assert [event["type"] for event in told(message | {"traits": old})] == ["customer.updated"]
    assert told(track("Signed Up")) == [new | {"data": {}}]


def test_traits_that_travel_are_those_that_are_listed() -> None:
    traits = {
        "plan": "pro",
        "size": 42,
        "vip": True,
        "age": 30,
        "skin_type": None,
        "wechat": "x",
        "gender": "13800138000",
    }
    travelling = {"plan", "size", "vip", "skin_type", "gender", "colour"}
    message: dict[str, Any] = {
        "type": "identify",
        "messageId": "m1",
        "userId": "u1",
        "timestamp": TOLD,
        "receivedAt": TOLD,
    }
    message["traits"] = traits | {"tags": ["a", "a", "x" * 99, "ann@example.com", {"b": 1}, 7]}
    made = events(json.dumps(message).encode(), "CNY", travelling)
    assert not isinstance(made, Rejection | Ignored)
    (data,) = (json.loads(event)["data"] for event in made)
    assert data["attributes"] == {"plan": "pro", "size": "42", "skin_type": None, "vip": "true"}
    assert data["tags_added"] == ["a", "x" * 64, "7"]
    assert isinstance(accept(made[0], "shop", "CNY", NOW, historic=False), Accepted)


def test_events_that_the_spec_has_no_name_for_go_under_ours() -> None:
    said = {"order_id": "o1", "carrier": "SF"}
    dispatched = {"id": "m1", "type": "shipment.dispatched", "data": said}
    assert told(track("shipment.dispatched", said)) == [dispatched]
    assert told({"type": "track", "messageId": "m1", "userId": "u1", "event": "checkin"}) == [
        {"id": "m1", "type": "checkin", "data": {}}
    ]
    assert told(track("shipment.dispatched", said | {"typo": 1})) == ("refused", "$.data.typo")
    assert told(track("history.ended", {})) == ("refused", "$.type")
    for name in ("Coupon Applied", "Order Updated", "Promotion Viewed", "order.eaten", "x"):
        assert told(track(name, said)) == Ignored("track")
    assert told({"type": "group", "userId": "u1", "groupId": "g"}) == Ignored("group")


def test_an_alias_says_which_id_somebody_had_before() -> None:
    alias = {"type": "alias", "messageId": "m1", "userId": "u1"}
    updated: dict[str, Any] = {"id": "m1", "type": "customer.updated", "data": {}}
    assert told(alias | {"previousId": "u0"}) == [updated | {"identities": {"previous": "u0"}}]
    both = {"anonymous": "a1", "previous": "u0"}
    assert told(alias | {"previousId": "u0", "anonymousId": "a1"}) == [updated | {"identities": both}]
    both = {"anonymous": "a1", "previous": "a1"}
    assert told(alias | {"anonymousId": "a1"}) == [updated | {"identities": both}]
    assert told(alias) == told(alias | {"previousId": "u1"}) == Ignored("alias")
    assert told(alias | {"previousId": "jo@gmail.com"}) == ("refused", "$.identities.previous")
    assert told({"type": "alias", "anonymousId": "a1", "previousId": "a0"}) == Ignored("alias")


@pytest.mark.parametrize(
    ("message", "told_of"),
    [
        (17, ("$", "expected an object")),
        ({"type": "page"}, ("$.userId", "missing, and no anonymousId either")),
        ({"type": "page", "userId": "", "anonymousId": 1.5}, ("$.userId", "missing, and no anonymousId either")),
        ({"type": "page", "userId": "jo@example.com"}, ("refused", "$.subject")),
        ({"type": "page", "userId": "13800138000"}, ("refused", "$.subject")),
        ({"type": "page", "userId": "a b"}, ("refused", "$.subject")),
        ({"type": "sing", "userId": "u1"}, ("$.type", "expected one of track, identify, page, screen, group, alias")),
        ({"type": [], "userId": "u1"}, ("$.type", "expected one of track, identify, page, screen, group, alias")),
        (track(" "), ("$.event", "missing: the name of what happened")),
        ({"type": "page", "userId": "u1", "timestamp": "2001-01-01"}, ("refused", "$.time")),
        (
            {"type": "page", "userId": "u1", "timestamp": "yesterday"},
            ("$.timestamp", "expected an ISO 8601 time, such as 2026-05-01T12:00:00.000Z"),
        ),
        ({"type": "page", "userId": "u1", "x": "y" * 500_000}, ("$", "larger than 500000 bytes")),
    ],
)
def test_what_is_refused(message: Any, told_of: Any) -> None:
    assert told(message) == told_of


@pytest.mark.parametrize(
    ("times", "at"),
    [
        ({}, TOLD),
        ({"timestamp": "2026-04-30T12:00:00Z"}, "2026-04-30T12:00:00Z"),
        ({"timestamp": "2026-04-30 12:00:00.5"}, "2026-04-30T12:00:00.500000Z"),
        ({"originalTimestamp": "2026-04-30T20:00:00+0800"}, "2026-04-30T12:00:00Z"),
        # A clock that is an hour ahead: sent now, happened ten minutes before.
        ({"timestamp": "2026-05-01T12:50:00Z", "sentAt": "2026-05-01T13:00:00Z"}, "2026-05-01T11:50:00Z"),
        ({"timestamp": "2026-04-30T12:00:00Z", "sentAt": "?"}, "2026-04-30T12:00:00Z"),
        ({"sentAt": "2026-04-30T12:00:00Z"}, TOLD),
        # Forwarded by who received it, or kept as refused and sent again: when it was first received counts.
        ({"receivedAt": "2026-04-30T12:00:00Z"}, "2026-04-30T12:00:00Z"),
        (
            {
                "timestamp": "2026-04-30T12:50:00Z",
                "sentAt": "2026-04-30T13:00Z",
                "receivedAt": "2026-04-30T12:00:00Z",
            },
            "2026-04-30T11:50:00Z",
        ),
        ({"receivedAt": 7}, TOLD),
    ],
)
def test_when_it_happened(times: dict[str, str], at: str) -> None:
    (event,) = told({"type": "page", "messageId": "m1", "userId": "u1"} | times)
    assert event.get("time", TOLD) == at


def test_ids() -> None:
    page = {"type": "page", "userId": "u1", "timestamp": TOLD}
    assert told(page | {"messageId": "node-next-1-a"})[0]["id"] == "node-next-1-a"
    assert told(page | {"messageId": "a b"})[0]["id"] == derived_id("segment", "a b")
    assert told(page | {"messageId": "x" * 129})[0]["id"] == derived_id("segment", "x" * 129)
    nameless = told(page)[0]["id"]
    assert len(nameless) == 32
    assert told(page)[0]["id"] == nameless != told(page | {"name": "Home"})[0]["id"]


def test_a_message_alone() -> None:
    (message,) = parcel({"userId": "u1", "messageId": "m1", "writeKey": "k", "type": "x"}, "page").messages
    assert json.loads(message) == {"userId": "u1", "messageId": "m1", "type": "page", "receivedAt": TOLD}
    forwarded = parcel({"userId": "u1", "messageId": "m1", "type": "page"})
    assert forwarded.messages == [message]
    assert parcel({"batch": []}).messages == []
    for body in (b"", b"[]", b'{"batch": 1}', b'{"writeKey": 1}', b"[" * 50_000, b'{"batch": [1', b"\xff"):
        fault = opened(body, "batch", NOW, 100)
        assert isinstance(fault, Unreadable)
        assert fault.kind == "malformed"
    assert opened(b'{"batch": [1, 2]}', "batch", NOW, 1) == Unreadable("too_large", "more than 1 messages in a batch")


NAMES = (
    *("type", "userId", "anonymousId", "messageId", "event", "properties", "traits", "context", "timestamp", "sentAt"),
    *("originalTimestamp", "batch", "writeKey", "product_id", "order_id", "total", "price", "quantity", "products"),
    *("currency", "rating", "review_body", "address", "city", "createdAt", "locale", "name", "x\x00"),
)
NEAR = st.sampled_from(
    (
        *("track", "identify", "page", "Order Completed", "Product Added", "Order Refunded", "Product Reviewed"),
        *("visit", "u1", "2026-05-01T00:00:00Z", "0000-00-00", "CNY", "12.50", "a\x00b", "\u2028"),
        *(0, -1, 1.5, 10**30, 1e300),
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | NEAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=20,
)
MESSAGES = st.fixed_dictionaries(
    {"userId": NEAR, "type": st.sampled_from(["track", "identify", "page"]), "event": NEAR},
    optional={name: VALUES for name in NAMES if name not in ("userId", "type", "event")},
)


def survives(body: bytes, kind: str) -> None:
    made = opened(body, kind, NOW, 1_000)
    for message in made.messages if isinstance(made, Parcel) else ():
        outcome = events(message, "CNY")
        for event in outcome if not isinstance(outcome, Rejection | Ignored) else ():
            assert isinstance(accept(event, "shop", "CNY", NOW, historic=False), Accepted | Rejection)
        again = opened(b'{"batch": [' + message + b"]}", "batch", NOW, 1_000)
        if isinstance(again, Parcel):  # what is kept and sent again is the same message, with the same ids
            assert events(again.messages[0], "CNY") == outcome


@settings(max_examples=EXAMPLES)
@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()), st.sampled_from(["batch", "track"]))
def test_no_body_is_too_odd(body: bytes, kind: str) -> None:
    survives(body, kind)


@settings(max_examples=EXAMPLES)
@given(st.lists(MESSAGES | VALUES, max_size=3))
def test_no_message_is_too_odd(messages: list[Any]) -> None:
    survives(json.dumps({"batch": messages}).encode(), "batch")
