"""How much a customer wants to buy (intent) and can spend: the two sides of a grid of three by three."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from segmentation.domain.models.bought import bought
from segmentation.domain.models.days import DAY
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.models.newest import ever, newest_of
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person

KINDS = ("cart.item_added", "visit", "message.opened", "message.clicked")


class IntentPreset(Struct, frozen=True):
    """What each thing done within `days` counts, how much it takes to be mid and high, and the average order of who
    can spend so much, in minor units."""

    days: int
    points: Mapping[str, int]  # by the kinds of KINDS; one that is absent counts nothing
    mid: int
    high: int
    spending_mid_from: int
    spending_high_above: int


def intent(preset: IntentPreset) -> Model:
    """The model of a shop."""

    def answer(person: Person, at: datetime) -> Modelled:
        if not ever(person, PURCHASE, *KINDS):
            return Modelled({})
        wish, until, points = _intent(person, at, preset)
        facts = {"intent": wish, "spending_power": _spending_power(person, preset)}
        return Modelled(facts, until, f"{points} points within {preset.days} days")

    return Model("intent", frozenset({PURCHASE, *KINDS}), ("intent", "spending_power"), answer)


def _intent(person: Person, at: datetime, preset: IntentPreset) -> tuple[str, datetime | None, int]:
    """The class, when it falls, and the points as far as they were counted: no further than it takes to be high."""
    window = preset.days * DAY
    points, wish, until = 0, "low", None
    for when, each, _ in newest_of(person, preset.points, at, window, preset.high):  # each is worth a point or more
        points += each
        if points >= preset.high:
            return "high", when + window, points
        if wish == "low" and points >= preset.mid:
            wish, until = "mid", when + window
    return wish, until, points


def _spending_power(person: Person, preset: IntentPreset) -> str:
    """By the average of all purchases; who never bought has shown none."""
    of = bought(person)
    if of is None:
        return "low"
    if of.amount_minor > preset.spending_high_above * of.count:
        return "high"
    return "mid" if of.amount_minor >= preset.spending_mid_from * of.count else "low"
