"""Product cycle: whether a customer's goods should last still (fresh), should be used up (due), or are long since."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from segmentation.domain.model import Model, Modelled
from segmentation.domain.models.bought import purchases_of
from segmentation.domain.orders import PURCHASE
from segmentation.domain.person import Person

NAME = "product_cycle"
_UNKNOWN = ""  # the category of a purchase that names none


class Cycles(Struct, frozen=True):
    """A shop's: how long goods of a category last."""

    lengths: Mapping[str, timedelta]  # by category
    otherwise: timedelta  # of any other category, and of goods without one
    dormant_after: int  # cycles since a category was last bought, more than 1


def product_cycle(cycles: Cycles) -> Model:
    """The model. A category is fresh until its cycle has passed since it was last bought, then due, then dormant. The
    customer is due as long as one of them is, else fresh as long as one is, else dormant; unknown before a purchase."""

    def lasts(category: str) -> timedelta:
        return cycles.lengths.get(category, cycles.otherwise)

    def answer(person: Person, at: datetime) -> Modelled:
        last: dict[str, datetime] = {}
        for record in purchases_of(person).records:  # oldest first
            for category in record.about.get("categories") or (_UNKNOWN,):
                last[category] = record.at
        if not last:
            return Modelled({})
        changes = sorted(
            (bought_at + lasts(category) * times, became)
            for category, bought_at in last.items()
            for times, became in ((1, "due"), (cycles.dormant_after, "dormant"))
        )
        states = Counter({"fresh": len(last)})
        now, until = "", None
        for index, (when, became) in enumerate(changes):
            if when > at and not now:
                now = _of(states)
            states[_BEFORE[became]] -= 1
            states[became] += 1
            told = index + 1 == len(changes) or changes[index + 1][0] > when  # of equal instants, after the last
            if now and told and _of(states) != now:
                until = when
                break
        newest = max(last, key=lambda category: (last[category], category))
        reason = f"last bought {newest or 'something'} on {last[newest]:%Y-%m-%d}"
        return Modelled({NAME: now or _of(states)}, until, reason)

    return Model(NAME, frozenset({PURCHASE}), (NAME,), answer)


_BEFORE = {"due": "fresh", "dormant": "due"}


def _of(states: Mapping[str, int]) -> str:
    return next(state for state in ("due", "fresh", "dormant") if states[state])
