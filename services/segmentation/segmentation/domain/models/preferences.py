"""What a customer likes: the categories bought and carted. Of attributes (a size, a colour) events tell nothing;
what a shop tells of them are facts of their own, `attributes.<name>`."""

from datetime import datetime

from msgspec import Struct

from segmentation.domain.model import Model, Modelled
from segmentation.domain.models.newest import DAY, ever, newest_of
from segmentation.domain.orders import PURCHASE
from segmentation.domain.person import Person
from segmentation.domain.records import Record

CARTED = "cart.item_added"
FIELD = "preferences.categories"


class PreferencePreset(Struct, frozen=True):
    """A category is liked from `least` points on, gathered within `days`: so many for being bought, so many for being
    carted. Of more than `most` those are told that stay liked longest."""

    days: int
    bought: int
    carted: int
    least: int
    most: int


def _categories(kind: str, record: Record) -> set[str]:
    """Each once, however many items of it there are."""
    if kind == PURCHASE:
        return set(record.about.get("categories") or ())
    category = record.about.get("category")
    return {category} if category else set()


def preferences(preset: PreferencePreset) -> Model:
    """The model of a shop."""
    window = preset.days * DAY
    points = {PURCHASE: preset.bought, CARTED: preset.carted}
    kinds = [kind for kind in points if points[kind]]

    def answer(person: Person, at: datetime) -> Modelled:
        if not ever(person, PURCHASE, CARTED):
            return Modelled({})
        gathered: dict[str, int] = {}
        ends: dict[str, datetime] = {}  # of those liked: when the record that completes the points is out of the window
        for kind, record in newest_of(person, kinds, at, window):
            for category in _categories(kind, record):
                if category not in ends:
                    gathered[category] = gathered.get(category, 0) + points[kind]
                    if gathered[category] >= preset.least:
                        ends[category] = record.at + window
        liked = sorted(ends, key=lambda category: (ends[category], category))[-preset.most :]
        until = ends[liked[0]] if liked else None
        return Modelled(
            {FIELD: tuple(sorted(liked))} if liked else {}, until, f"{len(ends)} of {len(gathered)} categories"
        )

    return Model("preferences", frozenset({PURCHASE, CARTED}), (FIELD,), answer)
