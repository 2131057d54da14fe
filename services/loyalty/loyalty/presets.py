"""Presets: a shop's programme as a YAML file, checked as a whole before anything runs."""

from collections.abc import Mapping
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common.contracts.loyalty import Tier
from common.money import MAX_AMOUNT_MINOR
from common.shops import Shop, Shops
from loyalty.domain.rules import TIERS, Rules, TierStep

MAX_WINDOW_DAYS = 3_660
FOLDER = files("loyalty") / "presets"

Month = Annotated[int, Field(ge=1, le=12)]


class PresetFaults(Exception):
    """All that is wrong with the presets of the shops, a line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Points(_Part):
    minor_per_point: Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]


class _Step(_Part):
    tier: Tier
    from_minor: Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]


class _Tiers(_Part):
    window_days: Annotated[int, Field(ge=1, le=MAX_WINDOW_DAYS)]
    review_months: Annotated[list[Month], Field(min_length=1)]
    steps: Annotated[list[_Step], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if any(later <= month for month, later in pairwise(self.review_months)):
            raise ValueError("review_months must ascend")
        if self.steps[0].from_minor != 0:
            raise ValueError("the first step must be from_minor 0: everybody is in some tier")
        for step, above in pairwise(self.steps):
            if TIERS.index(above.tier) <= TIERS.index(step.tier):
                raise ValueError(f"{above.tier} must not stand above {step.tier}: the tiers are {', '.join(TIERS)}")
            if above.from_minor <= step.from_minor:
                raise ValueError(f"{above.tier} must ask for more than {step.tier}")
        return self


class _Preset(_Part):
    points: _Points
    tiers: _Tiers


def load(shops: Shops) -> Mapping[str, Rules]:
    """The rules of each shop by its id, or PresetFaults with every fault of every preset."""
    parsed: dict[str, _Preset] = {}
    faults: list[str] = []
    for name in sorted({shop.preset for shop in shops.values()}):
        preset = parse(name, text) if (text := _read(name)) is not None else [f"{name}: no such preset; {_choice()}"]
        if isinstance(preset, _Preset):
            parsed[name] = preset
        else:
            faults.extend(preset)
    if faults:
        raise PresetFaults(faults)
    return {shop_id: _rules(shop, parsed[shop.preset]) for shop_id, shop in shops.items()}


def parse(name: str, text: str) -> _Preset | list[str]:
    """The preset, or its faults: each names the preset, the path and what is wrong there."""
    try:
        return _Preset.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        return [f"{name}: $: {' '.join(str(error).split())}"]
    except ValidationError as error:
        return [f"{name}: {_path(fault['loc'])}: {fault['msg']}" for fault in error.errors()]


def _read(name: str) -> str | None:
    found = [file for file in FOLDER.iterdir() if file.name == f"{name}.yaml"]
    return found[0].read_text(encoding="utf-8") if found else None


def _choice() -> str:
    names = sorted(file.name.removesuffix(".yaml") for file in FOLDER.iterdir() if file.name.endswith(".yaml"))
    return f"there are {', '.join(names)}"


def _path(location: tuple[int | str, ...]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _rules(shop: Shop, preset: _Preset) -> Rules:
    return Rules(
        zone=shop.zone,
        currency=shop.currency,
        minor_per_point=preset.points.minor_per_point,
        window_days=preset.tiers.window_days,
        review_months=tuple(preset.tiers.review_months),
        tiers=tuple(TierStep(step.tier, step.from_minor) for step in preset.tiers.steps),
    )
