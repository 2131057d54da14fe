"""Shopify's orders, refunds and payments: an order comes whole, as it stands, and what happened is read off it.

An event's id is made of order and fact, so that several topics about one change, retries and what a poll finds tell it
once. An edit is what an order's body is at the time it was changed last: whether that is news is known where the order
stands.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec
from msgspec import Struct

from common.contracts import ingest
from common.contracts.envelope import Data
from common.money import Money
from ingest.connectors.port import Converted, Delivery, Ignored, Origin, decode, event
from ingest.connectors.reading import required, time_of
from ingest.connectors.shopify.form import Amount, Fact, MoneySet, Number, Options, amount_of, header, id_of
from ingest.connectors.shopify.lines import Line, items
from ingest.connectors.shopify.people import Bought, city_of, country_of, locale_of, names_in, personal_in
from ingest.connectors.shopify.shipments import Shipment, is_sent, shipment_facts
from ingest.connectors.values import label

CREATED = "orders/create"
PAID = ("paid", "partially_refunded", "refunded")  # of `financial_status`
TAKES_MONEY = ("sale", "capture")  # kinds of transactions
DELIVERED = ("delivered", "picked_up")


class Transaction(Struct, frozen=True):
    """Money that moved, or was to."""

    id: Number = None
    order_id: Number = None
    kind: str | None = None
    status: str | None = None
    amount: Amount = None
    amount_set: MoneySet | None = None
    currency: str | None = None
    processed_at: str | None = None
    created_at: str | None = None
    test: bool = False


class RefundedLine(Struct, frozen=True):
    """How many of a line were taken back, or taken out of an order that is not paid."""

    line_item_id: Number = None
    quantity: int = 0


class Refund(Struct, frozen=True):
    """A refund; without transactions no money went back, and it only says what was taken out of the order."""

    id: Number = None
    order_id: Number = None
    created_at: str | None = None
    processed_at: str | None = None
    transactions: tuple[Transaction, ...] = ()
    refund_line_items: tuple[RefundedLine, ...] = ()


class Order(Bought, frozen=True):
    """An order as webhooks and the REST API tell it."""

    id: Number = None
    created_at: str | None = None
    updated_at: str | None = None
    processed_at: str | None = None
    cancelled_at: str | None = None
    cancel_reason: str | None = None
    closed_at: str | None = None
    test: bool = False
    currency: str | None = None
    total_price: Amount = None
    total_price_set: MoneySet | None = None
    current_total_price: Amount = None
    current_total_price_set: MoneySet | None = None
    financial_status: str | None = None
    fulfillment_status: str | None = None
    line_items: tuple[Line, ...] = ()
    refunds: tuple[Refund, ...] = ()
    fulfillments: tuple[Shipment, ...] = ()


_ORDER, _REFUND = msgspec.json.Decoder(Order), msgspec.json.Decoder(Refund)
_TRANSACTION = msgspec.json.Decoder(Transaction)


def order(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """What an order's body says has happened to it."""
    told = decode(_ORDER, delivery.body)
    if told.test and not origin.options.test_orders:
        return Ignored("a test order")
    order_id = required(id_of(told.id), "$.id")
    identities, personal = names_in(told, origin), personal_in(told)
    made = []
    for cause, at, data in _facts(told, order_id, origin.options, header(delivery, "topic") == CREATED):
        whose = isinstance(data, (ingest.OrderPlaced, ingest.OrderUpdated, ingest.CustomerUpdated))
        made.append(event(origin, ("order", order_id, *cause), None, at, data, personal if whose else None, identities))
    return Converted(tuple(made))


def refund(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """Money that went back."""
    told = decode(_REFUND, delivery.body)
    order_id = required(id_of(told.order_id), "$.order_id")
    facts = tuple(_refund_facts([told], order_id, None, origin.options.test_orders, "$"))
    if not facts:
        return Ignored("a refund without money that went back")
    return Converted(tuple(event(origin, ("order", order_id, *cause), None, at, data) for cause, at, data in facts))


def transaction(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """Some of an order's money came in. Orders say only that all of it has."""
    told = decode(_TRANSACTION, delivery.body)
    if told.kind not in TAKES_MONEY or told.status != "success":
        return Ignored("no payment that succeeded")
    if told.test and not origin.options.test_orders:
        return Ignored("a test payment")
    order_id, payment_id = required(id_of(told.order_id), "$.order_id"), required(id_of(told.id), "$.id")
    amount = amount_of(told.amount, told.amount_set, told.currency, "$.amount")
    at = time_of(told.processed_at or told.created_at, "$.processed_at")
    data = ingest.OrderPaymentReceived(order_id, payment_id, amount)
    return Converted((event(origin, ("order", order_id, "payment", payment_id), None, at, data),))


def _facts(told: Order, order_id: str, options: Options, is_new: bool) -> Iterator[Fact]:
    placed_at = time_of(told.created_at, "$.created_at")
    updated_at = time_of(told.updated_at, "$.updated_at") or placed_at
    cancelled_at = time_of(told.cancelled_at, "$.cancelled_at")
    total = amount_of(told.total_price, told.total_price_set, told.currency, "$.total_price")
    lines = items(told.line_items, total.currency)
    yield ("placed",), placed_at, ingest.OrderPlaced(order_id, total, lines)
    if locale := locale_of(told.customer_locale):
        home = told.billing_address or told.shipping_address
        yield ("customer",), placed_at, ingest.CustomerUpdated(locale, country_of(home), city_of(home))
    amount = total if cancelled_at else _net(told, total)
    if not is_new and not cancelled_at:
        edited = ingest.OrderUpdated(order_id, amount, items(told.line_items, total.currency, _taken_out(told.refunds)))
        yield ("updated", updated_at.isoformat() if updated_at else "", _digest(edited)), updated_at, edited
    if told.financial_status in PAID:
        yield ("paid",), updated_at, ingest.OrderPaid(order_id, amount)
    yield from _shipped(told.fulfillments, order_id)
    if not cancelled_at and told.financial_status in PAID[:2] and _is_final(told, options):
        closed_at = time_of(told.closed_at, "$.closed_at") if options.completed == "closed" else None
        yield ("completed",), closed_at or updated_at, ingest.OrderCompleted(order_id, amount)
    if cancelled_at:
        yield ("cancelled",), cancelled_at, ingest.OrderCancelled(order_id, label(told.cancel_reason))
    yield from _refund_facts(told.refunds, order_id, total.currency, True, "$.refunds")


def _net(told: Order, total: Money) -> Money:
    """What is to be paid after edits, refunds not yet taken off: those are told on their own. `current_total_price`
    has both taken off, so what went back is added again; never more than was ordered, since a refund of a part that
    no line stands for may not be among what was taken off."""
    if told.current_total_price is None and told.current_total_price_set is None:
        return total
    current = amount_of(
        told.current_total_price, told.current_total_price_set, total.currency, "$.current_total_price"
    ).amount_minor
    for refund in told.refunds:
        current += sum(_returned(refund, total.currency, "$.refunds"))
    return Money(min(current, total.amount_minor), total.currency)


def _taken_out(refunds: Sequence[Refund]) -> dict[str, int]:
    """How many of each line an edit took out: what came back for money stays in the order, and is told as a refund."""
    gone: dict[str, int] = {}
    for refund in refunds:
        if not refund.transactions:
            for line in refund.refund_line_items:
                gone[str(line.line_item_id)] = gone.get(str(line.line_item_id), 0) + line.quantity
    return gone


def _returned(refund: Refund, currency: str | None, path: str) -> list[int]:
    """Amounts that went back, in minor units of the currency; what went back in another is nothing that adds up."""
    told = [each for each in refund.transactions if each.kind == "refund" and each.status == "success"]
    amounts = [amount_of(each.amount, each.amount_set, each.currency or currency, f"{path}.amount") for each in told]
    return [amount.amount_minor for amount in amounts if currency in (None, amount.currency)]


def _refund_facts(
    refunds: Sequence[Refund], order_id: str, currency: str | None, tests: bool, path: str
) -> Iterator[Fact]:
    """A refund is told once all of its money has gone back: while some of it is under way, its sum is not known."""
    for refund in refunds:
        returning = [each for each in refund.transactions if each.kind == "refund" and (tests or not each.test)]
        if any(each.status == "pending" for each in returning):
            continue
        amounts = [
            amount_of(each.amount, each.amount_set, each.currency or currency, f"{path}.transactions.amount")
            for each in returning
            if each.status == "success"
        ]
        if not amounts:
            continue
        refund_id = required(id_of(refund.id), f"{path}.id")
        whole = Money(sum(amount.amount_minor for amount in amounts), amounts[0].currency)
        at = time_of(refund.processed_at or refund.created_at, f"{path}.created_at")
        yield ("refunded", refund_id), at, ingest.OrderRefunded(order_id, refund_id, whole)


def _shipped(shipments: Sequence[Shipment], order_id: str) -> Iterator[Fact]:
    for shipment in shipments:
        if id_of(shipment.id) is not None:
            yield from shipment_facts(shipment, order_id)


def _is_final(told: Order, options: Options) -> bool:
    if options.completed == "closed":
        return bool(told.closed_at)
    sent = [shipment for shipment in told.fulfillments if is_sent(shipment)]
    is_delivered = all(shipment.shipment_status in DELIVERED for shipment in sent)
    return told.fulfillment_status == "fulfilled" and (options.completed == "fulfilled" or is_delivered)


def _digest(data: Data) -> str:
    return blake2b(msgspec.json.encode(data), digest_size=8).hexdigest()
