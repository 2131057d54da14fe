"""Activity score, of 100: how much of what an active customer does a customer did lately, in visits, purchases and
interactions."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from segmentation.domain.model import Model, Modelled
from segmentation.domain.models.newest import DAY, ever, newest_of
from segmentation.domain.orders import PURCHASE
from segmentation.domain.person import Person

VISITS = ("visit",)
PURCHASES = (PURCHASE,)
INTERACTIONS = ("cart.item_added", "review.submitted", "share", "checkin", "message.opened", "message.clicked")
KINDS = (*VISITS, *PURCHASES, *INTERACTIONS)


class Part(Struct, frozen=True):
    """So many within `days` give all the points, fewer give their share, rounded down."""

    days: int
    full: int
    points: int


class ActivityPreset(Struct, frozen=True):
    """The points of all three are 100."""

    visits: Part
    purchases: Part
    interactions: Part


def activity_score(preset: ActivityPreset) -> Model:
    """The model of a shop."""
    parts = ((preset.visits, VISITS), (preset.purchases, PURCHASES), (preset.interactions, INTERACTIONS))

    def answer(person: Person, at: datetime) -> Modelled:
        if not ever(person, *KINDS):
            return Modelled({})
        scored = [_score(part, _times(person, kinds, at, part)) for part, kinds in parts]
        until = min((ends for _, ends in scored if ends is not None), default=None)
        points = [score for score, _ in scored]
        reason = "visits {}, purchases {}, interactions {}".format(*points)
        return Modelled({"activity_score": sum(points)}, until, reason)

    return Model("activity_score", frozenset(KINDS), ("activity_score",), answer)


def _times(person: Person, kinds: Iterable[str], at: datetime, part: Part) -> list[datetime]:
    """Of the newest, no more than count; newest first."""
    found = newest_of(person, kinds, at, part.days * DAY, part.full)
    return [record.at for _, record in found[: part.full]]


def _score(part: Part, times: Sequence[datetime]) -> tuple[int, datetime | None]:
    """The points, and when the first of them is lost."""
    score = _points(part, len(times))
    for oldest in range(len(times), 0, -1):
        if _points(part, oldest - 1) < score:
            return score, times[oldest - 1] + part.days * DAY
    return score, None


def _points(part: Part, count: int) -> int:
    return part.points * count // part.full
