"""Reads the presets in presets/: which thresholds a shop's customers are classified by."""

from collections.abc import Mapping
from datetime import timedelta

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common import presets
from common.contracts.envelope import Rejection
from common.shops import Shop
from segmentation.domain.lifecycle import Rules
from segmentation.shopper_presets import CURRENCY, ShopperSections

MAX_PURCHASES = 1_000
MAX_DAYS = 3_650


class _Lifecycle(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    repeat: int = Field(ge=2, le=MAX_PURCHASES)
    loyal: int = Field(ge=2, le=MAX_PURCHASES)

    @model_validator(mode="after")
    def _rises(self) -> "_Lifecycle":
        if not self.repeat < self.loyal:
            raise ValueError(f"loyal ({self.loyal}) must take more purchases than repeat ({self.repeat})")
        return self


class _Activity(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    stimulate: int = Field(ge=1, le=MAX_DAYS)
    winback: int = Field(ge=1, le=MAX_DAYS)
    lost: int = Field(ge=1, le=MAX_DAYS)

    @model_validator(mode="after")
    def _rises(self) -> "_Activity":
        if not self.stimulate < self.winback < self.lost:
            raise ValueError(
                f"days must rise from stimulate ({self.stimulate}) to winback ({self.winback}) to lost ({self.lost})"
            )
        return self


class _Preset(ShopperSections):
    lifecycle: _Lifecycle
    activity: _Activity


def load(shops: Mapping[str, Shop]) -> Mapping[str, Rules]:
    """The rules of each shop, by shop id; raises BadPresets, which names every fault."""
    return presets.load("segmentation", shops, lambda text, shop: parse(text, shop.currency))


def parse(text: str, currency: str) -> Rules | tuple[Rejection, ...]:
    """A preset's text for a shop with that currency, or everything that is wrong with it."""
    try:
        preset = _Preset.model_validate(yaml.safe_load(text), context={CURRENCY: currency})
    except yaml.YAMLError as error:
        return (Rejection("$", f"not YAML: {error}"),)
    except ValidationError as error:
        return tuple(Rejection(_path(x["loc"]), x["msg"].removeprefix("Value error, ")) for x in error.errors())
    return Rules(
        currency=currency,
        repeat_from=preset.lifecycle.repeat,
        loyal_from=preset.lifecycle.loyal,
        stimulate_from=timedelta(days=preset.activity.stimulate),
        winback_from=timedelta(days=preset.activity.winback),
        lost_from=timedelta(days=preset.activity.lost),
    )


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(("$", *map(str, location)))
