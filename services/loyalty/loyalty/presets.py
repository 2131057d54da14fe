"""Reads the presets in presets/: what a shop's programme gives points for, and what its tiers ask for."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common import presets
from common.contracts.envelope import Rejection
from common.contracts.loyalty import Tier
from common.money import MAX_AMOUNT_MINOR
from common.shops import Shop
from loyalty.domain.rules import TIERS, Rules, TierStep

MAX_WINDOW_DAYS = 3_660

AmountMinor = Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Points(_Part):
    minor_per_point: Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]


class _Step(_Part):
    tier: Tier
    from_minor: AmountMinor


class _Tiers(_Part):
    window_days: Annotated[int, Field(ge=1, le=MAX_WINDOW_DAYS)]
    review_months: Annotated[list[Annotated[int, Field(ge=1, le=12)]], Field(min_length=1)]
    steps: Annotated[list[_Step], Field(min_length=1)]

    @model_validator(mode="after")
    def _rises(self) -> Self:
        faults = [
            f"month {later} must not come after month {month}"
            for month, later in pairwise(self.review_months)
            if later <= month
        ]
        if self.steps[0].from_minor != 0:
            faults.append(f"{self.steps[0].tier} must be from_minor 0, for everybody is in some tier")
        for step, above in pairwise(self.steps):
            if TIERS.index(above.tier) <= TIERS.index(step.tier):
                faults.append(f"{above.tier} must not come after {step.tier}; tiers rise: {', '.join(TIERS)}")
            if above.from_minor <= step.from_minor:
                faults.append(f"{above.tier} must ask for more than {step.tier}")
        if faults:
            raise ValueError("; ".join(faults))
        return self


class _Preset(_Part):
    points: _Points
    tiers: _Tiers


def load(shops: Mapping[str, Shop]) -> Mapping[str, Rules]:
    """The rules of each shop, by shop id; raises BadPresets, which names every fault."""
    return presets.load("loyalty", shops, parse)


def parse(text: str, shop: Shop) -> Rules | tuple[Rejection, ...]:
    """A preset's text as the shop's rules, or everything that is wrong with it."""
    try:
        preset = _Preset.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        return (Rejection("$", f"not YAML: {error}"),)
    except ValidationError as error:
        return tuple(Rejection(_path(x["loc"]), x["msg"].removeprefix("Value error, ")) for x in error.errors())
    return Rules(
        zone=shop.zone,
        currency=shop.currency,
        minor_per_point=preset.points.minor_per_point,
        window_days=preset.tiers.window_days,
        review_months=tuple(preset.tiers.review_months),
        tiers=tuple(TierStep(step.tier, step.from_minor) for step in preset.tiers.steps),
    )


def _path(location: tuple[int | str, ...]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
