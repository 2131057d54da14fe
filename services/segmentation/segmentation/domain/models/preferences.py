"""What a customer likes: the categories bought and carted. Of attributes (a size, a colour) events tell nothing;
what a shop tells of them are facts of their own, `attributes.<name>`."""

from datetime import datetime

from msgspec import Struct

from segmentation.domain.models.days import DAY
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.models.newest import newest_of
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person

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


def preferences(preset: PreferencePreset) -> Model:
    """The model of a shop."""
    window = preset.days * DAY
    points = {kind: each for kind, each in ((PURCHASE, preset.bought), (CARTED, preset.carted)) if each}

    def answer(person: Person, at: datetime) -> Modelled:
        gathered: dict[str, int] = {}
        ends: dict[str, datetime] = {}  # of those liked: when the record that completes the points is out of the window
        for when, each, record in newest_of(person, points, at, window):
            about = record.about  # of a purchase, each category once; of what was put in a cart, its own
            for category in about.get("categories") or (about.get("category"),):
                if category and category not in ends:
                    gathered[category] = so_far = gathered.get(category, 0) + each
                    if so_far >= preset.least:
                        ends[category] = when + window
        liked = sorted(ends, key=lambda category: (ends[category], category))[-preset.most :]
        until = ends[liked[0]] if liked else None
        return Modelled(
            {FIELD: tuple(sorted(liked))} if liked else {}, until, f"{len(ends)} of {len(gathered)} categories"
        )

    return Model("preferences", frozenset(points), (FIELD,), answer)
