"""Recency, frequency and money: three scores from a customer's purchases, by a shop's own scale, and the named group.

A scale holds the lower bounds of its scores above 1: `fixed` as the shop wrote them, or republished now and then from
how the customers are spread (`quintiles`). Frequency may be spread so unevenly that many customers share one value;
then a bound names the first customer at that value who belongs above it, so that each fifth is a fifth.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from msgspec import Struct

DAY = timedelta(days=1)
FIFTHS = 5

Money = Literal["total", "average"]  # of a customer's orders


class Bound(Struct, frozen=True, array_like=True, order=True):
    """Who has at least this value belongs above; of those who have just this, customers from that id on."""

    value: Fraction
    customer_id: str = ""


class Scale(Struct, frozen=True):
    """Rising bounds. `days`: since the last purchase, in which more is worse, so the highest score is below all."""

    days: tuple[Fraction, ...]
    orders: tuple[Bound, ...]
    money: tuple[Fraction, ...]  # minor units
    money_is: Money = "total"


class Purchases(Struct, frozen=True):
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

    @property
    def group(self) -> str:
        """The name that everybody knows, by recency and frequency."""
        return GROUPS[self.r, self.f]


def score(purchases: Purchases, at: datetime, scale: Scale) -> Scores:
    """The scores at an instant. Recency counts whole days of 24 hours, and is at a bound no worse than it."""
    days = (at - purchases.last_at) // DAY
    passed = sum(days > bound for bound in scale.days)
    # The first whole number of days above the next bound.
    until = purchases.last_at + (int(scale.days[passed] // 1) + 1) * DAY if passed < len(scale.days) else None
    mine = Bound(Fraction(purchases.orders), purchases.customer_id)
    amount = Fraction(purchases.amount_minor)
    money = amount / purchases.orders if scale.money_is == "average" else amount
    return Scores(
        r=len(scale.days) + 1 - passed,
        f=1 + sum(mine >= bound for bound in scale.orders),
        m=1 + sum(money > bound for bound in scale.money),
        until=until,
    )


def quintiles(customers: Sequence[Purchases], at: datetime, money_is: Money = "total") -> Scale:
    """Bounds that part the customers into fifths: of days and money by linear interpolation between the neighbours of
    each bound, and at the bound still below it; of orders by rank, in the order of ids where they have as many."""
    days = sorted(Fraction((at - each.last_at) // DAY) for each in customers)
    amounts = sorted(Fraction(each.amount_minor, each.orders if money_is == "average" else 1) for each in customers)
    ranked = sorted(Bound(Fraction(each.orders), each.customer_id) for each in customers)
    places = [Fraction(len(ranked) - 1) * part / FIFTHS for part in range(1, FIFTHS)]
    return Scale(
        days=tuple(_between(days, place) for place in places),
        orders=tuple(ranked[min(int(place) + 1, len(ranked) - 1)] for place in places),
        money=tuple(_between(amounts, place) for place in places),
        money_is=money_is,
    )


def _between(values: Sequence[Fraction], place: Fraction) -> Fraction:
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def _groups() -> Mapping[tuple[int, int], str]:
    """The first of these that fits, as published for the UCI Online Retail data set."""
    named = (
        ("hibernating", (1, 2), (1, 2)),
        ("at_risk", (1, 2), (3, 4)),
        ("cant_lose", (1, 2), (5,)),
        ("about_to_sleep", (3,), (1, 2)),
        ("need_attention", (3,), (3,)),
        ("loyal_customers", (3, 4), (4, 5)),
        ("promising", (4,), (1,)),
        ("new_customers", (5,), (1,)),
        ("potential_loyalists", (4, 5), (2, 3)),
        ("champions", (5,), (4, 5)),
    )
    return {(r, f): name for name, rs, fs in reversed(named) for r in rs for f in fs}


GROUPS = _groups()
