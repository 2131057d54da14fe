"""Rulebooks of segmentation for tests, as small as they can be, and the usual preset's models of shoppers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

import segmentation
from common.ids import derived_id
from segmentation.domain.models import lifecycle
from segmentation.domain.models.lifecycle import Thresholds
from segmentation.domain.models.model import Model
from segmentation.domain.models.shoppers import shopper_models
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.rule import Segment
from segmentation.presets.sections import CURRENCY
from segmentation.presets.shoppers import ShopperSections

USUAL = Path(segmentation.__file__).parent / "presets" / "default.yaml"


def book(
    shop_id: str,
    thresholds: Thresholds,
    segments: Iterable[Segment] = (),
    *,
    revision: int = 0,
    models: Iterable[Model] = (),
) -> Rulebook:
    """Lifecycle by these thresholds, and whatever is given besides; another edition for other thresholds."""
    return Rulebook(
        shop_id=shop_id,
        zone=ZoneInfo("Asia/Shanghai"),
        currency=thresholds.currency,
        models=(lifecycle.model(thresholds), *models),
        segments=tuple(segments),
        revision=revision,
        edition=derived_id(str(thresholds)),
    )


def figures_of_shoppers() -> dict[str, Any]:
    """What the usual preset says of shoppers."""
    told = yaml.safe_load(USUAL.read_text("utf-8"))
    return {name: told[name] for name in ShopperSections.model_fields}


def models_of_shoppers(**changes: Any) -> tuple[Model, ...]:
    """Those of the usual preset, some of its figures changed."""
    read = ShopperSections.model_validate(figures_of_shoppers() | changes, context={CURRENCY: "CNY"})
    return tuple(shopper_models(read.shoppers("CNY")))
