"""The sections of a preset that the models of purchases are made of. A section left out leaves its model out."""

from datetime import time, timedelta
from itertools import product
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from segmentation.domain.models.every import Settings
from segmentation.domain.models.lifecycle import Fans, Thresholds
from segmentation.domain.models.product_cycle import Cycles
from segmentation.domain.models.rfm import SCORES, Named, Plan, groups_of
from segmentation.domain.models.rfm_fixed import FixedBounds
from segmentation.domain.models.stage import Stages
from segmentation.domain.models.value_grade import Grades
from segmentation.presets.sections import (
    MAX_CATEGORIES,
    AverageOrder,
    Days,
    Minor,
    Section,
    holds_for_the_shop,
    must_rise,
    of_currency,
    rising,
)

MAX_PURCHASES = 1_000
MAX_INTERACTIONS = 100
MAX_CYCLES = 100
MAX_BOUNDS = 9
MAX_GROUPS = 25  # as many as there are cells of recency and frequency
MAX_TIMES = 24  # of publication, a day
MIN_CUSTOMERS = 5  # of whom each is a fifth
MAX_CUSTOMERS = 1_000_000

Purchases = Annotated[int, Field(ge=1, le=MAX_PURCHASES)]
Score = Annotated[int, Field(ge=SCORES[0], le=SCORES[-1])]
GroupName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]  # in quotes: YAML takes 03:00 for a number


class _Fan(Section):
    interactions: int = Field(ge=1, le=MAX_INTERACTIONS)
    days: Days


class _Lifecycle(Section):
    repeat: int = Field(ge=2, le=MAX_PURCHASES)
    loyal: int = Field(ge=2, le=MAX_PURCHASES)
    fan: _Fan | None = None

    @model_validator(mode="after")
    def _rises(self) -> "_Lifecycle":
        if not self.repeat < self.loyal:
            raise ValueError(f"loyal ({self.loyal}) must take more purchases than repeat ({self.repeat})")
        return self


class _Activity(Section):
    stimulate: Days
    winback: Days
    lost: Days

    @model_validator(mode="after")
    def _rises(self) -> "_Activity":
        if not self.stimulate < self.winback < self.lost:
            raise ValueError(
                f"days must rise from stimulate ({self.stimulate}) to winback ({self.winback}) to lost ({self.lost})"
            )
        return self


class RfmFixed(Section):
    """Bounds of recency in days, of frequency in purchases, of money by the average order."""

    days: list[Days] = Field(min_length=1, max_length=MAX_BOUNDS)
    purchases: list[Purchases] = Field(min_length=1, max_length=MAX_BOUNDS)
    average_order: dict[str, AverageOrder]

    _rise = field_validator("days", "purchases")(rising)
    _currency = field_validator("average_order")(holds_for_the_shop)

    def bounds(self, currency: str) -> FixedBounds:
        """What the model is made of."""
        order = of_currency(self.average_order, currency)
        days = tuple(timedelta(days=bound) for bound in self.days)
        return FixedBounds(days, tuple(self.purchases), order.mid_from, order.high_above)


class _Group(Section):
    group: GroupName
    r: list[Score] = Field(min_length=1, max_length=len(SCORES))
    f: list[Score] = Field(min_length=1, max_length=len(SCORES))


class Rfm(Section):
    """Quintiles: when the scale is published, from how many customers on, and the named groups."""

    publish_at: list[TimeOfDay] = Field(min_length=1, max_length=MAX_TIMES)
    from_customers: int = Field(ge=MIN_CUSTOMERS, le=MAX_CUSTOMERS)
    groups: list[_Group] = Field(min_length=1, max_length=MAX_GROUPS)

    @field_validator("groups")
    @classmethod
    def _hold_everybody(cls, groups: list[_Group]) -> list[_Group]:
        cells = groups_of([Named(one.group, tuple(one.r), tuple(one.f)) for one in groups])
        if missing := [f"r {r} f {f}" for r, f in product(SCORES, SCORES) if (r, f) not in cells]:
            raise ValueError(f"no group holds {', '.join(missing)}")
        if nobody := [one.group for one in groups if one.group not in cells.values()]:
            raise ValueError(f"nobody can be in {', '.join(nobody)}: groups before hold all of it")
        return groups

    def plan(self) -> Plan:
        """What the model is made of."""
        return Plan(
            groups=groups_of([Named(one.group, tuple(one.r), tuple(one.f)) for one in self.groups]),
            times=tuple(sorted({time.fromisoformat(text) for text in self.publish_at})),
            from_customers=self.from_customers,
        )


class _Spent(Section):
    mid_from: Minor
    high_from: Minor

    @model_validator(mode="after")
    def _rises(self) -> "_Spent":
        must_rise(("mid_from", self.mid_from), ("high_from", self.high_from))
        return self


class ValueGrade(Section):
    """Bounds of what was spent within so many days."""

    days: Days
    spent: dict[str, _Spent]

    _currency = field_validator("spent")(holds_for_the_shop)

    def grades(self, currency: str) -> Grades:
        """What the model is made of."""
        spent = of_currency(self.spent, currency)
        return Grades(timedelta(days=self.days), spent.mid_from, spent.high_from)


class _Growth(Section):
    purchases: Purchases


class _Mature(Section):
    purchases: Purchases
    days: Days


class _Decline(Section):
    days: Days


class Stage(Section):
    """Growth by purchases, maturity by purchases and time, decline by silence."""

    growth: _Growth
    mature: _Mature
    decline: _Decline

    @model_validator(mode="after")
    def _rises(self) -> "Stage":
        if not self.growth.purchases < self.mature.purchases:
            growth, mature = self.growth.purchases, self.mature.purchases
            raise ValueError(f"mature ({mature}) must take more purchases than growth ({growth})")
        return self

    def stages(self) -> Stages:
        """What the model is made of."""
        return Stages(
            growth_from=self.growth.purchases,
            mature_from=self.mature.purchases,
            mature_after=timedelta(days=self.mature.days),
            decline_after=timedelta(days=self.decline.days),
        )


class ProductCycle(Section):
    """How many days goods of a category last."""

    default_days: Days
    dormant_after: int = Field(ge=2, le=MAX_CYCLES)
    categories: dict[str, Days] = Field(default={}, max_length=MAX_CATEGORIES)

    def cycles(self) -> Cycles:
        """What the model is made of."""
        lengths = {category: timedelta(days=days) for category, days in self.categories.items()}
        return Cycles(lengths, timedelta(days=self.default_days), self.dormant_after)


class PurchaseSections(Section):
    """All of them, for the preset of a shop to hold."""

    lifecycle: _Lifecycle
    activity: _Activity
    product_cycle: ProductCycle | None = None
    rfm: Rfm | None = None
    rfm_fixed: RfmFixed | None = None
    value_grade: ValueGrade | None = None
    stage: Stage | None = None

    def settings(self, currency: str) -> Settings:
        """What the models of a shop with that currency are made of."""
        fan = self.lifecycle.fan
        return Settings(
            currency=currency,
            lifecycle=Thresholds(
                currency=currency,
                repeat_from=self.lifecycle.repeat,
                loyal_from=self.lifecycle.loyal,
                stimulate_from=timedelta(days=self.activity.stimulate),
                winback_from=timedelta(days=self.activity.winback),
                lost_from=timedelta(days=self.activity.lost),
                fans=None if fan is None else Fans(fan.interactions, timedelta(days=fan.days)),
            ),
            product_cycle=None if self.product_cycle is None else self.product_cycle.cycles(),
            rfm=None if self.rfm is None else self.rfm.plan(),
            rfm_fixed=None if self.rfm_fixed is None else self.rfm_fixed.bounds(currency),
            value_grade=None if self.value_grade is None else self.value_grade.grades(currency),
            stage=None if self.stage is None else self.stage.stages(),
        )
