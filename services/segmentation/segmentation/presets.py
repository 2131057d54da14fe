"""Reads the presets in presets/: which thresholds a shop's customers are classified by."""

from collections.abc import Mapping
from datetime import timedelta
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common.contracts.envelope import Rejection
from common.shops import Shop
from segmentation.domain.lifecycle import Rules

MAX_PURCHASES = 1_000
MAX_DAYS = 3_650


class BadPresets(Exception):
    """Presets that cannot be used; every fault of every one, with its file and path."""


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


class _Preset(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    lifecycle: _Lifecycle
    activity: _Activity


def load(shops: Mapping[str, Shop]) -> Mapping[str, Rules]:
    """The rules of each shop, by shop id; raises BadPresets, which names every fault."""
    folder = files("segmentation") / "presets"
    rules: dict[str, Rules] = {}
    faults: dict[str, None] = {}  # in order, each once however many shops share the preset
    for shop in shops.values():
        file = folder / f"{shop.preset}.yaml"
        if not file.is_file():
            known = sorted(one.name.removesuffix(".yaml") for one in folder.iterdir())
            faults[f"shop {shop.shop_id}: no preset {shop.preset!r}; there are {', '.join(known)}"] = None
            continue
        parsed = parse(file.read_text("utf-8"), shop.currency)
        if isinstance(parsed, Rules):
            rules[shop.shop_id] = parsed
        else:
            faults |= dict.fromkeys(f"segmentation/presets/{file.name}: {x.path}: {x.reason}" for x in parsed)
    if faults:
        raise BadPresets("\n".join(faults))
    return rules


def parse(text: str, currency: str) -> Rules | tuple[Rejection, ...]:
    """A preset's text for a shop with that currency, or everything that is wrong with it."""
    try:
        preset = _Preset.model_validate(yaml.safe_load(text))
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
