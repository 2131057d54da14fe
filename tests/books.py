"""Rulebooks of segmentation for tests, as small as they can be, and the usual preset's models of shoppers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

import segmentation
from common.ids import derived_id
from segmentation.domain.models import lifecycle
from segmentation.domain.models.lifecycle import Rules
from segmentation.domain.models.model import Model
from segmentation.domain.models.shoppers import shopper_models
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.rule import Segment
from segmentation.presets.sections import CURRENCY
from segmentation.presets.shoppers import ShopperSections

USUAL = Path(segmentation.__file__).parent / "presets" / "default.yaml"


def book(
    shop_id: str, rules: Rules, segments: Iterable[Segment] = (), *, revision: int = 0, models: Iterable[Model] = ()
) -> Rulebook:
    """Lifecycle by these rules, and whatever is given besides; another edition for other rules."""
    return Rulebook(
        shop_id=shop_id,
        zone=ZoneInfo("Asia/Shanghai"),
        currency=rules.currency,
        models=(lifecycle.model(rules), *models),
        segments=tuple(segments),
        revision=revision,
        edition=derived_id(str(rules)),
    )


def figures_of_shoppers() -> dict[str, Any]:
    """What the usual preset says of shoppers."""
    told = yaml.safe_load(USUAL.read_text("utf-8"))
    return {name: told[name] for name in ShopperSections.model_fields}


def models_of_shoppers(**changes: Any) -> tuple[Model, ...]:
    """Those of the usual preset, some of its figures changed."""
    read = ShopperSections.model_validate(figures_of_shoppers() | changes, context={CURRENCY: "CNY"})
    return tuple(shopper_models(read.shoppers("CNY")))
