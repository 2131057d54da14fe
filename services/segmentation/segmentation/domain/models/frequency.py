"""Weighted frequency: how many purchases a customer's are worth now, each having lost half its worth per half-life.

All of them lose at the same rate, so their sum does: what they are worth at the newest purchase is reckoned once, and
from there on it falls by one known curve. It is told in steps, the last one reached, so that nobody is woken for a
hundredth; the moment at which the next step is lost is looked up on the curve. Whole numbers throughout: every machine
comes to the same. Ages count in full hours, of a purchase to the newest one, and of that to now.
"""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from math import log2

from msgspec import Struct

from segmentation.domain.model import Model, Modelled
from segmentation.domain.orders import PURCHASE
from segmentation.domain.person import Person
from segmentation.domain.records import NOTHING, Record

HOUR = timedelta(hours=1)
HOURS_PER_DAY = 24
WHOLE = 1 << 60  # what is left of a purchase at age 0
CENT = 100  # weights are hundredths
HALVINGS_MAX = 64  # after as many nothing is left of anything
CURVE = Context(prec=40)  # far more digits than WHOLE has, so that rounding down gives the same everywhere


class AmountWeight(Struct, frozen=True):
    """Purchases of at least `from_minor` weigh so many hundredths."""

    from_minor: int
    weight: int


class FrequencyPreset(Struct, frozen=True):
    """Weights are hundredths: by category (of several the largest; one not named 100) times by amount (the last
    reached). `steps` rise, in hundredths of a purchase made now."""

    half_life_days: int
    categories: Mapping[str, int]
    amounts: tuple[AmountWeight, ...]
    steps: tuple[int, ...]


def weighted_frequency(preset: FrequencyPreset) -> Model:
    """The model of a shop."""
    half_life = preset.half_life_days * HOURS_PER_DAY

    def answer(person: Person, at: datetime) -> Modelled:
        bought = person.series.get(PURCHASE, NOTHING).records
        if not bought:
            return Modelled({})
        last_at = bought[-1].at
        worth = sum(weight(one, preset) * left((last_at - one.at) // HOUR, half_life) for one in bought)
        now = _value(worth, (at - last_at) // HOUR, half_life)
        passed = bisect_right(preset.steps, now)
        facts = {"weighted_frequency": preset.steps[passed - 1] if passed else 0}
        until = last_at + _loses(worth, preset.steps[passed - 1], half_life) * HOUR if passed else None
        return Modelled(facts, until, f"{len(bought)} purchases, worth {now} hundredths of one")

    return Model("weighted_frequency", frozenset({PURCHASE}), ("weighted_frequency",), answer)


def weight(purchase: Record, preset: FrequencyPreset) -> int:
    """Ten-thousandths: hundredths by category times hundredths by amount."""
    of_category = max(
        (preset.categories.get(one, CENT) for one in purchase.about.get("categories") or ()), default=CENT
    )
    reached = [one.weight for one in preset.amounts if purchase.about["amount"] >= one.from_minor]
    return of_category * (reached[-1] if reached else 0)


def left(hours: int, half_life: int) -> int:
    """Of WHOLE, after so many hours; never rises."""
    halvings, rest = divmod(hours, half_life)
    return _within_one(rest, half_life) >> halvings if halvings < HALVINGS_MAX else 0


def _value(worth: int, hours: int, half_life: int) -> int:
    """Hundredths, rounded down."""
    return worth * left(hours, half_life) // (WHOLE * WHOLE * CENT)


def _loses(worth: int, step: int, half_life: int) -> int:
    """The first full hour after the newest purchase at which less than the step is left."""
    guess = int(half_life * log2(worth / (step * WHOLE * CENT)))  # the curve without its rounding
    low, high = max(0, guess - 1), guess + 2
    if _value(worth, low, half_life) < step or _value(worth, high, half_life) >= step:
        low, high = 0, half_life * HALVINGS_MAX
    while low < high:
        middle = (low + high) // 2
        if _value(worth, middle, half_life) < step:
            high = middle
        else:
            low = middle + 1
    return low


@lru_cache(maxsize=100_000)  # more than the hours of the longest half-life
def _within_one(hours: int, half_life: int) -> int:
    """WHOLE times two to the power of -hours/half_life, rounded down; hours < half_life."""
    power = CURVE.power(Decimal(2), -CURVE.divide(Decimal(hours), Decimal(half_life)))
    return int(CURVE.multiply(Decimal(WHOLE), power))
