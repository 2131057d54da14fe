"""How a customer reviews: how often, with how many photos, in what mood and about what."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from segmentation.domain.models.days import DAY
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.models.newest import ever, newest
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record

REVIEWED = "review.submitted"
HUNDREDTHS = 100
FIELDS = ("reviews.habit", "reviews.photos", "reviews.mood", "reviews.topics")


class ReviewPreset(Struct, frozen=True):
    """Reviews within `days`; `often` is how many it takes. The mood is by the average rating of the `newest` ones, in
    hundredths of a star: good from so many on, bad below so many."""

    days: int
    often: int
    newest: int
    good_from: int
    bad_below: int


def reviews(preset: ReviewPreset) -> Model:
    """The model of a shop."""
    window = preset.days * DAY

    def answer(person: Person, at: datetime) -> Modelled:
        if not ever(person, REVIEWED, PURCHASE):
            return Modelled({})
        found = newest(person, REVIEWED, at, window)
        if not found:
            return Modelled({"reviews.habit": "none"}, None, f"none within {preset.days} days")
        photos = [record.at for record in found if record.about.get("photo")]
        mood, until = _mood(found, preset, window)
        topics: dict[str, datetime] = {}  # each with its newest review
        for record in found:
            for topic in record.about.get("topics") or ():
                topics.setdefault(topic, record.at)
        often = len(found) >= preset.often
        completing = found[preset.often - 1] if often else found[0]
        ends = [completing.at + window, *(at + window for at in (*photos[-1:], *topics.values()))]
        facts: dict[str, Any] = {"reviews.habit": "often" if often else "seldom", "reviews.mood": mood}
        if photos:
            facts["reviews.photos"] = len(photos)
        if topics:
            facts["reviews.topics"] = tuple(sorted(topics))
        return Modelled(facts, min(until, *ends), f"{len(found)} within {preset.days} days, {len(photos)} with photos")

    return Model("reviews", frozenset({REVIEWED, PURCHASE}), FIELDS, answer)


def _mood(found: Sequence[Record], preset: ReviewPreset, window: timedelta) -> tuple[str, datetime]:
    """The mood, and when it is another, or nobody's: one review after the other is left out, the oldest first."""
    counted = found[: preset.newest]
    stars = sum([record.about["rating"] for record in counted])
    first = _of(stars, len(counted), preset)
    for number in range(len(counted) - 1, 0, -1):
        oldest = counted[number]
        stars -= oldest.about["rating"]
        same_moment = oldest.at == counted[number - 1].at  # the two go together
        if not same_moment and _of(stars, number, preset) != first:
            return first, oldest.at + window
    return first, counted[0].at + window


def _of(stars: int, count: int, preset: ReviewPreset) -> str:
    if stars * HUNDREDTHS >= preset.good_from * count:
        return "good"
    return "bad" if stars * HUNDREDTHS < preset.bad_below * count else "mixed"
