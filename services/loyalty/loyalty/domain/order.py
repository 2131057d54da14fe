"""What an order is worth, from what is known of it: the same whichever of its events came first.

An order counts with its completed amount less its refunds, and with nothing once it was cancelled. So a refund known
before the completion lowers what the completion earns, and the completion of a cancelled order earns nothing.
"""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

MAX_REFUNDS = 100  # ids kept per order; the oldest is forgotten first, and a repeat of it would count again


class Order(Struct, frozen=True, omit_defaults=True):
    """One order of the customer. Amounts are minor units of the programme's currency."""

    completed_at: datetime | None = None  # when its amount was spent, as the sender says
    amount_minor: int = 0
    minor_per_point: int = 0  # as the rules were at its completion: a refund takes back at the rate it earned at
    refunded_minor: int = 0
    refunds: tuple[str, ...] = ()
    cancelled: bool = False

    @property
    def net_minor(self) -> int:
        """What counts as spend. Refunds beyond the amount count up to it."""
        if self.completed_at is None or self.cancelled:
            return 0
        return max(0, self.amount_minor - self.refunded_minor)

    @property
    def points(self) -> int:
        """The points the order is worth: whole ones only."""
        return self.net_minor // self.minor_per_point if self.minor_per_point else 0


def complete(order: Order, amount_minor: int, at: datetime, minor_per_point: int) -> Order:
    """The order with its completion; a second one changes nothing."""
    if order.completed_at is not None:
        return order
    return replace(order, completed_at=at, amount_minor=amount_minor, minor_per_point=minor_per_point)


def refund(order: Order, refund_id: str, amount_minor: int) -> Order:
    """The order with the refund; the same refund again changes nothing."""
    if refund_id in order.refunds:
        return order
    refunds = (*order.refunds, refund_id)[-MAX_REFUNDS:]
    return replace(order, refunded_minor=order.refunded_minor + amount_minor, refunds=refunds)


def cancel(order: Order) -> Order:
    """The order, cancelled for good."""
    return order if order.cancelled else replace(order, cancelled=True)


def unite(one: Order, other: Order) -> Order:
    """The order that two customers knew, each from other news, as far as it can be told who knew what.

    Of refunds their ids and their sum are kept: where each knows some that the other knows too, the larger sum counts.
    """
    first = min((one, other), key=lambda order: (order.completed_at is None, _completion(order)))
    apart = set(one.refunds).isdisjoint(other.refunds)
    refunded = (one.refunded_minor, other.refunded_minor)
    return Order(
        completed_at=first.completed_at,
        amount_minor=first.amount_minor,
        minor_per_point=first.minor_per_point,
        refunded_minor=sum(refunded) if apart else max(refunded),
        refunds=tuple(dict.fromkeys((*one.refunds, *other.refunds)))[-MAX_REFUNDS:],
        cancelled=one.cancelled or other.cancelled,
    )


def _completion(order: Order) -> tuple[float, int, int]:
    at = order.completed_at.timestamp() if order.completed_at is not None else 0.0
    return at, order.amount_minor, order.minor_per_point
