"""Rulebooks of segmentation for tests: as small as they can be."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from common.ids import derived_id
from segmentation.domain.model import Model
from segmentation.domain.models import lifecycle
from segmentation.domain.models.lifecycle import Rules
from segmentation.domain.rule import Segment
from segmentation.domain.rulebook import Rulebook


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
