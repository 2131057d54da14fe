"""The models of how customers shop, and what each is made of; none of them reads another's facts."""

from msgspec import Struct

from segmentation.domain.models.activity import ActivityPreset, activity_score
from segmentation.domain.models.carters import CarterPreset, carters
from segmentation.domain.models.churn import ChurnPreset, churn
from segmentation.domain.models.frequency import FrequencyPreset, weighted_frequency
from segmentation.domain.models.intent import IntentPreset, intent
from segmentation.domain.models.model import Model, made
from segmentation.domain.models.preferences import PreferencePreset, preferences
from segmentation.domain.models.reviews import ReviewPreset, reviews


class Shoppers(Struct, frozen=True):
    """A part of a shop's preset for each model; what is None leaves its model out."""

    carters: CarterPreset | None = None
    intent: IntentPreset | None = None
    weighted_frequency: FrequencyPreset | None = None
    activity_score: ActivityPreset | None = None
    churn: ChurnPreset | None = None
    reviews: ReviewPreset | None = None
    preferences: PreferencePreset | None = None


def shopper_models(shoppers: Shoppers) -> tuple[Model, ...]:
    """Those there are parts for."""
    return (
        *made(carters, shoppers.carters),
        *made(intent, shoppers.intent),
        *made(weighted_frequency, shoppers.weighted_frequency),
        *made(activity_score, shoppers.activity_score),
        *made(churn, shoppers.churn),
        *made(reviews, shoppers.reviews),
        *made(preferences, shoppers.preferences),
    )
