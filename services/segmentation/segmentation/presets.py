"""Reads the presets in presets/: what a shop's customers are told apart by."""

from collections.abc import Mapping
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common import presets
from common.contracts.envelope import Rejection
from common.ids import derived_id
from common.shops import Shop
from segmentation.domain.models.every import Settings, models
from segmentation.domain.models.lifecycle import Rules
from segmentation.domain.rulebook import Rulebook
from segmentation.segment_presets import segments
from segmentation.shopper_presets import CURRENCY, ShopperSections

MAX_PURCHASES = 1_000
MAX_DAYS = 3_650
EDITION_CHARS = 12  # of a hash of all presets of a shop

_ENCODER = msgspec.json.Encoder(order="deterministic")


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


def load(shops: Mapping[str, Shop]) -> Mapping[str, Rulebook]:
    """The rulebook of each shop, by shop id, as its presets have it; raises BadPresets, which names every fault."""
    return presets.load("segmentation", shops, rulebook)


def rulebook(text: str, shop: Shop) -> Rulebook | tuple[Rejection, ...]:
    """What a preset's text makes of a shop, or everything that is wrong with it."""
    settings = parse(text, shop.currency)
    if isinstance(settings, tuple):
        return settings
    known = segments(shop)
    return Rulebook(
        shop_id=shop.shop_id,
        zone=ZoneInfo(shop.zone),
        currency=shop.currency,
        models=models(settings),
        segments=known,
        edition=derived_id(text, shop.currency, shop.zone, _ENCODER.encode(known).decode())[:EDITION_CHARS],
    )


def parse(text: str, currency: str) -> Settings | tuple[Rejection, ...]:
    """A preset's text for a shop with that currency, or everything that is wrong with it."""
    try:
        preset = _Preset.model_validate(yaml.safe_load(text), context={CURRENCY: currency})
    except yaml.YAMLError as error:
        return (Rejection("$", f"not YAML: {error}"),)
    except ValidationError as error:
        return tuple(Rejection(_path(x["loc"]), x["msg"].removeprefix("Value error, ")) for x in error.errors())
    lifecycle = Rules(
        currency=currency,
        repeat_from=preset.lifecycle.repeat,
        loyal_from=preset.lifecycle.loyal,
        stimulate_from=timedelta(days=preset.activity.stimulate),
        winback_from=timedelta(days=preset.activity.winback),
        lost_from=timedelta(days=preset.activity.lost),
    )
    return Settings(currency, lifecycle, preset.shoppers(currency))


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(("$", *map(str, location)))
