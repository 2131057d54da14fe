"""RFM by the shop's own bounds: days since the last purchase, number of purchases, value of an average order."""

from datetime import datetime, timedelta

from msgspec import Struct

from segmentation.domain.models.bought import bought
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person

NAME = "rfm_fixed"


class FixedBounds(Struct, frozen=True):
    """A shop's. 1 is the worst score of each; the best is one more than there are bounds."""

    since_last: tuple[timedelta, ...]  # rising; one score less from each on
    purchases: tuple[int, ...]  # rising; one score more from each on
    order_mid_minor: int  # an average order of this is mid
    order_high_minor: int  # one of more than this is high, of just this not yet


def rfm_fixed(bounds: FixedBounds) -> Model:
    """The model; of who never bought nothing is known."""

    def answer(person: Person, at: datetime) -> Modelled:
        of = bought(person)
        if of is None:
            return Modelled({})
        passed = sum(at - of.last_at >= bound for bound in bounds.since_last)
        until = of.last_at + bounds.since_last[passed] if passed < len(bounds.since_last) else None
        money = 1
        # Whole numbers, so that an average of just a bound is at it: amount / count >= bound.
        money += of.amount_minor >= bounds.order_mid_minor * of.count
        money += of.amount_minor > bounds.order_high_minor * of.count
        facts = {
            "rfm_fixed.r": len(bounds.since_last) + 1 - passed,
            "rfm_fixed.f": 1 + sum(of.count >= bound for bound in bounds.purchases),
            "rfm_fixed.m": money,
        }
        return Modelled(facts, until, f"last bought {of.last_at.date()}, {of.count} purchases")

    return Model(NAME, frozenset({PURCHASE}), ("rfm_fixed.r", "rfm_fixed.f", "rfm_fixed.m"), answer)
