"""What is known of one order, whoever tells it and in whatever order it comes: each of its facts is told once.

Nothing is held back for being late, since a fact that others count (a payment, a refund) counts whenever it comes, and
who reads the bus knows what bars what. Late news only moves nothing here: the furthest state stays the furthest.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeVar, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from common.contracts import ingest
from common.contracts.envelope import Data
from common.ids import derived_id
from common.money import MAX_AMOUNT_MINOR, Money

MAX_IDS = 100  # payments, refunds and parcels of an order, each; a repeat of one before the newest so many counts again
MAX_REMARKS = 20  # the newest are kept: they are there to be read by a person

Stage = Literal["placed", "paid", "completed", "cancelled"]
Step = Literal["dispatched", "arrived_in_city", "out_for_delivery", "delivered"]
STEPS: tuple[Step, ...] = get_args(Step)
STEP_OF: Mapping[str, Step] = {f"shipment.{step}": step for step in STEPS}  # by the event's type
STATES = ("placed", "paid", "dispatched", "delivered", "completed")  # the later, the further

T = TypeVar("T")

OF_ORDERS: tuple[type[Data], ...] = (
    ingest.OrderPlaced,
    ingest.OrderUpdated,
    ingest.OrderPaymentReceived,
    ingest.OrderPaid,
    ingest.OrderCancelled,
    ingest.OrderRefunded,
    ingest.OrderCompleted,
    ingest.ShipmentDispatched,
    ingest.ShipmentArrivedInCity,
    ingest.ShipmentOutForDelivery,
    ingest.ShipmentDelivered,
)


class Moment(Struct, frozen=True, gc=False, array_like=True):
    """When something happened, by the earliest account of it, and when it was first heard of. There are many: short."""

    at: datetime
    heard_at: datetime


class Remark(Struct, frozen=True):
    """What came and was odd. Late: behind what was known; repeated: told under another id; superseded: an edit older
    than one that is known."""

    what: str  # the event's type
    why: Literal["late", "repeated", "superseded"]
    at: datetime
    heard_at: datetime


class Content(Struct, frozen=True, gc=False):
    """What was ordered and for how much, as one event said."""

    edited: bool
    at: datetime
    digest: str  # of amount and items
    amount_minor: int

    def yields_to(self, other: "Content") -> bool:
        """Whether the other is true from now on: an edit comes after the placing, a later edit after an earlier one;
        of the same moment is what was heard last."""
        return (self.edited, self.at) <= (other.edited, other.at)


class Order(Struct, frozen=True, omit_defaults=True):
    """One order. Amounts are minor units of its shop's currency."""

    currency: str = ""
    content: Content | None = None
    stages: dict[Stage, Moment] = {}
    whole_minor: int = 0  # as `order.paid` said; what its parts add up to may be known too
    received_minor: int = 0
    payments: dict[str, int] = {}  # the newest, oldest first
    refunded_minor: int = 0
    refunds: dict[str, int] = {}  # the newest, oldest first
    completed_minor: int | None = None  # as `order.completed` said
    shipments: dict[str, dict[Step, Moment]] = {}  # by shipment id, empty where none was given
    remarks: tuple[Remark, ...] = ()

    @property
    def paid_minor(self) -> int:
        """What came in. Payment by payment and as a whole are two accounts of the same money."""
        return max(self.whole_minor, self.received_minor)

    @property
    def refunded_beyond_minor(self) -> int:
        """Refunds beyond all that is known to be paid: something was told twice, or not at all."""
        return max(0, self.refunded_minor - self.paid_minor) if self.paid_minor else 0

    @property
    def counted_minor(self) -> int | None:
        """What the completed order comes to: what its completion said, unless it was edited after that."""
        completed = self.stages.get("completed")
        if completed is None or self.content is None or not self.content.edited or self.content.at <= completed.at:
            return self.completed_minor
        return self.content.amount_minor

    @property
    def furthest(self) -> tuple[str, Moment] | None:
        """The furthest of STATES that it reached: by any of its parcels. Cancelling and refunding stand aside."""
        if (completed := self.stages.get("completed")) is not None:
            return "completed", completed
        if delivered := [steps["delivered"] for steps in self.shipments.values() if "delivered" in steps]:
            return "delivered", _first(delivered)
        if under_way := [moment for steps in self.shipments.values() for moment in steps.values()]:
            return "dispatched", _first(under_way)
        if (paid := self.stages.get("paid")) is not None:
            return "paid", paid
        placed = self.stages.get("placed")
        return None if placed is None else ("placed", placed)


Heard = tuple[Order, tuple[Data, ...]]  # what is known now, and what is to be told


def hear(order: Order, data: Data, moment: Moment, *, timed: bool = True) -> Heard:
    """The order with one more event, and what is news in it. Not `timed`: it happened when it was heard."""
    order = _in_currency(order, data)
    match data:
        case ingest.OrderPlaced(order_id):
            aside = "cancelled" in order.stages or bool(order.refunds)
            order, told = _stage(order, "placed", data, moment, late=aside or _is_beyond(order, "placed") is not None)
            content = _content(data.amount, data.items, moment.at, edited=False)
            if order.content is None or order.content.yields_to(content):
                order = replace(order, content=content)
        case ingest.OrderUpdated(order_id):
            order, told = _edit(order, data, moment, timed)
        case ingest.OrderPaymentReceived(order_id):
            order, told = _receive(order, data, moment)
        case ingest.OrderPaid(order_id, amount):
            beyond = _is_beyond(order, "paid")  # paid at the door: then it truly was paid after it was delivered
            order, told = _stage(order, "paid", data, moment, late=beyond is not None and moment.at < beyond.at)
            order = replace(order, whole_minor=max(order.whole_minor, amount.amount_minor))
        case ingest.OrderCancelled(order_id):
            order, told = _stage(order, "cancelled", data, moment, late=False)
        case ingest.OrderRefunded(order_id):
            order, told = _refund(order, data, moment)
        case ingest.OrderCompleted(order_id):
            order, told = _complete(order, data, moment)
        case (
            ingest.ShipmentDispatched(order_id, shipment_id)
            | ingest.ShipmentArrivedInCity(order_id, shipment_id)
            | ingest.ShipmentOutForDelivery(order_id, shipment_id)
            | ingest.ShipmentDelivered(order_id, shipment_id)
        ):
            order, told = _step(order, shipment_id or "", data, moment)
        case _:
            raise AssertionError(f"{data.TYPE} tells of no order")
    return _settled(order, told, order_id, moment)


def _settled(order: Order, told: tuple[Data, ...], order_id: str, moment: Moment) -> Heard:
    """Payments may come before the order, and an edit may lower what is to be paid: so this is asked each time."""
    if "paid" in order.stages or not order.payments or order.content is None:
        return order, told
    if order.received_minor < order.content.amount_minor:
        return order, told
    paid = ingest.OrderPaid(order_id, Money(min(order.received_minor, MAX_AMOUNT_MINOR), order.currency))
    return replace(order, stages=order.stages | {"paid": moment}), (*told, paid)


def _stage(order: Order, stage: Stage, data: Data, moment: Moment, *, late: bool) -> Heard:
    known = order.stages.get(stage)
    if known is None:
        order = replace(order, stages=order.stages | {stage: moment})
        return _remarked(order, data, "late", moment) if late else order, (data,)
    order = replace(order, stages=order.stages | {stage: _earlier(known, moment)})
    return _remarked(order, data, "repeated", moment), ()


def _edit(order: Order, data: ingest.OrderUpdated, moment: Moment, timed: bool) -> Heard:
    """Told when it says something new; platforms tell an order again whenever anything about it changes."""
    before = order.content
    # Without a time of its own it is the newest there is, whatever another process's clock shows.
    at = moment.at if timed or before is None else max(moment.at, before.at)
    content = _content(data.amount, data.items, at, edited=True)
    if before is not None and not before.yields_to(content):
        return _remarked(order, data, "superseded", moment), ()
    is_news = before is None or before.digest != content.digest
    return replace(order, content=content), (data,) if is_news else ()


def _complete(order: Order, data: ingest.OrderCompleted, moment: Moment) -> Heard:
    order, told = _stage(order, "completed", data, moment, late=False)
    if not told:
        return order, ()
    order = replace(order, completed_minor=data.amount.amount_minor)
    counted = order.counted_minor
    if counted is None or counted == data.amount.amount_minor:
        return order, (data,)
    return order, (replace(data, amount=Money(counted, data.amount.currency)),)


def _receive(order: Order, data: ingest.OrderPaymentReceived, moment: Moment) -> Heard:
    if data.payment_id in order.payments:
        return _remarked(order, data, "repeated", moment), ()
    payments = _bounded(order.payments, data.payment_id, data.amount.amount_minor)
    return replace(order, payments=payments, received_minor=order.received_minor + data.amount.amount_minor), ()


def _refund(order: Order, data: ingest.OrderRefunded, moment: Moment) -> Heard:
    """Told as it was said even beyond what was paid: which of two accounts is wrong, nobody knows here."""
    if data.refund_id in order.refunds:
        return _remarked(order, data, "repeated", moment), ()
    refunds = _bounded(order.refunds, data.refund_id, data.amount.amount_minor)
    return replace(order, refunds=refunds, refunded_minor=order.refunded_minor + data.amount.amount_minor), (data,)


def _step(order: Order, shipment_id: str, data: Data, moment: Moment) -> Heard:
    """Each parcel for itself: two of them pass the same steps."""
    step = STEP_OF[data.TYPE]
    steps = order.shipments.get(shipment_id, {})
    known = steps.get(step)
    after = steps | {step: moment if known is None else _earlier(known, moment)}
    order = replace(order, shipments=_bounded(order.shipments, shipment_id, after))
    if known is not None:
        return _remarked(order, data, "repeated", moment), ()
    late = any(later in steps for later in STEPS[STEPS.index(step) + 1 :])
    return _remarked(order, data, "late", moment) if late else order, (data,)


def _is_beyond(order: Order, state: str) -> Moment | None:
    """When it got further than the state, if it did."""
    furthest = order.furthest
    if furthest is None or STATES.index(furthest[0]) <= STATES.index(state):
        return None
    return furthest[1]


def _in_currency(order: Order, data: Data) -> Order:
    amount = getattr(data, "amount", None)
    return replace(order, currency=amount.currency) if isinstance(amount, Money) and not order.currency else order


def _content(amount: Money, items: tuple[ingest.Item, ...], at: datetime, *, edited: bool) -> Content:
    digest = derived_id(str(amount.amount_minor), msgspec.json.encode(items).decode())
    return Content(edited, at, digest, amount.amount_minor)


def _remarked(order: Order, data: Data, why: Literal["late", "repeated", "superseded"], moment: Moment) -> Order:
    remark = Remark(data.TYPE, why, moment.at, moment.heard_at)
    return replace(order, remarks=(*order.remarks, remark)[-MAX_REMARKS:])


def _bounded(known: Mapping[str, T], name: str, value: T) -> dict[str, T]:
    after = {**known, name: value}
    if len(after) > MAX_IDS:
        del after[next(iter(after))]
    return after


def _earlier(known: Moment, told: Moment) -> Moment:
    return Moment(min(known.at, told.at), known.heard_at)


def _first(moments: list[Moment]) -> Moment:
    return min(moments, key=lambda moment: moment.at)
