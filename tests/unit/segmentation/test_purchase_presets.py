"""Sections of presets for the models of purchases: mission's figures, and every fault with its path."""

from datetime import time, timedelta
from importlib.resources import files
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from segmentation.domain.models.rfm_fixed import FixedBounds
from segmentation.domain.models.stage import Stages
from segmentation.domain.models.value_grade import Grades
from segmentation.presets.purchases import ProductCycle, Rfm, RfmFixed, Stage, ValueGrade
from segmentation.presets.sections import CURRENCY, Section

DAY = timedelta(days=1)


def preset(name: str = "default") -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((files("segmentation") / "presets" / f"{name}.yaml").read_text("utf-8"))
    return read


def faults(section: type[Section], value: Any, currency: str = "CNY") -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        section.model_validate(value, context={CURRENCY: currency})
    return [(".".join(map(str, x["loc"])), x["msg"].removeprefix("Value error, ")) for x in caught.value.errors()]


def test_the_figures_of_the_default_preset() -> None:
    read, of = preset(), {CURRENCY: "CNY"}
    fixed = RfmFixed.model_validate(read["rfm_fixed"], context=of).bounds("CNY")
    assert fixed == FixedBounds((15 * DAY, 60 * DAY, 180 * DAY), (2, 3), 100_00, 300_00)
    grades = ValueGrade.model_validate(read["value_grade"], context=of).grades("CNY")
    assert grades == Grades(365 * DAY, 500_00, 2_000_00)
    assert Stage.model_validate(read["stage"]).stages() == Stages(2, 5, 180 * DAY, 180 * DAY)
    cycles = ProductCycle.model_validate(read["product_cycle"]).cycles()
    assert (cycles.lengths["masks"], cycles.otherwise, cycles.dormant_after) == (20 * DAY, 60 * DAY, 2)
    plan = Rfm.model_validate(read["rfm"]).plan()
    assert (plan.times, plan.from_customers) == ((time(3),), 100)
    assert len(plan.groups) == 25
    assert len(set(plan.groups.values())) == 11


def test_bounds_are_of_the_shops_currency() -> None:
    section = {"average_order": {"EUR": {"mid_from": 1, "high_above": 2}}, "days": [1], "purchases": [2]}
    assert RfmFixed.model_validate(section, context={CURRENCY: "EUR"}).bounds("EUR").order_mid_minor == 1
    reason = "has no bounds for CNY, the shop's currency, nor for 'other'"
    assert faults(RfmFixed, section) == [("average_order", reason)]
    assert faults(ValueGrade, {"days": 1, "spent": {}}) == [("spent", reason)]
    other = section | {"average_order": {"other": {"mid_from": 3, "high_above": 3}}}
    assert RfmFixed.model_validate(other, context={CURRENCY: "CNY"}).bounds("CNY").order_mid_minor == 3


@pytest.mark.parametrize(
    ("section", "key", "value", "fault"),
    [
        (RfmFixed, "days", [15, 15], ("days", "must rise from each to the next (15, 15)")),
        (RfmFixed, "purchases", [3, 2], ("purchases", "must rise from each to the next (3, 2)")),
        (RfmFixed, "days", [0], ("days.0", "Input should be greater than or equal to 1")),
        (
            RfmFixed,
            "average_order",
            {"CNY": {"mid_from": 5, "high_above": 4}},
            ("average_order.CNY", "high_above (4) must not be below mid_from (5)"),
        ),
        (ValueGrade, "days", 1.5, ("days", "Input should be a valid integer")),
        (
            ValueGrade,
            "spent",
            {"CNY": {"mid_from": 5, "high_from": 5}},
            ("spent.CNY", "high_from (5) must be above mid_from (5)"),
        ),
        (Stage, "growth", {"purchases": 5}, ("", "mature (5) must take more purchases than growth (5)")),
        (Stage, "decline", {"days": 3651}, ("decline.days", "Input should be less than or equal to 3650")),
        (ProductCycle, "categories", {"masks": 0}, ("categories.masks", "Input should be greater than or equal to 1")),
        (ProductCycle, "dormant_after", 1, ("dormant_after", "Input should be greater than or equal to 2")),
        (ProductCycle, "colour", "blue", ("colour", "Extra inputs are not permitted")),
        (Rfm, "publish_at", [180], ("publish_at.0", "Input should be a valid string")),  # 03:00 without quotes
        (Rfm, "publish_at", ["3:00"], ("publish_at.0", "String should match pattern")),
        (Rfm, "publish_at", ["24:00"], ("publish_at.0", "String should match pattern")),
        (Rfm, "from_customers", 4, ("from_customers", "Input should be greater than or equal to 5")),
    ],
)
def test_a_fault_is_told_with_its_path(section: type[Section], key: str, value: Any, fault: tuple[str, str]) -> None:
    name = {RfmFixed: "rfm_fixed", ValueGrade: "value_grade", Stage: "stage", ProductCycle: "product_cycle", Rfm: "rfm"}
    ((path, reason),) = faults(section, preset()[name[section]] | {key: value})
    assert (path, reason[: len(fault[1])]) == fault


def test_groups_hold_everybody_and_somebody_each() -> None:
    good = preset()["rfm"]
    without = [one for one in good["groups"] if one["group"] != "promising"]
    assert faults(Rfm, good | {"groups": without}) == [("groups", "no group holds r 4 f 1")]
    hidden = [*good["groups"], {"group": "others", "r": [1, 2, 3], "f": [3]}]
    assert faults(Rfm, good | {"groups": hidden}) == [
        ("groups", "nobody can be in others: groups before hold all of it")
    ]
    six = [{"group": "all", "r": [1, 2, 3, 4, 5, 6], "f": [0]}]
    assert [path for path, _ in faults(Rfm, good | {"groups": six})] == ["groups.0.r", "groups.0.f.0"]
