"""The sections of a preset that the models of shoppers are made of. A section left out leaves its model out."""

from itertools import pairwise
from typing import Annotated, Literal

import msgspec
from pydantic import Field, field_validator, model_validator

from segmentation.domain.models.churn import BEFORE_MIN
from segmentation.domain.models.shoppers import Shoppers
from segmentation.domain.profile.records import MAX_RECORDS
from segmentation.presets.sections import (
    MAX_CATEGORIES,
    MAX_MINOR,
    AverageOrder,
    Days,
    Section,
    holds_for_the_shop,
    must_rise,
    of_currency,
    rising,
)

PER_CENT = 100
MAX_PER_CENT = 10_000
MAX_POINTS = 100
MAX_WEIGHT = 10_000  # hundredths
MAX_STEP = 1_000_000  # hundredths of a purchase
MAX_STEPS = 100
MAX_LEVELS = 10
MAX_TOLD = 50  # categories
MAX_GAPS = 50
MAX_STARS = 500  # hundredths

Count = Annotated[int, Field(ge=1, le=MAX_RECORDS)]  # as many as are remembered one by one
Points = Annotated[int, Field(ge=1, le=MAX_POINTS)]
Weight = Annotated[int, Field(ge=0, le=MAX_WEIGHT)]
Stars = Annotated[int, Field(ge=100, le=MAX_STARS)]
PerCent = Annotated[int, Field(ge=1, le=MAX_PER_CENT)]
IntentKind = Literal["cart.item_added", "visit", "message.opened", "message.clicked"]


class Carters(Section):
    """Classes of who fills a cart."""

    days: Days
    mid: Count
    high: Count
    recent_days: Days

    @model_validator(mode="after")
    def _rises(self) -> "Carters":
        must_rise(("mid", self.mid), ("high", self.high))
        must_rise(("recent_days", self.recent_days), ("days", self.days))
        return self


class Intent(Section):
    """Points of what was done lately, and the average order of who can spend."""

    days: Days
    points: dict[IntentKind, Points] = Field(min_length=1)
    mid: Count
    high: Count
    average_order: dict[str, AverageOrder]

    _currency = field_validator("average_order")(holds_for_the_shop)

    @model_validator(mode="after")
    def _rises(self) -> "Intent":
        must_rise(("mid", self.mid), ("high", self.high))
        return self


class _Amount(Section):
    from_minor: Annotated[int, Field(ge=0, le=MAX_MINOR)]
    weight: Weight


class WeightedFrequency(Section):
    """The half-life of a purchase, weights in hundredths, and the steps that are told."""

    half_life_days: Days
    categories: dict[str, Weight] = Field(default={}, max_length=MAX_CATEGORIES)
    amounts: dict[str, list[_Amount]]
    steps: list[Annotated[int, Field(ge=1, le=MAX_STEP)]] = Field(min_length=1, max_length=MAX_STEPS)

    _currency = field_validator("amounts")(holds_for_the_shop)

    @field_validator("amounts")
    @classmethod
    def _begin_at_nothing(cls, amounts: dict[str, list[_Amount]]) -> dict[str, list[_Amount]]:
        for currency, weights in amounts.items():
            if not weights or len(weights) > MAX_LEVELS or weights[0].from_minor != 0:
                raise ValueError(f"{currency} must have 1 to {MAX_LEVELS} weights, the first from_minor 0")
            for one, other in pairwise(weights):
                must_rise((f"{currency} from_minor", one.from_minor), ("the next", other.from_minor))
        return amounts

    _rise = field_validator("steps")(rising)


class _Part(Section):
    days: Days
    full: Count
    points: Points


class ActivityScore(Section):
    """What gives how much of 100 points."""

    visits: _Part
    purchases: _Part
    interactions: _Part

    @model_validator(mode="after")
    def _are_all(self) -> "ActivityScore":
        if (points := self.visits.points + self.purchases.points + self.interactions.points) != MAX_POINTS:
            raise ValueError(f"points must be {MAX_POINTS} together, not {points}")
        return self


class _Silence(Section):
    percent: PerCent
    points: Points


class _Fall(Section):
    newest: Annotated[int, Field(ge=1, le=MAX_GAPS)]
    percent: PerCent
    points: Points


class _FurtherApart(_Fall):
    percent: Annotated[int, Field(gt=PER_CENT, le=MAX_PER_CENT)]


class _Smaller(_Fall):
    percent: Annotated[int, Field(ge=1, lt=PER_CENT)]


class Churn(Section):
    """The rhythm, what counts against it, and when somebody is warned of and lost."""

    purchases: Annotated[int, Field(ge=2, le=MAX_GAPS)]
    gaps: Annotated[int, Field(ge=1, le=MAX_GAPS)]
    least_gap_days: Days
    silence: list[_Silence] = Field(min_length=1, max_length=MAX_LEVELS)
    frequency: _FurtherApart
    spend: _Smaller
    warn_at: Points
    keep_days: Days

    @field_validator("silence")
    @classmethod
    def _rise(cls, silence: list[_Silence]) -> list[_Silence]:
        for one, other in pairwise(silence):
            must_rise(("percent", one.percent), ("the next", other.percent))
            must_rise(("points", one.points), ("the next", other.points))
        return silence

    @model_validator(mode="after")
    def _have_some_before(self) -> "Churn":
        for name, fall, among in (("frequency", self.frequency, self.gaps), ("spend", self.spend, self.gaps + 1)):
            if among - fall.newest < BEFORE_MIN:
                raise ValueError(f"{name}'s newest ({fall.newest}) leave less than {BEFORE_MIN} of {among} before them")
        return self

    @model_validator(mode="after")
    def _warns_of_silence(self) -> "Churn":
        if (points := self.silence[-1].points + self.frequency.points + self.spend.points) > MAX_POINTS:
            raise ValueError(f"points must be {MAX_POINTS} at most, not {points}")
        if self.silence[-1].points < self.warn_at:
            raise ValueError(f"warn_at ({self.warn_at}) must be reached by silence alone ({self.silence[-1].points})")
        if (points := self.frequency.points + self.spend.points) >= self.warn_at:
            raise ValueError(f"warn_at ({self.warn_at}) must not be reached without silence ({points})")
        return self


class Reviews(Section):
    """What is often, and whose mood is good or bad, in hundredths of a star."""

    days: Days
    often: Annotated[int, Field(ge=2, le=MAX_RECORDS)]
    newest: Count
    bad_below: Stars
    good_from: Stars

    @model_validator(mode="after")
    def _rises(self) -> "Reviews":
        must_rise(("bad_below", self.bad_below), ("good_from", self.good_from))
        return self


class Preferences(Section):
    """What makes a category liked."""

    days: Days
    bought: Annotated[int, Field(ge=0, le=MAX_POINTS)]
    carted: Annotated[int, Field(ge=0, le=MAX_POINTS)]
    least: Count
    most: Annotated[int, Field(ge=1, le=MAX_TOLD)]

    @model_validator(mode="after")
    def _are_some(self) -> "Preferences":
        if not self.bought and not self.carted:
            raise ValueError("bought and carted must not both be 0")
        return self


class ShopperSections(Section):
    """All of them, for the preset of a shop to hold."""

    carters: Carters | None = None
    intent: Intent | None = None
    weighted_frequency: WeightedFrequency | None = None
    activity_score: ActivityScore | None = None
    churn: Churn | None = None
    reviews: Reviews | None = None
    preferences: Preferences | None = None

    def shoppers(self, currency: str) -> Shoppers:
        """What the models of a shop with that currency are made of."""
        dumped = self.model_dump(exclude_none=True, include=set(ShopperSections.model_fields))
        if "intent" in dumped:
            order = of_currency(dumped["intent"].pop("average_order"), currency)
            dumped["intent"] |= {f"spending_{bound}": value for bound, value in order.items()}
        if "weighted_frequency" in dumped:
            dumped["weighted_frequency"]["amounts"] = of_currency(dumped["weighted_frequency"]["amounts"], currency)
        return msgspec.convert(dumped, Shoppers)
