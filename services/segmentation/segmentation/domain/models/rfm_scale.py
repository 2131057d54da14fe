"""Recency, frequency and money against a shop's own customers: three scores of 1 to 5 by a scale of quintiles.

A scale holds the bounds between the scores, published now and then from how the customers are spread. Frequency is
spread so unevenly that many customers share one value; then a bound names the first customer at that value who belongs
above it, so that each fifth is a fifth.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from math import floor

from msgspec import Struct

from segmentation.domain.models.days import DAY

FIFTHS = 5


class Bound(Struct, frozen=True, array_like=True, order=True):
    """Who has more orders than this belongs above; of those who have just as many, customers from that id on."""

    orders: int
    customer_id: str


class Scale(Struct, frozen=True, dict=True):
    """Four rising bounds each. `days`: since the last purchase, in which more is worse, so that the highest score is
    below all of them. Of days and money, who is at a bound is still below it."""

    days: tuple[Fraction, ...]
    orders: tuple[Bound, ...]
    money: tuple[Fraction, ...]  # minor units, of all purchases together

    @cached_property
    def whole_days(self) -> tuple[int, ...]:
        """A whole number is above a bound where it is above the whole part of it, which is compared sooner."""
        return tuple(floor(bound) for bound in self.days)

    @cached_property
    def whole_money(self) -> tuple[int, ...]:
        """Likewise."""
        return tuple(floor(bound) for bound in self.money)


class Purchaser(Struct, frozen=True):
    """What the scores are made of: the purchases that count, at least one."""

    customer_id: str
    last_at: datetime
    orders: int
    amount_minor: int


class Scores(Struct, frozen=True):
    """1 is the worst. `until` is when recency next falls if nothing happens."""

    r: int
    f: int
    m: int
    until: datetime | None


def score(of: Purchaser, at: datetime, scale: Scale) -> Scores:
    """The scores at an instant. Recency counts whole days of 24 hours."""
    days = (at - of.last_at) // DAY
    bounds = scale.whole_days
    passed = bisect_left(bounds, days)
    # The first whole number of days above the next bound.
    until = of.last_at + (bounds[passed] + 1) * DAY if passed < len(bounds) else None
    return Scores(
        r=len(bounds) + 1 - passed,
        f=1 + bisect_right(scale.orders, Bound(of.orders, of.customer_id)),
        m=1 + bisect_left(scale.whole_money, of.amount_minor),
        until=until,
    )


def places(customers: int) -> tuple[Fraction, ...]:
    """Where the four bounds lie among so many customers in a row, the first of whom is at 0."""
    return tuple(Fraction(customers - 1) * part / FIFTHS for part in range(1, FIFTHS))


def between(below: int, above: int, place: Fraction) -> Fraction:
    """The bound at a place between two neighbours, by linear interpolation."""
    return below + (above - below) * (place - int(place))


def quintiles(customers: Sequence[Purchaser], at: datetime) -> Scale:
    """The bounds that part the customers, of whom there is at least one, into fifths: of days and money by linear
    interpolation between neighbours, of orders by rank, in the order of ids where they have as many."""
    days = sorted((at - each.last_at) // DAY for each in customers)
    money = sorted(each.amount_minor for each in customers)
    ranked = sorted(Bound(each.orders, each.customer_id) for each in customers)
    last = len(customers) - 1
    pairs = [(int(place), min(int(place) + 1, last), place) for place in places(len(customers))]
    return Scale(
        days=tuple(between(days[low], days[high], place) for low, high, place in pairs),
        orders=tuple(ranked[high] for _, high, _ in pairs),
        money=tuple(between(money[low], money[high], place) for low, high, place in pairs),
    )
