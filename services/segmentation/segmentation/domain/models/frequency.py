"""Weighted frequency: how many purchases a customer's are worth now, each having lost half its worth per half-life.

All of them lose at the same rate, so their sum does: what they are worth at the newest purchase is reckoned once, and
from there on it falls by one known curve. It is told in steps, the last one reached, so that nobody is woken for a
hundredth; the moment at which the next step is lost is looked up on the curve. Whole numbers throughout: every machine
comes to the same. Ages count in full hours, of a purchase to the newest one, and of that to now.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Context
from operator import neg

from msgspec import Struct

from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import NOTHING, Record

HOUR = timedelta(hours=1)
HOURS_PER_DAY = 24
SECONDS_PER_HOUR = 3_600
WHOLE_BITS = 60
WHOLE = 1 << WHOLE_BITS  # what is left of a purchase at age 0
CENT = 100  # weights are hundredths
# Far finer than WHOLE, so that an hour's loss multiplied up to the longest half-life is rounded to the same number.
FINE_BITS = 200
FINE = Context(prec=80)  # more digits than FINE_BITS are

Curve = Sequence[int]  # of WHOLE, what is left after each full hour of one half-life


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
    curve, steps = curve_of(preset.half_life_days * HOURS_PER_DAY), preset.steps
    worth_of = _worth(preset, curve)

    def answer(person: Person, at: datetime) -> Modelled:
        bought = person.series.get(PURCHASE, NOTHING).records
        if not bought:
            return Modelled({})
        last_at = bought[-1].at
        worth = worth_of(bought)
        now = worth * left(max(0, (at - last_at) // HOUR), curve) // (WHOLE * WHOLE * CENT)
        passed = bisect_right(steps, now)
        step = steps[passed - 1] if passed else 0
        until = last_at + _loses(worth, step, curve) * HOUR if passed else None
        return Modelled({"weighted_frequency": step}, until, f"{len(bought)} purchases, worth {now} hundredths of one")

    return Model("weighted_frequency", frozenset({PURCHASE}), ("weighted_frequency",), answer)


def _worth(preset: FrequencyPreset, curve: Curve) -> Callable[[Sequence[Record]], int]:
    """What purchases are worth together at the last of them: weights of ten-thousandths times what is left of WHOLE."""
    categories, half_life = preset.categories, len(curve)
    bounds = [one.from_minor for one in preset.amounts]
    weights = [0, *(one.weight for one in preset.amounts)]

    def worth_of(bought: Sequence[Record]) -> int:
        worth, last_at = 0, bought[-1].at
        for one in bought:
            about, age = one.about, last_at - one.at
            weight = weights[bisect_right(bounds, about["amount"])]
            named = about.get("categories") if categories else None
            weight *= max([categories.get(name, CENT) for name in named]) if named else CENT
            halvings, rest = divmod(age.days * HOURS_PER_DAY + age.seconds // SECONDS_PER_HOUR, half_life)
            worth += weight * (curve[rest] >> halvings)
        return worth

    return worth_of


def curve_of(half_life: int) -> Curve:
    """Of so many hours: WHOLE times two to the power of -hours/half_life, rounded down."""
    hourly = int(FINE.multiply(FINE.power(2, FINE.divide(-1, half_life)), 1 << FINE_BITS))
    curve, fine = [], 1 << FINE_BITS
    for _ in range(half_life):
        curve.append(fine >> FINE_BITS - WHOLE_BITS)
        fine = fine * hourly >> FINE_BITS
    return tuple(curve)


def left(hours: int, curve: Curve) -> int:
    """Of WHOLE, after so many hours; never rises."""
    halvings, rest = divmod(hours, len(curve))
    return curve[rest] >> halvings


def _loses(worth: int, step: int, curve: Curve) -> int:
    """The first full hour after the newest purchase at which less than the step is left."""
    least = -(-step * WHOLE * WHOLE * CENT // worth)  # of WHOLE, for the step to be there still
    halvings = WHOLE_BITS - (least - 1).bit_length()  # it is there at the beginning of this half-life, not of the next
    return halvings * len(curve) + bisect_right(curve, -(least << halvings), key=neg)
