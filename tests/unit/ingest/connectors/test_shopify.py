"""Shopify: what each topic's body says has happened, each fact under one id whatever brings it."""

import hmac
import json
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.envelope import Rejection
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Converted, Delivery, Outcome
from ingest.connectors.shopify.connector import READERS
from ingest.domain.accept import accept
from tests.unit.ingest.connectors.deliveries import events, ignored, read
from tests.unit.ingest.connectors.test_any_body import JSON, NAMES, NEAR, NOW

EXAMPLES = 60  # per topic
SHOPIFY = CONNECTORS["shopify"]
BILL = {
    "first_name": "Ann", "last_name": "Roe", "address1": "1 Main St", "zip": "94103", "city": "Springfield",
    "province": "Oregon", "country": "United States", "country_code": "US", "phone": "+1 555 0100",
}  # fmt: skip
GIFT = BILL | {"first_name": "Cy", "last_name": "Doe", "address1": "9 Side St", "phone": "+1 555 0199"}
BUYER = {"id": 706405506930370084, "email": "ann@example.com", "first_name": "Ann", "last_name": "Roe"}
LINES: list[dict[str, Any]] = [
    {"id": 1, "product_id": 632910392, "variant_id": 39072856, "quantity": 2, "title": "Mug", "price": "3.00"},
    {"id": 2, "product_id": 632910393, "variant_id": 49148385, "quantity": 1, "title": "Tea", "price": "23.35"},
    {"id": 3, "product_id": None, "variant_id": None, "quantity": 1, "title": "Tip", "price": "0.00"},
]
ORDER: dict[str, Any] = {
    "id": 820982911946154508, "currency": "USD", "total_price": "29.35", "financial_status": "pending",
    "created_at": "2026-03-22T12:28:02-07:00", "updated_at": "2026-03-22T12:28:03-07:00", "test": False,
    "email": "ann@example.com", "phone": None, "customer": BUYER, "cart_token": "Z2NwLXVz", "billing_address": BILL,
    "shipping_address": GIFT, "line_items": LINES, "refunds": [], "fulfillments": [],
}  # fmt: skip
ORDER_ID = "820982911946154508"
TOTAL = {"order_id": ORDER_ID, "amount": {"amount_minor": 2935, "currency": "USD"}}
LATER = {"updated_at": "2026-03-23T10:00:00-07:00"}
FULFILLED: dict[str, Any] = {
    "id": 255858046, "order_id": 820982911946154508, "status": "success", "shipment_status": None,
    "tracking_company": "UPS", "created_at": "2026-03-23T09:00:00-07:00", "updated_at": "2026-03-23T09:00:00-07:00",
}  # fmt: skip
REFUND: dict[str, Any] = {
    "id": 509562969, "order_id": 820982911946154508, "created_at": "2026-03-25T13:35:06-07:00",
    "refund_line_items": [{"line_item_id": 1, "quantity": 1}],
    "transactions": [{"id": 1, "kind": "refund", "status": "success", "amount": "3.00", "currency": "USD"}],
}  # fmt: skip


def sent(topic: str, body: Any, prefix: str = "x-shopify-", **headers: str) -> Delivery:
    named = {prefix + name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(json.dumps(body).encode(), {f"{prefix}topic": topic, **named})


def order(topic: str = "orders/updated", **more: Any) -> Delivery:
    return sent(topic, ORDER | more)


def told(topic: str, body: Any, **options: Any) -> list[dict[str, Any]]:
    return events(read("shopify", sent(topic, body), **options))


def types(outcome: Outcome) -> list[str]:
    return [event["type"] for event in events(outcome)]


def ids(outcome: Outcome) -> dict[str, str]:
    return {event["type"]: event["id"] for event in events(outcome)}


def test_the_signature() -> None:
    def signed(secret: str, headers: dict[str, str]) -> bool:
        return SHOPIFY.is_signed(Delivery(b'{"foo": "bar"}', headers), secret)

    published = "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g="
    for name in ("x-shopify-hmac-sha256", "shopify-hmac-sha256"):
        assert name in SHOPIFY.heeds
        assert signed("test_secret_key", {name: published})
        assert not signed("test_secret_kez", {name: published})
        assert not signed("test_secret_key", {name: "ü"})
    assert not signed("test_secret_key", {})
    assert b64encode(hmac.digest(b"test_secret_key", b'{"foo": "bar"}', sha256)).decode() == published


def test_an_order_that_was_placed() -> None:
    (placed,) = events(read("shopify", order("orders/create")))
    assert (placed["type"], placed["time"]) == ("order.placed", "2026-03-22T19:28:02Z")
    assert "subject" not in placed
    assert placed["identities"] == {"buyer": "shopify:706405506930370084", "anonymous": "shopify-cart:Z2NwLXVz"}
    assert placed["data"] == TOTAL | {
        "items": [
            {
                "item_id": "632910392-39072856",
                "quantity": 2,
                "name": "Mug",
                "unit_price": {"amount_minor": 300, "currency": "USD"},
            },
            {
                "item_id": "632910393-49148385",
                "name": "Tea",
                "unit_price": {"amount_minor": 2335, "currency": "USD"},
            },
        ]
    }


def test_the_phone_and_name_beside_a_presents_address_are_nobodys_here() -> None:
    (placed,) = events(read("shopify", order("orders/create")))
    assert placed["personal"] == {
        "phone": "+1 555 0100",
        "email": "ann@example.com",
        "name": "Ann Roe",
        "address": "9 Side St 94103 Springfield Oregon United States",
    }


def test_nobody_at_the_till() -> None:
    """Known by the order alone."""
    (placed,) = told("orders/create", {name: ORDER[name] for name in ("id", "currency", "total_price", "created_at")})
    assert not {"subject", "identities", "personal"} & placed.keys()


def test_what_everybody_is_paid_in_is_what_counts() -> None:
    def money(shop: str, seen: str) -> dict[str, Any]:
        amounts = {"shop_money": (shop, "USD"), "presentment_money": (seen, "EUR")}
        return {name: {"amount": amount, "currency_code": currency} for name, (amount, currency) in amounts.items()}

    lines = [LINES[0] | {"price": "2.80", "price_set": money("3.00", "2.80")}]
    foreign = order("orders/create", currency="EUR", total_price="27.00", total_price_set=money("29.35", "27.00"))
    (placed,) = events(read("shopify", foreign))
    assert placed["data"]["amount"] == TOTAL["amount"]
    (placed,) = events(read("shopify", order("orders/create", line_items=lines)))
    assert placed["data"]["items"][0]["unit_price"] == {"amount_minor": 300, "currency": "USD"}


def test_money_without_minor_units() -> None:
    (placed,) = told("orders/create", ORDER | {"currency": "JPY", "total_price": "2935"})
    assert placed["data"]["amount"] == {"amount_minor": 2935, "currency": "JPY"}


@pytest.mark.parametrize("total", ["", "free", "-1", "NaN", "1e999999", "1e30", None])
def test_an_amount_that_is_none(total: str | None) -> None:
    assert read("shopify", order(total_price=total)) == Rejection("$.total_price", "expected an amount such as 12.50")


@pytest.mark.parametrize("currency", ["", "usd", "US", "EURO", None])
def test_a_currency_that_is_none(currency: str | None) -> None:
    assert read("shopify", order(currency=currency)) == Rejection("$.total_price", "names no currency")


def test_paid_and_completed() -> None:
    paid = order("orders/paid", **LATER, financial_status="paid")
    assert types(read("shopify", paid)) == ["order.placed", "order.updated", "order.paid"]
    whole: dict[str, Any] = {"financial_status": "paid", "fulfillment_status": "fulfilled", "fulfillments": [FULFILLED]}
    final = events(read("shopify", order(**LATER, **whole)))
    assert [(event["type"], event["time"], event["data"]) for event in final[2:]] == [
        ("order.paid", "2026-03-23T17:00:00Z", TOTAL),
        (
            "shipment.dispatched",
            "2026-03-23T16:00:00Z",
            {"order_id": ORDER_ID, "shipment_id": "255858046", "carrier": "UPS"},
        ),
        ("order.completed", "2026-03-23T17:00:00Z", TOTAL),
    ]


def test_what_completes_an_order_is_the_shops_to_say() -> None:
    def completes(option: str, **more: Any) -> bool:
        state: dict[str, Any] = {
            "financial_status": "paid",
            "fulfillment_status": "fulfilled",
            "fulfillments": [FULFILLED],
        } | more
        return "order.completed" in types(read("shopify", order(**state), completed=option))

    delivered: dict[str, Any] = {"fulfillments": [FULFILLED | {"shipment_status": "delivered"}]}
    closed = {"closed_at": "2026-03-24T10:00:00-07:00"}
    assert completes("fulfilled")
    assert not completes("fulfilled", fulfillment_status="partial")
    assert not completes("delivered")
    assert completes("delivered", **delivered)
    half = {"fulfillments": [*delivered["fulfillments"], FULFILLED | {"id": 2}]}
    assert not completes("delivered", **half)
    assert not completes("closed")
    assert completes("closed", **closed)
    for unpaid in ("pending", "authorized", "partially_paid", "voided", "refunded"):
        assert not completes("closed", **closed, financial_status=unpaid)
    assert completes("fulfilled", financial_status="partially_refunded")
    assert not completes("fulfilled", cancelled_at="2026-03-24T10:00:00-07:00")


def test_cancelled() -> None:
    """What Shopify takes off a cancelled order is no edit, and what was paid for it was."""
    gone = {"id": 5, "refund_line_items": [{"line_item_id": 1, "quantity": 2}], "transactions": []}
    body = order(
        "orders/cancelled",
        cancelled_at="2026-03-24T10:00:00-07:00",
        cancel_reason="customer",
        current_total_price="0.00",
        financial_status="paid",
        refunds=[gone],
    )
    _placed, paid, cancelled = events(read("shopify", body))
    assert paid["data"] == TOTAL
    assert (cancelled["time"], cancelled["data"]) == (
        "2026-03-24T17:00:00Z",
        {"order_id": ORDER_ID, "reason": "customer"},
    )


def test_a_refund_is_told_once_by_its_own_topic_and_by_the_order() -> None:
    (refunded,) = told("refunds/create", REFUND)
    assert refunded["data"] == {
        "order_id": ORDER_ID,
        "refund_id": "509562969",
        "amount": {"amount_minor": 300, "currency": "USD"},
    }
    assert refunded["time"] == "2026-03-25T20:35:06Z"
    whole = order(**LATER, financial_status="partially_refunded", refunds=[REFUND], current_total_price="26.35")
    assert events(read("shopify", whole))[-1] == refunded | {
        "identities": events(read("shopify", whole))[0]["identities"]
    }


def test_a_refund_counts_when_its_money_has_gone_back() -> None:
    (first,) = REFUND["transactions"]
    second = first | {"id": 2, "amount": "1.00"}
    for state in ("pending", "failure"):
        pair = REFUND | {"transactions": [first, second | {"status": state}]}
        outcome = read("shopify", sent("refunds/create", pair))
        assert ignored(outcome) if state == "pending" else len(events(outcome)) == 1
    (refunded,) = told("refunds/create", REFUND | {"transactions": [first, second]})
    assert refunded["data"]["amount"]["amount_minor"] == 400
    assert ignored(read("shopify", sent("refunds/create", REFUND | {"transactions": []})))


def updated(**more: Any) -> dict[str, Any]:
    (edited,) = [event for event in told("orders/updated", ORDER | more) if event["type"] == "order.updated"]
    return edited


def test_an_edit_is_the_order_as_it_stands_without_its_refunds() -> None:
    taken_out = {"id": 5, "refund_line_items": [{"line_item_id": 1, "quantity": 1}], "transactions": []}
    edited = updated(current_total_price="26.35", refunds=[taken_out])["data"]
    assert edited["amount"]["amount_minor"] == 2635
    assert "quantity" not in edited["items"][0]  # 1: the other was taken out
    refunded = updated(current_total_price="26.35", refunds=[REFUND])["data"]
    assert refunded["amount"]["amount_minor"] == 2935
    assert refunded["items"][0]["quantity"] == 2
    part_of_no_line = updated(current_total_price="29.35", refunds=[REFUND])["data"]
    assert part_of_no_line["amount"]["amount_minor"] == 2935
    added = updated(total_price="52.70", current_total_price="52.70")["data"]
    assert added["amount"]["amount_minor"] == 5270


def test_an_edit_and_its_undoing_are_three_states() -> None:
    first, edited = updated(), updated(**LATER, total_price="52.70")
    undone = updated(updated_at="2026-03-24T10:00:00-07:00")
    assert len({first["id"], edited["id"], undone["id"]}) == 3
    again = updated(updated_at="2026-03-24T17:00:00Z")  # the same time in another zone
    assert again["id"] == undone["id"]


def test_every_topic_about_an_order_gives_the_same_ids() -> None:
    whole = ORDER | LATER | {"financial_status": "paid", "fulfillment_status": "fulfilled", "fulfillments": [FULFILLED]}
    topics = ("orders/updated", "orders/paid", "orders/fulfilled", "orders/partially_fulfilled")
    assert len({json.dumps(ids(read("shopify", sent(topic, whole)))) for topic in topics}) == 1
    placed = ids(read("shopify", order("orders/create")))
    assert placed.items() <= ids(read("shopify", sent("orders/updated", whole))).items()


def test_the_headers_without_x() -> None:
    assert events(read("shopify", sent("orders/create", ORDER, "shopify-"))) == told("orders/create", ORDER)


def test_test_orders_and_test_notifications_are_passed_over_unless_wanted() -> None:
    assert ignored(read("shopify", order(test=True)))
    assert ignored(read("shopify", sent("orders/create", ORDER, test="true")))
    assert ignored(read("shopify", sent("order_transactions/create", PAYMENT | {"test": True})))
    for delivery in (order(test=True), sent("orders/create", ORDER, test="true")):
        assert events(read("shopify", delivery, test_orders=True))


PAYMENT = {
    "id": 389404469, "order_id": 820982911946154508, "kind": "capture", "status": "success", "amount": "10.00",
    "currency": "USD", "processed_at": "2026-03-22T12:30:00-07:00", "test": False,
}  # fmt: skip


def test_a_part_of_the_money() -> None:
    (paid,) = told("order_transactions/create", PAYMENT)
    assert (paid["type"], paid["time"]) == ("order.payment_received", "2026-03-22T19:30:00Z")
    assert paid["data"] == {
        "order_id": ORDER_ID,
        "payment_id": "389404469",
        "amount": {"amount_minor": 1000, "currency": "USD"},
    }
    for other in ({"kind": "authorization"}, {"kind": "refund"}, {"kind": "void"}, {"status": "failure"}):
        assert ignored(read("shopify", sent("order_transactions/create", PAYMENT | other)))


def test_parcels() -> None:
    (dispatched,) = told("fulfillments/create", FULFILLED)
    assert dispatched["type"] == "shipment.dispatched"
    steps = [
        {"status": status, "fulfillment_id": 255858046, "order_id": 820982911946154508, "happened_at": at}
        for status, at in (
            ("in_transit", "2026-03-23T12:00:00Z"),
            ("out_for_delivery", "2026-03-25T08:00:00Z"),
            ("delivered", "2026-03-25T12:00:00Z"),
        )
    ]
    carried = [told("fulfillment_events/create", step)[0] for step in steps]
    assert [event["type"] for event in carried] == [
        "shipment.dispatched",
        "shipment.out_for_delivery",
        "shipment.delivered",
    ]
    assert carried[0]["id"] == dispatched["id"]
    delivered = FULFILLED | {"shipment_status": "delivered", "updated_at": "2026-03-25T12:00:09Z"}
    assert [event["id"] for event in told("fulfillments/update", delivered)] == [carried[0]["id"], carried[2]["id"]]
    for quiet in ("label_printed", "ready_for_pickup", "delayed", "failure", None):
        assert ignored(read("shopify", sent("fulfillment_events/create", steps[0] | {"status": quiet})))


@pytest.mark.parametrize("status", ["pending", "open", "cancelled", "error", "failure", None])
def test_a_parcel_that_does_not_go_out(status: str | None) -> None:
    assert ignored(read("shopify", sent("fulfillments/update", FULFILLED | {"status": status})))


def test_a_download_is_no_parcel() -> None:
    download = FULFILLED | {"line_items": [{"id": 1, "requires_shipping": False}]}
    assert ignored(read("shopify", sent("fulfillments/create", download)))


CART = {
    "id": "Z2NwLXVz", "token": "Z2NwLXVz", "updated_at": "2026-03-22T19:00:00.000Z",
    "line_items": [
        {"id": 39072856, "product_id": 632910392, "variant_id": 39072856, "quantity": 1, "title": "Mug"},
        {"id": 39072856, "product_id": 632910392, "variant_id": 39072856, "quantity": 2, "title": "Mug, engraved"},
    ],
}  # fmt: skip


def test_a_cart_whole_under_its_token() -> None:
    (cart,) = told("carts/update", CART)
    assert (cart["type"], cart["identities"]) == ("cart.updated", {"anonymous": "shopify-cart:Z2NwLXVz"})
    assert cart["data"] == {
        "cart_id": "Z2NwLXVz",
        "items": [{"item_id": "632910392-39072856", "quantity": 3, "name": "Mug"}],
    }
    (empty,) = told("carts/update", CART | {"line_items": []})
    assert empty["data"] == {"cart_id": "Z2NwLXVz"}
    assert empty["id"] != cart["id"]  # of the same second
    assert told("carts/create", CART)[0]["id"] == cart["id"]
    assert read("shopify", sent("carts/update", {"line_items": []})) == Rejection("$.token", "missing: a cart's token")


def test_a_checkout_says_who_is_behind_a_cart() -> None:
    checkout = {
        "token": "2a1ace52", "cart_token": "Z2NwLXVz", "email": "ann@example.com", "customer_locale": "zh-TW",
        "updated_at": "2026-03-22T19:10:00Z", "billing_address": BILL,
    }  # fmt: skip
    (known,) = told("checkouts/create", checkout)
    assert (known["type"], known["data"]) == (
        "customer.updated",
        {"locale": "zh-CN", "country": "US", "city": "Springfield"},
    )
    assert known["identities"] == {"anonymous": "shopify-cart:Z2NwLXVz"}
    assert known["personal"]["email"] == "ann@example.com"
    again, more = told("checkouts/update", checkout), told("checkouts/update", checkout | {"customer": BUYER})
    assert again[0]["id"] == known["id"] != more[0]["id"]
    assert more[0]["identities"]["buyer"] == "shopify:706405506930370084"
    assert "ann" not in known["id"]
    assert ignored(read("shopify", sent("checkouts/create", {"token": "2a1ace52", "cart_token": "Z2NwLXVz"})))


def test_an_order_tells_the_language_it_was_placed_in() -> None:
    known = [event["data"] for event in told("orders/create", ORDER | {"customer_locale": "en-CA"})][1]
    assert known == {"locale": "en", "country": "US", "city": "Springfield"}


CONSENT = {
    "state": "subscribed", "opt_in_level": "confirmed_opt_in", "consent_updated_at": "2026-03-22T12:28:00-07:00",
}  # fmt: skip
CUSTOMER = BUYER | {
    "created_at": "2026-03-22T12:28:00-07:00", "updated_at": "2026-03-22T12:28:00-07:00", "locale": "en",
    "phone": "+15550100", "default_address": BILL,
}  # fmt: skip


def test_a_customer() -> None:
    (registered,) = told("customers/create", CUSTOMER)
    assert registered["type"] == "customer.registered"
    assert registered["data"] == {"locale": "en", "country": "US", "city": "Springfield"}
    assert registered["identities"] == {"buyer": "shopify:706405506930370084"}
    assert registered["personal"]["phone"] == "+15550100"
    (changed,) = told("customers/update", CUSTOMER)
    assert changed["type"] == "customer.updated"  # one from before the connection is not told as new
    assert ignored(read("shopify", sent("customers/delete", {"id": 1})))


def test_another_word_before_the_numbers() -> None:
    (registered,) = told("customers/create", CUSTOMER, customers="eu")
    assert registered["identities"] == {"buyer": "eu:706405506930370084"}


def test_consent_by_channel_with_its_proof() -> None:
    (allowed,) = told(
        "customers_marketing_consent/update", {"id": 7, "phone": "+15550100", "sms_marketing_consent": CONSENT}
    )
    assert allowed["data"] == {"channel": "sms", "purpose": "marketing", "granted": True, "via": "shopify"}
    assert allowed["time"] == "2026-03-22T19:28:00Z"
    assert json.loads(allowed["personal"]["consent_proof"]) == {
        "customer": "7",
        "channel": "sms",
        "said": CONSENT | {"consent_collected_from": None},
    }
    news = {"customer_id": 7, "email_address": "ann@example.com", "email_marketing_consent": CONSENT}
    (of_mail,) = told("customers_email_marketing_consent/update", news)
    assert of_mail["data"]["channel"] == "email"
    in_the_record = told("customers/update", {"id": 7, "email_marketing_consent": CONSENT})
    assert in_the_record[1]["id"] == of_mail["id"]


@pytest.mark.parametrize(
    ("state", "asked", "granted"),
    [
        ("unsubscribed", True, False),
        ("unsubscribed", False, False),
        ("not_subscribed", True, False),
        ("not_subscribed", False, None),
        ("pending", True, False),
        ("pending", False, None),
        ("invalid", False, False),
        ("something new", True, None),
    ],
)
def test_what_is_no_consent(state: str, asked: bool, granted: bool | None) -> None:
    said = {"state": state, "consent_updated_at": CONSENT["consent_updated_at"] if asked else None}
    found = told("customers/update", CUSTOMER | {"email_marketing_consent": said})[1:]
    assert [event["data"]["granted"] for event in found] == ([] if granted is None else [granted])


def test_consent_as_it_was_written_before_2023() -> None:
    old = {"accepts_marketing": False, "accepts_marketing_updated_at": "2026-03-22T12:28:00-07:00"}
    assert [event["data"]["granted"] for event in told("customers/update", CUSTOMER | old)[1:]] == [False]
    assert told("customers/update", CUSTOMER | {"accepts_marketing": False})[1:] == []


def requests(delivery: Delivery) -> list[tuple[str, list[tuple[str, str]], str]]:
    outcome = read("shopify", delivery)
    assert isinstance(outcome, Converted)
    assert not outcome.events
    return [
        (asked.kind, [(name.kind, name.value) for name in asked.names], asked.reference) for asked in outcome.requests
    ]


def test_the_three_privacy_topics() -> None:
    shop = {"shop_id": 954889, "shop_domain": "shop.example.com"}
    person = {"id": 191167, "email": "ann@example.com", "phone": "+15550100"}
    names = [("buyer", "shopify:191167"), ("email", "ann@example.com"), ("phone", "+15550100")]
    wanted = shop | {"customer": person, "orders_requested": [299938], "data_request": {"id": 9999}}
    assert requests(sent("customers/data_request", wanted)) == [("export", names, "customers/data_request:9999")]
    forget = shop | {"customer": person, "orders_to_redact": [299938]}
    (once,) = requests(sent("customers/redact", forget, event_id="e1", webhook_id="w1"))
    assert once == ("erase", [*names, ("order", "299938")], "customers/redact:e1")
    (other,) = requests(sent("customers/redact", forget, webhook_id="w2"))
    assert other[2] == "customers/redact:w2"
    assert requests(sent("customers/redact", forget)) == requests(sent("customers/redact", forget))
    only_mail = shop | {"customer": {"id": None, "email": "ann@example.com", "phone": None}}
    assert requests(sent("customers/redact", only_mail, event_id="e2"))[0][1] == [("email", "ann@example.com")]
    assert requests(sent("shop/redact", shop, event_id="e3")) == [("erase_shop", [], "shop/redact:e3")]
    assert ignored(read("shopify", sent("customers/redact", shop)))


def test_what_is_no_news() -> None:
    for topic in ("orders/edited", "orders/delete", "app/uninstalled", "products/update", ""):
        assert ignored(read("shopify", sent(topic, {"id": 1})))
    assert ignored(read("shopify", Delivery(b"")))


@pytest.mark.parametrize("topic", READERS)
def test_no_body_of_any_topic_is_too_much(topic: str) -> None:
    @settings(max_examples=EXAMPLES)
    @given(body=st.one_of(NEAR["shopify"], st.dictionaries(NAMES, JSON, max_size=8), JSON))
    def law(body: Any) -> None:
        outcome = read("shopify", sent(topic, body))
        assert read("shopify", sent(topic, body)) == outcome
        if isinstance(outcome, Converted):
            for event in outcome.events:
                accept(event, "shop", "CNY", NOW, historic=False)

    law()


@pytest.mark.parametrize("topic", READERS)
def test_a_body_that_is_none(topic: str) -> None:
    for body in (b"", b"[]", b'"x"', b"{", b"\xff"):
        outcome = read("shopify", Delivery(body, {"x-shopify-topic": topic}))
        assert isinstance(outcome, Rejection)
        assert outcome.path.startswith("$")
