"""Segment's e-commerce spec v2: carts, visits, orders and reviews, as the events that they are."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from common.contracts import ingest
from common.contracts.envelope import Rejection
from common.ids import derived_id
from ingest.connectors.segment.people import Made, Message, event, object_of, registered
from ingest.connectors.values import UNPRINTABLE, any_label, identifier, minor_units, number, quantity

MAX_RATING = 5
AMOUNTS = ("total", "revenue", "value")  # what is to be paid, by the first of them that is there
ITEM_IDS = ("product_id", "sku", "id")


def _item(product: Any, currency: str) -> dict[str, Any] | None:
    """A product as an item; None for one without an id. A price that cannot be read is left out."""
    product = object_of(product)
    item_id = next(filter(None, (identifier(product.get(name)) for name in ITEM_IDS)), None)
    if item_id is None:
        return None
    price = minor_units(product.get("price"), currency)
    item = {
        "item_id": UNPRINTABLE.sub("_", item_id),
        "quantity": quantity(product.get("quantity")),
        "name": any_label(product.get("name")),
        "category": any_label(product.get("category")),
        "unit_price": None if price is None else _money(price, currency),
    }
    return {name: value for name, value in item.items() if value is not None}


def _money(amount_minor: int, currency: str) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": currency}


def _cart(type_: str) -> Callable[[Message], Made | Rejection]:
    def made(message: Message) -> Made | Rejection:
        item = _item(message.properties, message.currency)
        if item is None:
            return Rejection("$.properties.product_id", "missing, and no sku either")
        return [event(type_, {"item": item, "cart_id": identifier(message.properties.get("cart_id"))})]

    return made


def _visit(message: Message) -> Made:
    item = _item(message.properties, message.currency) or {}
    category = item.get("category") or any_label(message.properties.get("category"))
    return [event("visit", {"item_id": item.get("item_id"), "category": category})]


def _shared(message: Message) -> Made:
    return [event("share", {"item_id": (_item(message.properties, message.currency) or {}).get("item_id")})]


def _ordered(message: Message) -> Made | Rejection:
    """Placed and paid, once per order however often it is told; `paid: false` says that the payment is to come.

    An order that names no amount at all is an order of 0: that it happened is true, what it came to is not known.
    """
    said = message.properties
    order_id = identifier(said.get("order_id"))
    if order_id is None:
        return Rejection("$.properties.order_id", "missing")
    amount = _amount(message)
    if isinstance(amount, Rejection):
        return amount
    data = {"order_id": order_id, "amount": amount or _money(0, message.currency)}
    products = said.get("products")
    lines = [_item(product, message.currency) for product in products] if isinstance(products, list) else []
    items = [line for line in lines if line is not None][: ingest.MAX_ITEMS]
    placed = event("order.placed", data | ({"items": items} if items else {}))
    paid = [] if said.get("paid") is False else [event("order.paid", data)]
    return [event | {"id": derived_id(event["type"], order_id)} for event in (placed, *paid)]


def _amount(message: Message) -> dict[str, Any] | Rejection | None:
    """What the message says that it is about in money; None where it says nothing."""
    for name in AMOUNTS:
        if (said := message.properties.get(name)) is not None and said != "":
            minor = minor_units(said, message.currency)
            if minor is None:
                return Rejection(f"$.properties.{name}", "expected an amount such as 12.50, without signs or commas")
            return _money(minor, message.currency)
    return None


def _refunded(message: Message) -> Made | Rejection:
    order_id, amount = identifier(message.properties.get("order_id")), _amount(message)
    if order_id is None:
        return Rejection("$.properties.order_id", "missing")
    if amount is None:
        return Rejection("$.properties.total", "missing: what was paid back")
    if isinstance(amount, Rejection):
        return amount
    refund_id = identifier(message.properties.get("refund_id")) or message.id
    return [event("order.refunded", {"order_id": order_id, "refund_id": refund_id, "amount": amount})]


def _cancelled(message: Message) -> Made | Rejection:
    order_id = identifier(message.properties.get("order_id"))
    if order_id is None:
        return Rejection("$.properties.order_id", "missing")
    return [event("order.cancelled", {"order_id": order_id, "reason": any_label(message.properties.get("reason"))})]


def _reviewed(message: Message) -> Made | Rejection:
    said = message.properties
    stars = number(said.get("rating"))
    if stars is None or not 1 <= stars <= MAX_RATING:
        return Rejection("$.properties.rating", f"expected 1 to {MAX_RATING}")
    text = said.get("review_body")
    facts = {
        "rating": int(stars + Decimal("0.5")),
        "order_id": identifier(said.get("order_id")),
        "item_id": (_item(said, message.currency) or {}).get("item_id"),
    }
    personal = {"personal": {"review_text": text}} if isinstance(text, str) and text.strip() else {}
    return [event("review.submitted", facts, **personal)]


# By name in lower case: the spec's, and those it had in its first version.
_BROWSED = (
    *("products searched", "product list viewed", "product list filtered", "product clicked", "product viewed"),
    *("cart viewed", "checkout started", "checkout step viewed", "checkout step completed", "payment info entered"),
    *("product added to wishlist", "product removed from wishlist"),
    *("viewed product", "clicked product", "viewed product category", "started order"),
)
SPEC: Mapping[str, Callable[[Message], Made | Rejection]] = {
    **dict.fromkeys(_BROWSED, _visit),
    **dict.fromkeys(("product added", "added product", "wishlist product added to cart"), _cart("cart.item_added")),
    **dict.fromkeys(("product removed", "removed product"), _cart("cart.item_removed")),
    **dict.fromkeys(("order completed", "completed order"), _ordered),
    "order refunded": _refunded,
    "order cancelled": _cancelled,
    "product reviewed": _reviewed,
    **dict.fromkeys(("product shared", "cart shared"), _shared),
    "signed up": registered,
}
