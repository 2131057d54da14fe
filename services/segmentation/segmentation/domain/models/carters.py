"""Who fills a cart: with what most, how often, and whether lately. Who put nothing in for long is none."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from segmentation.domain.models.days import DAY
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.models.newest import newest
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record

ADDED = "cart.item_added"
COUNTED = 100  # of the newest adds in the window, by which the category is found; more tell nothing new
FIELDS = ("carter.category", "carter.frequency", "carter.recency")


class CarterPreset(Struct, frozen=True):
    """All counts are of adds within `days`; high and mid are how many it takes, recent_days the age of the newest."""

    days: int
    mid: int
    high: int
    recent_days: int


def carters(preset: CarterPreset) -> Model:
    """The model of a shop."""
    window, recent = preset.days * DAY, preset.recent_days * DAY

    def answer(person: Person, at: datetime) -> Modelled:
        added = newest(person, ADDED, at, window)
        if not added:
            return Modelled({}, None, f"put nothing in a cart within {preset.days} days")
        frequency, lasting = _frequency(added, preset)
        category, category_until = _most(added[:COUNTED], window)
        lately = at < added[0].at + recent
        until = [lasting.at + window, added[0].at + (recent if lately else window)]
        facts = {"carter.frequency": frequency, "carter.recency": "recent" if lately else "long_standing"}
        if category is not None:
            facts["carter.category"] = category
            until.append(category_until)
        return Modelled(facts, min(until), f"put {len(added)} in carts within {preset.days} days")

    return Model("carters", frozenset({ADDED}), FIELDS, answer)


def _frequency(added: Sequence[Record], preset: CarterPreset) -> tuple[str, Record]:
    """The class, and the record without which it is another."""
    if len(added) >= preset.high:
        return "high", added[preset.high - 1]
    if len(added) >= preset.mid:
        return "mid", added[preset.mid - 1]
    return "low", added[0]


def _most(added: Sequence[Record], window: timedelta) -> tuple[str | None, datetime]:
    """The category added most, of as many the one added last; and when it is another, or none."""
    of_category: list[tuple[datetime, str]] = []
    counts: dict[str, int] = {}
    last: dict[str, datetime] = {}
    for record in added:
        if category := record.about.get("category"):
            of_category.append((record.at, category))
            counts[category] = counts.get(category, 0) + 1
            last.setdefault(category, record.at)
    if not last:
        return None, added[0].at + window

    def rank(category: str) -> tuple[int, datetime, str]:
        return counts[category], last[category], category

    first, fell = max(counts, key=rank), False  # only once the first one fell may another lead
    for number in range(len(of_category) - 1, 0, -1):
        at, category = of_category[number]
        counts[category] -= 1
        fell = fell or category == first
        same_moment = at == of_category[number - 1][0]  # the two go together
        if fell and not same_moment:
            if max(counts, key=rank) != first:
                return first, at + window
            fell = False
    return first, last[first] + window
