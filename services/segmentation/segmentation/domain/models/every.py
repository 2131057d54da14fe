"""All models of a shop, in the order they are asked: one that reads another's facts stands after it."""

from collections.abc import Iterator

from msgspec import Struct

from segmentation.domain.model import Model
from segmentation.domain.models import lifecycle
from segmentation.domain.models.product_cycle import Cycles, product_cycle
from segmentation.domain.models.rfm import Plan, rfm
from segmentation.domain.models.rfm_fixed import FixedBounds, rfm_fixed
from segmentation.domain.models.shoppers import Shoppers, shopper_models
from segmentation.domain.models.stage import Stages, stage
from segmentation.domain.models.value_grade import Grades, value_grade


class Settings(Struct, frozen=True):
    """A shop's preset, a part for each model; what is None leaves its model out."""

    currency: str  # ISO 4217; that of every payment
    lifecycle: lifecycle.Rules
    product_cycle: Cycles | None = None
    rfm: Plan | None = None
    rfm_fixed: FixedBounds | None = None
    value_grade: Grades | None = None
    stage: Stages | None = None
    shoppers: Shoppers = Shoppers()


def models(settings: Settings) -> tuple[Model, ...]:
    """Those that the preset has a part for. RFM has no scale yet: what was published is not the preset's."""
    return tuple(_models(settings))


def _models(settings: Settings) -> Iterator[Model]:
    yield lifecycle.model(settings.lifecycle)
    if settings.product_cycle is not None:
        yield product_cycle(settings.product_cycle)
    if settings.rfm is not None:
        yield rfm(settings.rfm)
    if settings.rfm_fixed is not None:
        yield rfm_fixed(settings.rfm_fixed)
    if settings.value_grade is not None:
        yield value_grade(settings.value_grade)
    if settings.stage is not None:
        yield stage(settings.stage)
    yield from shopper_models(settings.shoppers)
