"""Two profiles of one person put together, and what one of them brought taken out again.

What is put together is the same in whatever order it comes, as long as fewer than orders.MAX_ORDERS are known one by
one. An order that both knew is one. Taken out is what was brought, by the ids of its orders and by its counts; when
somebody last looked or filled a cart cannot be taken back, and stays.
"""

from datetime import datetime

from msgspec.structs import replace

from segmentation.domain.orders import known, total
from segmentation.domain.state import Carts, KnownOrder, Profile, Purchases, Reviews, Visits


def join(ours: Profile, theirs: Profile) -> Profile:
    """Ours with what theirs holds; where both say who the person is, ours does. Its own place is as last told."""
    orders = {order.order_id: order for order in theirs.orders}
    for order in ours.orders:  # after theirs: those that are forgotten first hear no more news, most likely
        orders[order.order_id] = _one(order, orders.pop(order.order_id, order))
    return known(
        replace(
            ours,
            carts=_carts(ours.carts, theirs.carts),
            reviews=_reviews(ours.reviews, theirs.reviews),
            visits=_visits(ours.visits, theirs.visits),
            locale=ours.locale or theirs.locale,
            country=ours.country or theirs.country,
            city=ours.city or theirs.city,
        ),
        tuple(orders.values()),
        _sum(ours.forgotten, theirs.forgotten),
    )


def part(ours: Profile, theirs: Profile) -> Profile:
    """Ours without what theirs brought. What was heard since of the orders theirs brought goes with them."""
    ids = {order.order_id for order in ours.orders}
    lost = tuple(order for order in theirs.orders if order.order_id not in ids)  # forgotten here since
    brought = {order.order_id for order in theirs.orders}
    return known(
        replace(
            ours,
            carts=_less_carts(ours.carts, theirs.carts),
            reviews=_less_reviews(ours.reviews, theirs.reviews),
            visits=_less_visits(ours.visits, theirs.visits),
        ),
        tuple(order for order in ours.orders if order.order_id not in brought),
        _less(ours.forgotten, total(theirs.forgotten, lost)),
    )


def without_person(profile: Profile) -> Profile:
    """What the shop's own books need: purchases. Who the person is and what it looked at is forgotten."""
    return replace(profile, carts=None, reviews=None, visits=None, locale=None, country=None, city=None)


def _one(one: KnownOrder, other: KnownOrder) -> KnownOrder:
    """Cancelled for good if either says so, else paid at the first of two payments."""
    return min(one, other, key=lambda order: (order.paid_at is not None, order.paid_at, order.amount_minor))


def _sum(one: Purchases | None, other: Purchases | None) -> Purchases | None:
    if one is None or other is None:
        return one or other
    return Purchases(
        one.count + other.count,
        min(one.first_at, other.first_at),
        max(one.last_at, other.last_at),
        one.amount_minor + other.amount_minor,
    )


def _less(one: Purchases | None, other: Purchases | None) -> Purchases | None:
    if one is None or other is None:
        return one
    if one.count <= other.count:
        return None
    return replace(one, count=one.count - other.count, amount_minor=max(0, one.amount_minor - other.amount_minor))


def _carts(one: Carts | None, other: Carts | None) -> Carts | None:
    if one is None or other is None:
        return one or other
    late, early = (one, other) if one.last_at >= other.last_at else (other, one)
    return Carts(one.added + other.added, late.last_at, late.category or early.category)


def _less_carts(one: Carts | None, other: Carts | None) -> Carts | None:
    if one is None or other is None:
        return one
    return replace(one, added=one.added - other.added) if one.added > other.added else None


def _reviews(one: Reviews | None, other: Reviews | None) -> Reviews | None:
    if one is None or other is None:
        return one or other
    return Reviews(one.count + other.count, one.with_photo + other.with_photo)


def _less_reviews(one: Reviews | None, other: Reviews | None) -> Reviews | None:
    if one is None or other is None:
        return one
    if one.count <= other.count:
        return None
    return Reviews(one.count - other.count, max(0, one.with_photo - other.with_photo))


def _visits(one: Visits | None, other: Visits | None) -> Visits | None:
    if one is None or other is None:
        return one or other
    return Visits(one.count + other.count, max(one.last_at, other.last_at))


def _less_visits(one: Visits | None, other: Visits | None) -> Visits | None:
    if one is None or other is None:
        return one
    return Visits(one.count - other.count, one.last_at) if one.count > other.count else None


def still_known(theirs: Profile, moved_at: datetime, forgotten_at: datetime | None) -> Profile:
    """What may be joined of a state that left its customer at a moment: nothing that was to be forgotten since."""
    return without_person(theirs) if forgotten_at is not None and moved_at <= forgotten_at else theirs
