"""Product cycle: whether a customer's goods should last still (fresh), should be used up (due), or are long since."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from segmentation.domain.models.bought import purchases_of
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person

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

    lengths = {category: (length, length * cycles.dormant_after) for category, length in cycles.lengths.items()}
    otherwise = cycles.otherwise, cycles.otherwise * cycles.dormant_after

    def answer(person: Person, at: datetime) -> Modelled:
        last: dict[str, datetime] = {}
        for record in purchases_of(person).records:  # oldest first
            for category in record.about.get("categories") or (_UNKNOWN,):
                last[category] = record.at
        if not last:
            return Modelled({})
        spans = []  # in which each is due
        for category, bought_at in last.items():
            due, dormant = lengths.get(category, otherwise)
            spans.append((bought_at + due, bought_at + dormant))
        bought_at, newest = max([(bought_at, category) for category, bought_at in last.items()])
        now, until = _state(spans, at)
        return Modelled({NAME: now}, until, f"last bought {newest or 'something'} on {bought_at.date()}")

    return Model(NAME, frozenset({PURCHASE}), (NAME,), answer)


def _state(spans: list[tuple[datetime, datetime]], at: datetime) -> tuple[str, datetime | None]:
    """The customer's, and when it is another."""
    spans.sort()
    until: datetime | None = None  # when nothing that is due now, or becomes due until then, is due any more
    for due_at, dormant_at in spans:
        if due_at > (until or at):
            break
        if dormant_at > at:
            until = max(until or dormant_at, dormant_at)
    if until is not None:
        return "due", until
    becomes_due = [due_at for due_at, _ in spans if due_at > at]
    return ("fresh", becomes_due[0]) if becomes_due else ("dormant", None)
