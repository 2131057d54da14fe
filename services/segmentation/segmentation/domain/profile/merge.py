"""Two profiles of one person put together, and what one of them brought taken out again.

What is put together is the same in whatever order it comes, as long as no more is known one by one than is kept so. An
order or an event that both knew is one. Taken out is what was brought, by the ids of its orders and of its events and
by its counts; when somebody was first and last seen cannot be taken back, and stays.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from segmentation.domain.profile.catalogue import ATTRIBUTE, OF_LIST, SERIES
from segmentation.domain.profile.evolve import CART_FACTS, MAX_ATTRIBUTES, Touched
from segmentation.domain.profile.notes import joined, parted
from segmentation.domain.profile.orders import MADE_OF, in_bounds, known, newest
from segmentation.domain.profile.records import NOTHING, Record, Series, Sums, added, bounded, in_order, minus, plus
from segmentation.domain.profile.state import Carts, KnownOrder, Profile, Refund, Reviews, Visits

_OF_THE_PERSON = ("locale", "country", "city", "tags", "refused", "allowed", "tier", "points")
_SEEN = ("first_seen_at", "last_seen_at")


def everything_of(one: Profile, other: Profile) -> Touched:
    """The names of all that a profile can say; of its own names, those that either has."""
    attributes = sorted(f"{ATTRIBUTE}{name}" for name in one.attributes.keys() | other.attributes.keys())
    lists = sorted(f"{OF_LIST}{name}" for name in {*one.lists, *other.lists})
    return (*SERIES, *_OF_THE_PERSON, *CART_FACTS, *_SEEN, *attributes, *lists)


def join(ours: Profile, theirs: Profile) -> Profile:
    """Ours with what theirs holds; where both say who the person is, ours does. Its own place is as last told."""
    orders = {order.order_id: order for order in theirs.orders}
    for order in ours.orders:  # after theirs
        orders[order.order_id] = _one(order, orders.pop(order.order_id, order))
    together = replace(
        ours,
        carts=_carts(ours.carts, theirs.carts),
        reviews=_reviews(ours.reviews, theirs.reviews),
        visits=_visits(ours.visits, theirs.visits),
        locale=ours.locale or theirs.locale,
        country=ours.country or theirs.country,
        city=ours.city or theirs.city,
        series=_both(ours.series, theirs.series),
        attributes=dict(sorted((theirs.attributes | ours.attributes).items())[:MAX_ATTRIBUTES]),
        tags=tuple(sorted({*ours.tags, *theirs.tags})[:MAX_ATTRIBUTES]),
        consents={
            name: max(each[name] for each in (ours.consents, theirs.consents) if name in each)
            for name in theirs.consents | ours.consents
        },
        lists=tuple(sorted({*ours.lists, *theirs.lists})),
        lists_lent=tuple(sorted({*ours.lists_lent, *theirs.lists} - ({*ours.lists} - {*ours.lists_lent}))),
        first_seen_at=min((at for at in (ours.first_seen_at, theirs.first_seen_at) if at), default=None),
        last_seen_at=max((at for at in (ours.last_seen_at, theirs.last_seen_at) if at), default=None),
        waiting=joined(ours.waiting, theirs.waiting),
    )
    return known(together, list(orders.values()), _sums(ours.dropped, theirs.dropped))


def part(ours: Profile, theirs: Profile) -> Profile:
    """Ours without what theirs brought. What was heard since of the orders theirs brought goes with them."""
    ids = {order.order_id for order in ours.orders}
    brought = {order.order_id for order in theirs.orders}
    lost = dict(theirs.dropped)
    for order in theirs.orders:
        if order.order_id not in ids:  # dropped here since
            for kind, make in MADE_OF.items():
                for record in make(order):
                    lost[kind] = added(lost.get(kind), record)
    series, waiting = parted(ours, theirs)
    apart = replace(
        ours,
        carts=_less_carts(ours.carts, theirs.carts),
        reviews=_less_reviews(ours.reviews, theirs.reviews),
        visits=_less_visits(ours.visits, theirs.visits),
        series=_without(ours.series, series),
        lists=tuple(name for name in ours.lists if name not in theirs.lists or name not in ours.lists_lent),
        lists_lent=tuple(name for name in ours.lists_lent if name not in theirs.lists),
        waiting=waiting,
    )
    left = {kind: sums for kind, total in ours.dropped.items() if (sums := minus(total, lost.get(kind)))}
    return known(apart, [order for order in ours.orders if order.order_id not in brought], left)


def without_person(profile: Profile) -> Profile:
    """What the shop's own books need: orders and their money, and what loyalty keeps. Who the person is, what it did,
    looked at and bought is forgotten."""
    orders = tuple(replace(o, pieces=0, items=(), categories=()) for o in profile.orders)
    return Profile(
        lifecycle=profile.lifecycle,
        activity=profile.activity,
        purchases=profile.purchases,
        orders=orders,
        dropped=profile.dropped,
        erased_at=profile.erased_at,
        tier=profile.tier,
        points=profile.points,
        waiting=profile.waiting,
        answers=profile.answers,
        places=profile.places,
        revision=profile.revision,
        edition=profile.edition,
        closed=profile.closed,
        resting=profile.resting,
    )


def still_known(theirs: Profile, moved_at: datetime, forgotten_at: datetime | None) -> Profile:
    """What may be joined of a state that left its customer at a moment: nothing that was to be forgotten since."""
    return without_person(theirs) if forgotten_at is not None and moved_at <= forgotten_at else theirs


# Orders


def _one(one: KnownOrder, other: KnownOrder) -> KnownOrder:
    """What either says: cancelled for good if one does, else paid at the first of two payments."""
    if one == other:
        return one
    paid_at, amount_minor = min(((o.paid_at, o.amount_minor) for o in (one, other) if o.paid_at), default=(None, 0))
    completed = [(o.completed_at, o.completed_minor) for o in (one, other) if o.completed_at]
    completed_at, completed_minor = min(completed, default=(None, 0))
    return replace(
        newest(one, other),
        paid_at=paid_at,
        amount_minor=amount_minor,
        cancelled_at=min((o.cancelled_at for o in (one, other) if o.cancelled_at), default=None),
        placed_at=min((o.placed_at for o in (one, other) if o.placed_at), default=None),
        completed_at=completed_at,
        completed_minor=completed_minor,
        refunds=_refunds(one.refunds, other.refunds),
    )


def _refunds(one: tuple[Refund, ...], other: tuple[Refund, ...]) -> tuple[Refund, ...]:
    by_id = {refund.refund_id: refund for refund in sorted((*one, *other), reverse=True)}
    return in_bounds(by_id.values())


# Series


def _both(ours: Mapping[str, Series], theirs: Mapping[str, Series]) -> dict[str, Series]:
    joined = dict(ours)
    for kind, series in theirs.items():
        mine = ours.get(kind, NOTHING)
        records: dict[str, Record] = {record.name: record for record in (*series.records, *mine.records)}
        before = series.before if mine.before is None else mine.before
        if mine.before is not None and series.before is not None:
            before = plus(mine.before, series.before)
        joined[kind] = bounded(in_order(records.values()), before)
    return joined


def _without(ours: Mapping[str, Series], theirs: Mapping[str, Series]) -> dict[str, Series]:
    left: dict[str, Series] = {}
    for kind, series in ours.items():
        brought = theirs.get(kind, NOTHING)
        names = {record.name for record in brought.records}
        here = {record.name for record in series.records}
        lost = brought.before
        for record in brought.records:
            if record.name not in here:  # dropped since
                lost = added(lost, record)
        records = tuple(record for record in series.records if record.name not in names)
        before = minus(series.before, lost)
        if records or before is not None:
            left[kind] = Series(records, before)
    return left


def _sums(ours: Mapping[str, Sums], theirs: Mapping[str, Sums]) -> dict[str, Sums]:
    return dict(ours) | {kind: plus(ours.get(kind), sums) for kind, sums in theirs.items()}


# Counts


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
