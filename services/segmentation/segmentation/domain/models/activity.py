"""Activity score, of 100: how much of what an active customer does a customer did lately, in visits, purchases and
interactions."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from segmentation.domain.models.days import DAY
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.models.newest import ever
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import NOTHING

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
    visits, purchases, interactions = _Scale(preset.visits), _Scale(preset.purchases), _Scale(preset.interactions)

    def answer(person: Person, at: datetime) -> Modelled:
        if not ever(person, *KINDS):
            return Modelled({})
        visited, until_visits = visits.score(_newest(person, VISITS, visits.full), at)
        bought, until_bought = purchases.score(_newest(person, PURCHASES, purchases.full), at)
        joined, until_joined = interactions.score(_newest(person, INTERACTIONS, interactions.full), at)
        until = min([until for until in (until_visits, until_bought, until_joined) if until is not None], default=None)
        reason = f"visits {visited}, purchases {bought}, interactions {joined}"
        return Modelled({"activity_score": visited + bought + joined}, until, reason)

    return Model("activity_score", frozenset(KINDS), ("activity_score",), answer)


class _Scale:
    """What a part gives for each count, and which of the newest, when it is lost, takes points away."""

    def __init__(self, part: Part) -> None:
        self.full, self._window = part.full, part.days * DAY
        self._points = [part.points * count // part.full for count in range(part.full + 1)]
        self._losing = [self._points.index(points) for points in self._points]  # the fewest that give as many points

    def score(self, times: Sequence[datetime], at: datetime) -> tuple[int, datetime | None]:
        """The points for those that are in the window still, of no more than count, and when the first are lost."""
        count = len(times) - bisect_right(times, at - self._window)
        losing = self._losing[count]
        return self._points[count], times[-losing] + self._window if losing else None


def _newest(person: Person, kinds: Sequence[str], most: int) -> Sequence[datetime]:
    """When the newest of these kinds happened, oldest first."""
    times: list[datetime] = []
    told = 0
    for kind in kinds:
        if records := person.series.get(kind, NOTHING).records:
            times += [record.at for record in records[-most:]]
            told += 1
    if told > 1:
        times.sort()
    return times[-most:]
