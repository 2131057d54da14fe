"""WooCommerce: what an order's body says has happened, each once."""

import json
from typing import Any

import pytest

from common.contracts.envelope import Rejection
from ingest.connectors.port import Delivery
from ingest.connectors.woocommerce import SIGNATURE, TOPIC
from tests.unit.ingest.connectors.deliveries import WOOCOMMERCE, events, ignored, read

BILLING = {
    "first_name": "Jane", "last_name": "Roe", "address_1": "1 Main St", "address_2": "", "city": "Springfield",
    "postcode": "94103", "country": "US", "email": "Jane@Example.com", "phone": "(555) 555-0100",
}  # fmt: skip
LINES = [
    {"id": 1, "product_id": 93, "variation_id": 0, "quantity": 2, "name": "Mug &ndash; blue", "total": "6.00"},
    {"id": 2, "product_id": 22, "variation_id": 23, "quantity": 3, "name": "Tea", "total": "10.00"},
    {"id": 3, "product_id": 0, "variation_id": 0, "quantity": 1, "name": "Gone", "total": "1.00"},
]


def order(status: str = "pending", topic: str = "order.updated", **more: Any) -> Delivery:
    body = {
        "id": 727, "status": status, "currency": "USD", "total": "29.35", "customer_id": 25,
        "date_created": "2026-03-22T16:28:02", "date_created_gmt": "2026-03-22T19:28:02",
        "date_modified_gmt": "2026-03-22T19:30:35", "date_paid_gmt": None, "date_completed_gmt": None,
        "billing": BILLING, "line_items": LINES, "refunds": [],
    }  # fmt: skip
    return Delivery(json.dumps(body | more).encode(), {TOPIC: topic})


def facts(delivery: Delivery) -> list[tuple[str, str | None, dict[str, Any]]]:
    return [(event["type"], event.get("time"), event["data"]) for event in events(read("woocommerce", delivery))]


PAID = {"date_paid_gmt": "2026-03-22T19:28:08"}
TOTAL = {"order_id": "727", "amount": {"amount_minor": 2935, "currency": "USD"}}


def test_the_signature() -> None:
    def signed(secret: str, signature: str = "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g=") -> bool:
        return WOOCOMMERCE.is_signed(Delivery(b'{"foo": "bar"}', {SIGNATURE: signature}), secret)

    assert signed("test_secret_key")
    assert not signed("test_secret_kez")
    assert not signed("test_secret_key", "")
    # printf '{"foo": "bar"}' | openssl dgst -sha256 -hmac 'a&b' -binary | base64
    assert signed("a&amp;b", "UWwLak6VRbzXaTqQUcPDrjwOradYXwylQbkzypAMDaM=")
    assert signed("a&b", "UWwLak6VRbzXaTqQUcPDrjwOradYXwylQbkzypAMDaM=")


def test_the_first_call_is_a_form_without_a_signature() -> None:
    assert WOOCOMMERCE.is_probe(Delivery(b"webhook_id=8"))
    assert not WOOCOMMERCE.is_probe(Delivery(b"webhook_id=8&more=1"))
    assert not WOOCOMMERCE.is_probe(Delivery(b"webhook_id=8", {SIGNATURE: "x"}))
    assert not WOOCOMMERCE.is_probe(order())


def test_an_order_that_was_placed() -> None:
    (placed,) = events(read("woocommerce", order(topic="order.created")))
    assert (placed.get("subject"), placed["identities"]) == (None, {"buyer": "woocommerce:25"})
    assert placed["time"] == "2026-03-22T19:28:02Z"
    assert placed["data"] == TOTAL | {
        "items": [
            {
                "item_id": "93",
                "quantity": 2,
                "name": "Mug – blue",
                "unit_price": {"amount_minor": 300, "currency": "USD"},
            },
            {"item_id": "22-23", "quantity": 3, "name": "Tea"},  # its price does not come out even
        ]
    }
    assert placed["personal"] == {
        "phone": "(555) 555-0100",
        "email": "Jane@Example.com",
        "name": "Jane Roe",
        "address": "1 Main St 94103 Springfield US",
    }


def test_paid_and_completed() -> None:
    assert [fact[0] for fact in facts(order("processing", **PAID))] == ["order.placed", "order.paid"]
    completed = facts(order("completed", **PAID, date_completed_gmt="2026-03-23T10:00:00"))
    assert completed[1:] == [
        ("order.paid", "2026-03-22T19:28:08Z", TOTAL),
        ("order.completed", "2026-03-23T10:00:00Z", TOTAL),
    ]


def test_cancelled() -> None:
    assert facts(order("cancelled"))[1:] == [("order.cancelled", "2026-03-22T19:30:35Z", {"order_id": "727"})]
    assert [fact[0] for fact in facts(order("failed"))] == ["order.placed"]  # it may be tried again


def test_refunds_are_told_one_by_one() -> None:
    refunds = [{"id": 9, "reason": "", "total": "-10.00"}, {"id": 8, "reason": "late", "total": "-1.35"}]
    assert [data for _, _, data in facts(order("processing", **PAID, refunds=refunds))[2:]] == [
        {"order_id": "727", "refund_id": "9", "amount": {"amount_minor": 1000, "currency": "USD"}},
        {"order_id": "727", "refund_id": "8", "amount": {"amount_minor": 135, "currency": "USD"}},
    ]


def test_every_delivery_about_an_order_gives_the_same_ids() -> None:
    placed = [event["id"] for event in events(read("woocommerce", order()))]
    paid = [event["id"] for event in events(read("woocommerce", order("processing", **PAID)))]
    completed = [event["id"] for event in events(read("woocommerce", order("completed", **PAID)))]
    assert (paid[:1], completed[:2]) == (placed, paid)
    assert len(set(completed)) == 3


def test_a_guest_is_known_by_contact_data_alone() -> None:
    placed, paid = events(read("woocommerce", order("processing", customer_id=0, **PAID)))
    for event in (placed, paid):  # each names them, since nothing else does
        assert not {"subject", "identities"} & event.keys()
        assert (event["personal"]["email"], event["personal"]["phone"]) == ("Jane@Example.com", "(555) 555-0100")
    (nobody,) = events(read("woocommerce", order(customer_id=0, billing={})))  # known by the order alone
    assert not {"subject", "identities"} & nobody.keys()


def test_what_is_no_news() -> None:
    assert ignored(read("woocommerce", order("checkout-draft")))
    assert ignored(read("woocommerce", Delivery(b'{"id": 727}', {TOPIC: "order.deleted"})))
    assert ignored(read("woocommerce", Delivery(b'{"action": "x", "arg": 1}', {TOPIC: "action.x"})))


@pytest.mark.parametrize("total", ["", "free", "12.345", "-1", "NaN", "Infinity", "1e999999", "1e30"])
def test_an_amount_that_is_none(total: str) -> None:
    assert read("woocommerce", order(total=total)) == Rejection("$.total", "expected an amount such as 12.50")


def test_money_without_minor_units() -> None:
    assert facts(order(currency="JPY", total="2935"))[0][2]["amount"] == {"amount_minor": 2935, "currency": "JPY"}
