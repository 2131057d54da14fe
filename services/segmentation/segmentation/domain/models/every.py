"""All models of a shop, in the order they are asked: one that reads another's facts stands after it."""

from msgspec import Struct

from segmentation.domain.models import lifecycle
from segmentation.domain.models.model import Model, made
from segmentation.domain.models.product_cycle import Cycles, product_cycle
from segmentation.domain.models.rfm import Plan, rfm
from segmentation.domain.models.rfm_fixed import FixedBounds, rfm_fixed
from segmentation.domain.models.shoppers import Shoppers, shopper_models
from segmentation.domain.models.stage import Stages, stage
from segmentation.domain.models.value_grade import Grades, value_grade


class Settings(Struct, frozen=True):
    """A shop's preset, a part for each model; what is None leaves its model out."""

    currency: str  # ISO 4217; that of every payment
    lifecycle: lifecycle.Thresholds
    product_cycle: Cycles | None = None
    rfm: Plan | None = None
    rfm_fixed: FixedBounds | None = None
    value_grade: Grades | None = None
    stage: Stages | None = None
    shoppers: Shoppers = Shoppers()


def models(settings: Settings) -> tuple[Model, ...]:
    """Those that the preset has a part for. RFM has no scale yet: what was published is not the preset's."""
    return (
        lifecycle.model(settings.lifecycle),
        *made(product_cycle, settings.product_cycle),
        *made(rfm, settings.rfm),
        *made(rfm_fixed, settings.rfm_fixed),
        *made(value_grade, settings.value_grade),
        *made(stage, settings.stage),
        *shopper_models(settings.shoppers),
    )
