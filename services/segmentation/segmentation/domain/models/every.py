"""All models of a shop, in the order they are asked: one that reads another's facts stands after it."""

from msgspec import Struct

from segmentation.domain.model import Model
from segmentation.domain.models import lifecycle
from segmentation.domain.models.shoppers import Shoppers, shopper_models


class Settings(Struct, frozen=True):
    """A shop's preset, a part for each model; what is None leaves its model out."""

    currency: str  # ISO 4217; that of every payment
    lifecycle: lifecycle.Rules
    shoppers: Shoppers = Shoppers()


def models(settings: Settings) -> tuple[Model, ...]:
    """Those that the preset has a part for."""
    return (lifecycle.model(settings.lifecycle), *shopper_models(settings.shoppers))
