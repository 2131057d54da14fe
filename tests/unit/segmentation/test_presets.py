"""Presets: their figures, and every fault of a bad one."""

from datetime import timedelta
from importlib.resources import files

import pytest

from common.contracts.envelope import Rejection
from common.presets import BadPresets
from common.shops import Shop
from segmentation.domain.models.every import Settings
from segmentation.domain.models.lifecycle import Fans, Thresholds
from segmentation.domain.rulebook import Rulebook
from segmentation.presets import load, parse, rulebook

GOOD = """
lifecycle: {repeat: 2, loyal: 3}
activity: {stimulate: 15, winback: 60, lost: 180}
"""


def shop(shop_id: str, preset: str, currency: str = "CNY") -> Shop:
    return Shop(shop_id=shop_id, zone="Asia/Shanghai", currency=currency, locale="zh-CN", preset=preset)


def test_the_figures_of_the_presets() -> None:
    days = (timedelta(days=15), timedelta(days=60), timedelta(days=180))
    for name, currency, fans in (("default", "CNY", Fans(2, timedelta(days=365))), ("olist", "BRL", None)):
        text = files("segmentation").joinpath(f"presets/{name}.yaml").read_text("utf-8")
        settings = parse(text, currency)
        assert isinstance(settings, Settings)
        assert (settings.currency, settings.lifecycle) == (currency, Thresholds(currency, 2, 3, *days, fans))


def test_a_rulebook_for_each_shop() -> None:
    books = load({"a": shop("a", "default"), "b": shop("b", "olist", "BRL")})
    assert [(book.shop_id, book.currency, book.zone.key) for book in books.values()] == [
        ("a", "CNY", "Asia/Shanghai"),
        ("b", "BRL", "Asia/Shanghai"),
    ]


def test_other_presets_are_another_edition() -> None:
    made = [rulebook(text, shop("a", "default")) for text in (GOOD, GOOD, GOOD.replace("60", "61"))]
    editions = [book.edition for book in made if isinstance(book, Rulebook)]
    assert editions[0] == editions[1] != editions[2]


def test_an_unknown_preset_is_named_with_those_there_are() -> None:
    with pytest.raises(BadPresets) as caught:
        load({"a": shop("a", "default"), "b": shop("b", "defualt"), "c": shop("c", "nope")})
    assert str(caught.value).splitlines() == [
        "shop b: no preset 'defualt'; there are default, olist",
        "shop c: no preset 'nope'; there are default, olist",
    ]


def test_a_good_text() -> None:
    assert isinstance(parse(GOOD, "CNY"), Settings)


def test_every_fault_is_told_with_its_path() -> None:
    text = """
lifecycle: {repeat: "2", loyl: 3}
activity: {stimulate: 0, winback: 60, lost: 180.5}
colour: blue
"""
    faults = parse(text, "CNY")
    assert isinstance(faults, tuple)
    assert [fault.path for fault in faults] == [
        "$.lifecycle.repeat",
        "$.lifecycle.loyal",
        "$.lifecycle.loyl",
        "$.activity.stimulate",
        "$.activity.lost",
        "$.colour",
    ]


def test_thresholds_must_rise() -> None:
    text = "lifecycle: {repeat: 3, loyal: 3}\nactivity: {stimulate: 15, winback: 15, lost: 180}"
    assert parse(text, "CNY") == (
        Rejection("$.lifecycle", "loyal (3) must take more purchases than repeat (3)"),
        Rejection("$.activity", "days must rise from stimulate (15) to winback (15) to lost (180)"),
    )


@pytest.mark.parametrize(
    ("text", "reason"), [("a: [", "not YAML"), ("", "Input should be"), ("- 1", "Input should be")]
)
def test_what_is_no_preset_at_all(text: str, reason: str) -> None:
    faults = parse(text, "CNY")
    assert isinstance(faults, tuple)
    assert faults[0].path == "$"
    assert faults[0].reason.startswith(reason)
