"""What the sections of a preset have in common: no field more than there are, bounds that rise, and bounds of money by
the shop's currency."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

MAX_DAYS = 3_650
MAX_CATEGORIES = 1_000
MAX_MINOR = 10**12
OTHER = "other"  # the bounds of every currency that has none of its own
CURRENCY = "currency"  # the shop's, in the context of the validation

Days = Annotated[int, Field(ge=1, le=MAX_DAYS)]
Minor = Annotated[int, Field(ge=1, le=MAX_MINOR)]

V = TypeVar("V")


class Section(BaseModel):
    """A part of a preset: no field more, none of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class AverageOrder(Section):
    """High is above the one, mid from the other on."""

    mid_from: Minor
    high_above: Minor

    @model_validator(mode="after")
    def _rises(self) -> "AverageOrder":
        if self.high_above < self.mid_from:
            raise ValueError(f"high_above ({self.high_above}) must not be below mid_from ({self.mid_from})")
        return self


def of_currency(bounds: Mapping[str, V], currency: str) -> V:
    """The bounds that hold for a shop with that currency; there are some."""
    return bounds[currency] if currency in bounds else bounds[OTHER]


def holds_for_the_shop(bounds: dict[str, V], info: ValidationInfo) -> dict[str, V]:
    """The bounds, if there are any for the shop's currency."""
    currency = info.context[CURRENCY] if info.context else OTHER
    if currency not in bounds and OTHER not in bounds:
        raise ValueError(f"has no bounds for {currency}, the shop's currency, nor for {OTHER!r}")
    return bounds


def must_rise(lower: tuple[str, int], upper: tuple[str, int]) -> None:
    """Both with their names."""
    if not lower[1] < upper[1]:
        raise ValueError(f"{upper[0]} ({upper[1]}) must be above {lower[0]} ({lower[1]})")


def rising(values: list[int]) -> list[int]:
    """The values, if each is above the one before it."""
    for one, other in pairwise(values):
        if not one < other:
            raise ValueError(f"must rise from each to the next ({one}, {other})")
    return values
