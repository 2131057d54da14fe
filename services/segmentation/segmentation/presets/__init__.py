"""Reads the presets in presets/: what a shop's customers are told apart by."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import msgspec
import yaml
from msgspec.structs import replace
from pydantic import ValidationError

from common import presets
from common.contracts.envelope import Rejection
from common.ids import derived_id
from common.shops import Shop
from segmentation.domain.models.every import Settings, models
from segmentation.domain.rulebook import Rulebook
from segmentation.presets.purchases import PurchaseSections
from segmentation.presets.sections import CURRENCY
from segmentation.presets.segment_files import segments
from segmentation.presets.shoppers import ShopperSections

EDITION_CHARS = 12  # of a hash of all presets of a shop

_ENCODER = msgspec.json.Encoder(order="deterministic")


class _Preset(ShopperSections, PurchaseSections):
    """All sections there are."""


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
    return replace(preset.settings(currency), shoppers=preset.shoppers(currency))


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(("$", *map(str, location)))
