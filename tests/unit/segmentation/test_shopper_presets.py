"""The sections of a preset that models of shoppers are made of: each fault with its path."""

from typing import Any

import pytest
import yaml

from common.contracts.envelope import Rejection
from segmentation.domain.models.shoppers import shopper_models
from segmentation.presets import parse
from segmentation.presets.sections import CURRENCY
from segmentation.presets.shoppers import ShopperSections

REST = """
lifecycle: {repeat: 2, loyal: 3}
activity: {stimulate: 15, winback: 60, lost: 180}
"""
INTENT = "intent: {days: 30, points: {visit: 1}, mid: 4, high: 10, average_order: {CNY: {mid_from: 1, high_above: 9}}}"
WEIGHTED = (
    "weighted_frequency: {half_life_days: 90, steps: [100, 200], "
    "amounts: {CNY: [{from_minor: 0, weight: 100}, {from_minor: 1, weight: 50}]}}"
)
ACTIVITY = (
    "activity_score: {visits: {days: 30, full: 10, points: 30}, purchases: {days: 180, full: 3, points: 40}, "
    "interactions: {days: 90, full: 10, points: 31}}"
)
SILENCE = "[{percent: 150, points: 30}, {percent: 200, points: 50}]"
CHURN = (
    "churn: {purchases: 3, gaps: 12, least_gap_days: 7, silence: SILENCE, warn_at: 50, keep_days: 30, "
    "frequency: {newest: 2, percent: 150, points: 20}, spend: {newest: 2, percent: 60, points: 10}}"
).replace("SILENCE", SILENCE)


def faults(section: str, currency: str = "CNY") -> list[tuple[str, str]]:
    """What is wrong with a preset that has this section."""
    found = parse(REST + section, currency)
    return [(fault.path, fault.reason) for fault in found] if isinstance(found, tuple) else []


@pytest.mark.parametrize(
    ("section", "path", "reason"),
    [
        ("carters: {days: 90, mid: 6, high: 6, recent_days: 7}", "$.carters", "high (6) must be above mid (6)"),
        (
            "carters: {days: 7, mid: 3, high: 6, recent_days: 7}",
            "$.carters",
            "days (7) must be above recent_days (7)",
        ),
        ("carters: {days: 90, mid: 3, high: 201, recent_days: 7}", "$.carters.high", "less than or equal to 200"),
        (
            INTENT.replace("visit", "visits"),
            "$.intent.points.visits.[key]",
            "'cart.item_added'",
        ),
        (
            INTENT.replace("mid_from: 1", "mid_from: 10"),
            "$.intent.average_order.CNY",
            "high_above (9) must not be below mid_from (10)",
        ),
        (
            "weighted_frequency: {half_life_days: 90, amounts: {other: [{from_minor: 5, weight: 100}]}, steps: [100]}",
            "$.weighted_frequency.amounts",
            "the first from_minor 0",
        ),
        (
            WEIGHTED.replace("from_minor: 1", "from_minor: 0"),
            "$.weighted_frequency.amounts",
            "the next (0) must be above CNY from_minor (0)",
        ),
        (
            WEIGHTED.replace("[100, 200]", "[50, 25]"),
            "$.weighted_frequency.steps",
            "must rise from each to the next (50, 25)",
        ),
        (
            "weighted_frequency: {half_life_days: 0.5, amounts: {other: [{from_minor: 0, weight: 100}]}, steps: [1]}",
            "$.weighted_frequency.half_life_days",
            "valid integer",
        ),
        (
            ACTIVITY,
            "$.activity_score",
            "points must be 100 together, not 101",
        ),
        (CHURN.replace("points: 50", "points: 30"), "$.churn.silence", "the next (30) must be above points (30)"),
        (CHURN.replace("percent: 200", "percent: 20"), "$.churn.silence", "the next (20) must be above percent"),
        (CHURN.replace("warn_at: 50", "warn_at: 51"), "$.churn", "warn_at (51) must be reached by silence alone (50)"),
        (CHURN.replace("warn_at: 50", "warn_at: 30"), "$.churn", "warn_at (30) must not be reached without silence"),
        (CHURN.replace("points: 50", "points: 80"), "$.churn", "points must be 100 at most, not 110"),
        (CHURN.replace("percent: 60", "percent: 100"), "$.churn.spend.percent", "less than 100"),
        (
            CHURN.replace("percent: 150, points: 20", "percent: 100, points: 20"),
            "$.churn.frequency.percent",
            "than 100",
        ),
        (CHURN.replace("gaps: 12", "gaps: 3"), "$.churn", "frequency's newest (2) leave less than 2 of 3 before them"),
        (CHURN.replace("keep_days: 30, ", ""), "$.churn.keep_days", "Field required"),
        (
            "reviews: {days: 365, often: 3, newest: 5, bad_below: 400, good_from: 300}",
            "$.reviews",
            "good_from (300) must be above bad_below (400)",
        ),
        (
            "preferences: {days: 365, bought: 0, carted: 0, least: 2, most: 10}",
            "$.preferences",
            "bought and carted must not both be 0",
        ),
        (
            "preferences: {days: 365, bought: 2, carted: 1, least: 2, most: 10, of: 1}",
            "$.preferences.of",
            "not permitted",
        ),
    ],
)
def test_a_fault_is_told_with_its_path(section: str, path: str, reason: str) -> None:
    [(told_path, told_reason)] = faults(section)
    assert told_path == path
    assert reason in told_reason


def test_every_fault_is_told() -> None:
    section = "carters: {days: 0, mid: 1, high: 2}\nreviews: {}"
    assert [path for path, _ in faults(section)] == [
        "$.carters.days",
        "$.carters.recent_days",
        "$.reviews.days",
        "$.reviews.often",
        "$.reviews.newest",
        "$.reviews.bad_below",
        "$.reviews.good_from",
    ]


def test_a_shop_whose_currency_has_no_bounds_is_told_so() -> None:
    intent = (
        "intent: {days: 30, points: {visit: 1}, mid: 4, high: 10, average_order: {CNY: {mid_from: 1, high_above: 9}}}"
    )
    assert faults(intent, "CNY") == []
    assert parse(REST + intent, "SEK") == (
        Rejection("$.intent.average_order", "has no bounds for SEK, the shop's currency, nor for 'other'"),
    )


def test_a_section_left_out_leaves_its_model_out() -> None:
    told: dict[str, Any] = yaml.safe_load("carters: {days: 90, mid: 3, high: 6, recent_days: 7}\n" + CHURN)
    sections = ShopperSections.model_validate(told, context={CURRENCY: "CNY"})
    assert [model.name for model in shopper_models(sections.shoppers("CNY"))] == ["carters", "churn"]
    assert [*shopper_models(ShopperSections().shoppers("CNY"))] == []
