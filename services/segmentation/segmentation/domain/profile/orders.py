"""From what is told of orders, in whatever order it comes, to purchases and the other kinds of events made of orders.

Of each customer so many orders are known one by one, those before only as sums by kind. They stay exact with one
exception: news of an order so old that it is not known any more is taken for news of an unknown one, so its
cancellation no longer takes it back and a second payment of it counts again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from common.contracts.ingest import Item
from segmentation.domain.profile.records import About, Record, Series, Sums, added, in_order
from segmentation.domain.profile.state import KnownOrder, Profile, Purchases, Refund

MAX_ORDERS = 200  # known one by one: who cancels does so before another two hundred orders
MAX_ITEMS = 50  # of one order, and as many categories; lines beyond are counted in its pieces alone
MAX_REFUNDS = 20  # of one order; the oldest beyond are taken for one

PURCHASE = "purchase"
LONG_AGO = datetime.min.replace(tzinfo=UTC)


def order_of(profile: Profile, order_id: str) -> KnownOrder | None:
    """The order, where anything is known of it."""
    return next((order for order in profile.orders if order.order_id == order_id), None)


def told(order: KnownOrder, at: datetime, amount_minor: int, lines: Sequence[Item], *, placed: bool) -> KnownOrder:
    """The order is placed, or edited: the newest word counts of what is in it."""
    if placed:
        order = replace(order, placed_at=at if order.placed_at is None else min(order.placed_at, at))
    content = replace(
        order,
        told_at=at,
        told_minor=amount_minor,
        pieces=sum(line.quantity for line in lines),
        items=tuple(dict.fromkeys(line.item_id for line in lines))[:MAX_ITEMS],
        categories=tuple(dict.fromkeys(line.category for line in lines if line.category))[:MAX_ITEMS],
    )
    return newest(order, content)


def newest(one: KnownOrder, other: KnownOrder) -> KnownOrder:
    """The one, with what the other says is in it where that is the newer word; at one time, the greater."""
    if other.told_at is None or (one.told_at is not None and _content(one) >= _content(other)):
        return one
    return replace(
        one,
        told_at=other.told_at,
        told_minor=other.told_minor,
        pieces=other.pieces,
        items=other.items,
        categories=other.categories,
    )


def paid(order: KnownOrder, at: datetime, amount_minor: int) -> KnownOrder:
    """The order is a purchase from its first payment on, unless it was cancelled, even before that payment."""
    if order.paid_at is not None or order.cancelled_at is not None:
        return order
    return replace(order, paid_at=at, amount_minor=amount_minor)


def cancelled(order: KnownOrder, at: datetime) -> KnownOrder:
    """The order is no purchase, and no later payment makes it one."""
    return replace(order, cancelled_at=at if order.cancelled_at is None else min(order.cancelled_at, at))


def completed(order: KnownOrder, at: datetime, amount_minor: int) -> KnownOrder:
    """The order is final, from the first word of it on."""
    return order if order.completed_at is not None else replace(order, completed_at=at, completed_minor=amount_minor)


def refunded(order: KnownOrder, refund: Refund) -> KnownOrder:
    """Money went back, once for each refund's id."""
    if any(known.refund_id == refund.refund_id for known in order.refunds):
        return order
    return replace(order, refunds=in_bounds((*order.refunds, refund)))


def in_bounds(refunds: Iterable[Refund]) -> tuple[Refund, ...]:
    """Oldest first; the oldest of too many are taken for one, of the latest of them."""
    known = sorted(refunds)
    while len(known) > MAX_REFUNDS:
        first, second = known[:2]
        known[:2] = [replace(second, amount_minor=first.amount_minor + second.amount_minor)]
    return tuple(known)


def with_order(profile: Profile, order: KnownOrder) -> Profile:
    """The profile that knows this of the order."""
    orders = list(profile.orders)
    for index, known_one in enumerate(orders):
        if known_one.order_id == order.order_id:
            orders[index] = order
            break
    else:
        orders.append(order)
    return known(profile, orders, profile.dropped)


def known(profile: Profile, orders: list[KnownOrder], dropped: Mapping[str, Sums]) -> Profile:
    """The profile that knows these orders, besides those dropped: those go first of which nothing was heard longest."""
    sums = dict(dropped)
    while len(orders) > MAX_ORDERS:
        oldest = min(orders, key=_last_news)
        orders.remove(oldest)
        for kind, make in MADE_OF.items():
            for record in make(oldest):
                sums[kind] = added(sums.get(kind), record)
    return replace(profile, orders=tuple(orders), purchases=total(sums.get(PURCHASE), orders), dropped=sums)


def total(start: Sums | None, orders: Iterable[KnownOrder]) -> Purchases | None:
    """The purchases at the start, and those among the orders."""
    bought = [(order.paid_at, order.left_minor) for order in orders if order.paid_at and order.cancelled_at is None]
    times = [at for at, _ in bought]
    amount = sum(amount for _, amount in bought)
    if start is not None:
        times += [start.first_at, start.last_at]
        amount += start.totals.get("amount", 0)
    if not times:
        return None
    return Purchases(len(bought) + (start.count if start else 0), min(times), max(times), amount)


def brought_up(profile: Profile) -> Profile:
    """A profile of an earlier version: it kept what it had forgotten in a field of its own, and of a cancelled order
    the id alone."""
    if profile.edition:
        return profile
    if (before := profile.forgotten) is not None:
        sums = Sums(before.count, before.first_at, before.last_at, {"amount": before.amount_minor})
        profile = replace(profile, forgotten=None, dropped={**profile.dropped, PURCHASE: sums})
    if any(order == KnownOrder(order.order_id) for order in profile.orders):
        orders = (replace(o, cancelled_at=LONG_AGO) if o == KnownOrder(o.order_id) else o for o in profile.orders)
        profile = replace(profile, orders=tuple(orders))
    return profile


def series_of(profile: Profile, kind: str) -> Series:
    """The events of a kind that is made of orders."""
    records = [record for order in profile.orders for record in MADE_OF[kind](order)]
    return Series(tuple(in_order(records)), profile.dropped.get(kind))


def _content(order: KnownOrder) -> tuple[datetime | None, int, int, tuple[str, ...], tuple[str, ...]]:
    return order.told_at, order.told_minor, order.pieces, order.items, order.categories


def _last_news(order: KnownOrder) -> datetime:
    times = (order.paid_at, order.cancelled_at, order.placed_at, order.completed_at, order.told_at)
    return max((at for at in (*times, *(refund.at for refund in order.refunds)) if at is not None), default=LONG_AGO)


def _about(order: KnownOrder, amount_minor: int) -> About:
    about: About = {"order": order.order_id, "amount": amount_minor}
    if order.items:
        about |= {"pieces": order.pieces, "items": order.items, "categories": order.categories}
    return about


def _one(order: KnownOrder, at: datetime | None, amount_minor: int) -> tuple[Record, ...]:
    return () if at is None else (Record(at, order.order_id, _about(order, amount_minor)),)


# Which events of each kind an order comes to.
MADE_OF: Mapping[str, Callable[[KnownOrder], Sequence[Record]]] = {
    PURCHASE: lambda order: _one(order, order.paid_at if order.is_purchase else None, order.left_minor),
    "order.placed": lambda order: _one(order, order.placed_at, order.told_minor),
    "order.cancelled": lambda order: _one(order, order.cancelled_at, order.amount_minor or order.told_minor),
    "order.completed": lambda order: _one(order, order.completed_at, order.completed_minor),
    "order.refunded": lambda order: [
        Record(
            refund.at, f"{order.order_id}/{refund.refund_id}", {"order": order.order_id, "amount": refund.amount_minor}
        )
        for refund in order.refunds
    ],
}
