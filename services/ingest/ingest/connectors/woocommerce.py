"""WooCommerce: an order comes whole, in the state it is in; what happened is read off it.

An event's id is made of order and fact, not of the delivery: one save makes several deliveries, their delivery ids
repeat themselves, and none of it is sent again when it is lost. So the newest body says everything that is known, and
each of its facts counts once.
"""

import hmac
import html
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256

import msgspec
from msgspec import Struct

from common.contracts import ingest
from common.contracts.envelope import Data
from common.money import Money
from ingest.connectors.form import fields
from ingest.connectors.port import Connector, Converted, Delivery, Fault, Ignored, Origin, decode, event
from ingest.connectors.reading import money, time_of
from ingest.connectors.values import label
from ingest.domain.accept import Identities, Personal

SIGNATURE, TOPIC = "x-wc-webhook-signature", "x-wc-webhook-topic"
ORDERS = ("order.created", "order.updated", "order.restored")
NOT_PLACED = ("auto-draft", "checkout-draft", "draft", "trash")


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`customers`: stands before the numbers of WooCommerce's customers, which are nobody else's then."""

    customers: str = "woocommerce"


class Billing(Struct, frozen=True):
    """Whom it is billed to."""

    first_name: str | None = None
    last_name: str | None = None
    address_1: str | None = None
    address_2: str | None = None
    postcode: str | None = None
    city: str | None = None
    country: str | None = None
    email: str | None = None
    phone: str | None = None


class LineItem(Struct, frozen=True):
    """One line; `total` is of the whole line, without tax."""

    product_id: int = 0
    variation_id: int = 0
    quantity: int | float = 1
    name: str | None = None
    total: str | None = None


class Refund(Struct, frozen=True):
    """One refund; its total is negative."""

    id: int
    total: str
    reason: str | None = None


class Order(Struct, frozen=True):
    """An order as the REST API tells it, versions 1 to 3."""

    id: int
    status: str
    currency: str
    total: str
    created: str = msgspec.field(name="date_created_gmt")
    modified: str | None = msgspec.field(name="date_modified_gmt", default=None)
    paid: str | None = msgspec.field(name="date_paid_gmt", default=None)
    completed: str | None = msgspec.field(name="date_completed_gmt", default=None)
    customer_id: int = 0
    billing: Billing = Billing()
    line_items: tuple[LineItem, ...] = ()
    refunds: tuple[Refund, ...] = ()


_ORDER = msgspec.json.Decoder(Order)

Fact = tuple[tuple[str, ...], datetime | None, Data]  # what makes its id, when, what


def is_signed(delivery: Delivery, secret: str) -> bool:
    """base64(HMAC-SHA256(secret, body)); WordPress takes the secret without the entities in it."""
    given = delivery.headers.get(SIGNATURE, "").encode()
    expected = {b64encode(hmac.digest(key.encode(), delivery.body, sha256)) for key in (secret, html.unescape(secret))}
    return True in [hmac.compare_digest(each, given) for each in expected]


def is_probe(delivery: Delivery) -> bool:
    """The first call, when the webhook is saved: a form with nothing but the webhook's number, unsigned."""
    body = delivery.body
    return (
        SIGNATURE not in delivery.headers and body.startswith(b"webhook_id=") and fields(body).keys() == {"webhook_id"}
    )


def convert(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """What an order's body says has happened to it."""
    if delivery.headers.get(TOPIC) not in ORDERS:
        return Ignored("no order that was created or updated")
    order = decode(_ORDER, delivery.body)
    if order.status in NOT_PLACED:
        return Ignored("not placed")
    buyer, personal = _buyer(order, origin), _personal(order.billing)
    told = []
    for number, (cause, at, data) in enumerate(_facts(order)):
        known = personal if number == 0 or buyer is None else None  # a guest has no other name
        told.append(event(origin, ("order", str(order.id), *cause), None, at, data, known, buyer))
    return Converted(tuple(told))


def _facts(order: Order) -> Iterator[Fact]:
    order_id, total = str(order.id), _money(order.total, order.currency, "$.total")
    items = tuple(_item(line, order.currency) for line in order.line_items[: ingest.MAX_ITEMS] if _is_item(line))
    modified = time_of(order.modified, "$.date_modified_gmt")
    yield ("placed",), time_of(order.created, "$.date_created_gmt"), ingest.OrderPlaced(order_id, total, items)
    if order.paid:
        yield ("paid",), time_of(order.paid, "$.date_paid_gmt"), ingest.OrderPaid(order_id, total)
    if order.status == "completed":
        at = time_of(order.completed, "$.date_completed_gmt") or modified
        yield ("completed",), at, ingest.OrderCompleted(order_id, total)
    if order.status == "cancelled":
        yield ("cancelled",), modified, ingest.OrderCancelled(order_id)
    for number, refund in enumerate(order.refunds):
        amount = _money(refund.total.removeprefix("-"), order.currency, f"$.refunds[{number}].total")
        yield ("refunded", str(refund.id)), modified, ingest.OrderRefunded(order_id, str(refund.id), amount)


def _buyer(order: Order, origin: Origin[Options]) -> Identities | None:
    """A customer by WooCommerce's number; a guest is known by the e-mail address and phone number of the bill alone."""
    return Identities(buyer=f"{origin.options.customers}:{order.customer_id}") if order.customer_id else None


def _personal(billing: Billing) -> Personal:
    address = (billing.address_1, billing.address_2, billing.postcode, billing.city, billing.country)
    return Personal(
        phone=label(billing.phone),
        email=label(billing.email),
        name=label(billing.first_name, billing.last_name),
        address=label(*address),
    )


def _is_item(line: LineItem) -> bool:
    return bool(line.product_id) and 1 <= line.quantity <= ingest.MAX_QUANTITY and line.quantity == int(line.quantity)


def _item(line: LineItem, currency: str) -> ingest.Item:
    item_id = f"{line.product_id}-{line.variation_id}" if line.variation_id else str(line.product_id)
    quantity = int(line.quantity)
    return ingest.Item(
        item_id, quantity, label(html.unescape(line.name or "")), unit_price=_each(line.total, quantity, currency)
    )


def _each(total: str | None, quantity: int, currency: str) -> Money | None:
    """A piece's price where it comes out even; what a line with a discount costs is no reason to refuse the order."""
    try:
        whole = _money(total or "", currency, "$")
    except Fault:
        return None
    return Money(whole.amount_minor // quantity, currency) if whole.amount_minor % quantity == 0 else None


def _money(text: str, currency: str, path: str) -> Money:
    """WooCommerce keeps as many digits as the shop has set; more than money has are nobody's amount."""
    return money(text, currency, path, exact=True)


CONNECTOR = Connector("woocommerce", "us", Options, (SIGNATURE, TOPIC), is_signed, convert, is_probe=is_probe)
