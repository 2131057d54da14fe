"""Shopify's own samples, where they lie beside the repository: the events that a person read off them, once."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Delivery
from tests.tidy.tree import ROOT
from tests.unit.ingest.connectors.deliveries import events, ignored, read

PAYLOADS = Path(os.environ.get("REGULARS_PAYLOADS", ROOT.parent / "shared" / "payloads"))

pytestmark = pytest.mark.skipif(not PAYLOADS.is_dir(), reason="no samples beside the repository")

ORDER = {"order_id": "450789469"}
CART = "shopify-cart:68778783ad298f1c80c3bafcddeea02f"
CUSTOMER = "shopify:207119551"


def sample(name: str, under: str) -> Any:
    """What a webhook's body is: what the REST API wraps in a name."""
    return json.loads((PAYLOADS / "shopify_rest_fixtures" / name).read_text(encoding="utf-8"))[under]


def sent(topic: str, body: Any) -> Delivery:
    return Delivery(json.dumps(body).encode(), {"x-shopify-topic": topic})


def usd(minor: int) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": "USD"}


def item(variant: int, name: str, price: int | None = 19900) -> dict[str, Any]:
    told: dict[str, Any] = {"item_id": f"632910392-{variant}", "name": name}
    return told | ({"unit_price": usd(price)} if price is not None else {})


def test_the_order() -> None:
    """Authorized, not paid; its fulfillment failed; edits are told from the second topic on."""
    order = sample("order.json", "order")
    (placed,) = events(read("shopify", sent("orders/create", order)))
    name = "IPod Nano - 8gb"
    whole = ORDER | {"amount": usd(40994), "items": [item(39072856, name), item(49148385, name), item(457924702, name)]}
    assert (placed["type"], placed["time"], placed["data"]) == ("order.placed", "2008-01-10T16:00:00Z", whole)
    assert placed["identities"] == {"buyer": CUSTOMER, "anonymous": CART}
    assert sorted(placed["personal"]) == ["address", "email", "name", "phone"]
    again, edited = events(read("shopify", sent("orders/updated", order)))
    assert again == placed
    assert (edited["type"], edited["data"]) == ("order.updated", whole)


def test_the_carts() -> None:
    first, second = (events(read("shopify", sent("carts/update", cart)))[0] for cart in sample("carts.json", "carts"))
    assert (first["time"], first["data"]) == (
        "2012-02-13T19:39:37Z",
        {"cart_id": "3eed8183d4281db6ea82ee2b8f23e9cc", "items": [{"item_id": "1", "name": "test"}]},
    )
    assert second["identities"] == {"anonymous": "shopify-cart:49801807939c296be1e9a4bf6783a705"}


def test_the_checkout() -> None:
    (checkout,) = sample("checkouts.json", "checkouts")
    (known,) = events(read("shopify", sent("checkouts/update", checkout)))
    assert (known["type"], known["time"]) == ("customer.updated", "2012-10-12T11:05:27Z")
    assert known["data"] == {"country": "US", "city": "Louisville"}
    assert known["identities"] == {"buyer": CUSTOMER, "anonymous": CART}


def test_the_refund() -> None:
    (refunded,) = events(read("shopify", sent("refunds/create", sample("refund.json", "refund"))))
    assert (refunded["type"], refunded["time"]) == ("order.refunded", "2016-06-20T17:35:06Z")
    assert refunded["data"] == ORDER | {"refund_id": "509562969", "amount": usd(20900)}


def test_the_parcel_that_has_not_left() -> None:
    assert ignored(read("shopify", sent("fulfillments/create", sample("fulfillment.json", "fulfillment"))))
    printed = sample("fulfillment_event.json", "fulfillment_event")
    assert ignored(read("shopify", sent("fulfillment_events/create", printed)))
    (left,) = events(read("shopify", sent("fulfillment_events/create", printed | {"status": "in_transit"})))
    assert (left["time"], left["data"]) == (
        "2021-01-25T21:32:23Z",
        {"order_id": "2776493818019", "shipment_id": "2608403447971"},
    )


def test_the_signature() -> None:
    vector = json.loads((PAYLOADS / "_vectors" / "shopify_vector_hmac_sha256.json").read_text(encoding="utf-8"))
    headers = {"x-shopify-hmac-sha256": vector["X-Shopify-Hmac-Sha256"]}
    assert CONNECTORS["shopify"].is_signed(Delivery(vector["body"].encode(), headers), vector["secret"])
    assert not CONNECTORS["shopify"].is_signed(Delivery(vector["body"].encode() + b" ", headers), vector["secret"])
