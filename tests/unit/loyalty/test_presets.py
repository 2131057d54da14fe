"""Presets: the packaged ones as they are meant, and every fault with its path."""

import pytest

from common.presets import BadPresets
from common.shops import Shop, load_shops
from loyalty.domain.rules import Rules, TierStep
from loyalty.presets import load, parse
from tests.unit.loyalty.telling import RULES

SHOP = Shop(shop_id="demo", zone="Asia/Shanghai", currency="CNY", locale="zh-CN")
GOOD = """
points: {minor_per_point: 200}
tiers:
  window_days: 90
  review_months: [1]
  steps: [{tier: silver, from_minor: 0}, {tier: diamond, from_minor: 7}]
"""


def test_packaged_presets() -> None:
    rules = load(load_shops())
    assert rules["olist"] == RULES
    assert rules["demo"].zone == "Asia/Shanghai"
    assert rules["demo"].currency == "CNY"
    assert rules["demo"].minor_per_point == 100
    assert [step.from_minor for step in rules["demo"].tiers] == [0, 50_000, 200_000, 500_000]


def test_a_preset_of_ones_own() -> None:
    assert parse(GOOD, SHOP) == Rules(
        zone="Asia/Shanghai",
        currency="CNY",
        minor_per_point=200,
        window_days=90,
        review_months=(1,),
        tiers=(TierStep("silver", 0), TierStep("diamond", 7)),
    )


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        (("200", "0"), "$.points.minor_per_point", "greater than or equal to 1"),
        (("200", "1.5"), "$.points.minor_per_point", "valid integer"),
        (("90", "'90'"), "$.tiers.window_days", "valid integer"),
        (("[1]", "[13]"), "$.tiers.review_months[0]", "less than or equal to 12"),
        (("[1]", "[4, 4]"), "$.tiers", "month 4 must not come after month 4"),
        (("[1]", "[]"), "$.tiers.review_months", "at least 1 item"),
        (("diamond", "platinum"), "$.tiers.steps[1].tier", "'ordinary', 'silver', 'gold' or 'diamond'"),
        (("from_minor: 0", "from_minor: 3"), "$.tiers", "silver must be from_minor 0"),
        (("diamond", "ordinary"), "$.tiers", "ordinary must not come after silver"),
        (("from_minor: 7", "from_minor: 0"), "$.tiers", "diamond must ask for more than silver"),
        (("points:", "point:"), "$.point", "Extra inputs"),
        (("points:", "points: ["), "$", "not YAML"),
    ],
)
def test_a_fault_is_named_with_its_path(change: tuple[str, str], path: str, reason: str) -> None:
    faults = parse(GOOD.replace(*change), SHOP)
    assert isinstance(faults, tuple)
    assert [fault.path for fault in faults if reason in fault.reason] == [path]


def test_all_faults_are_told_at_once() -> None:
    faults = parse(GOOD.replace("200", "0").replace("90", "0"), SHOP)
    assert isinstance(faults, tuple)
    assert [fault.path for fault in faults] == ["$.points.minor_per_point", "$.tiers.window_days"]


def test_a_preset_nobody_has() -> None:
    shop = Shop(shop_id="s1", zone="Asia/Shanghai", currency="CNY", locale="en", preset="nobodys")
    with pytest.raises(BadPresets, match="shop s1: no preset 'nobodys'; there are default, olist"):
        load({"s1": shop})
