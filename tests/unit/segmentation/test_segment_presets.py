"""The segments a shop has from the start: that they are read, named in both languages, and cover what is asked for."""

from zoneinfo import ZoneInfo

from common.contracts.envelope import Rejection
from common.shops import Shop
from segmentation.domain.rules.cost import cost
from segmentation.domain.rules.grid import CELLS
from segmentation.domain.rules.rule import Question, Segment
from segmentation.presets.segment_files import parse_segments, segments

SHOP = Shop("demo", "Asia/Shanghai", "CNY", "zh-CN")
UTC = ZoneInfo("UTC")
GRADES = ("high", "mid", "low")
CHEAP = 3_000  # steps


def test_every_shop_has_them() -> None:
    made = segments(SHOP)
    assert len(made) >= 30
    assert all(each.names.keys() == {"en", "zh-CN"} and each.preset and each.revision == 0 for each in made)
    assert len({each.names["zh-CN"] for each in made}) == len({each.names["en"] for each in made}) == len(made)
    assert not {each.segment for each in made} & CELLS.keys()


def test_a_preset_without_a_file_of_its_own_takes_the_ordinary_ones() -> None:
    assert segments(Shop("o", "Asia/Shanghai", "BRL", "en", "olist")) == segments(SHOP)


def test_they_are_cheap_and_come_in_their_order() -> None:
    known: set[str] = set()
    for each in segments(SHOP):
        assert cost(each.rule) <= CHEAP, each.segment
        asks = {name.removeprefix("segment:") for name in each.reads if name.startswith("segment:")}
        assert asks <= known, each.segment
        known.add(each.segment)


def test_the_grid_of_intent_and_spending_is_whole() -> None:
    names = {each.segment for each in segments(SHOP)}
    assert {f"intent_{intent}_spend_{spend}" for intent in GRADES for spend in GRADES} <= names


def test_faults_of_a_file_are_told_together() -> None:
    text = """
- segment: a
  names: {en: A, zh-CN: 甲}
  in: {segment: b}
- segment: a
  names: {en: A, zh-CN: 甲}
  in: {segment: a}
- {segment: b, names: {en: B}, in: {count: nothing}}
- nonsense
"""
    found = parse_segments(text, UTC)
    assert all(isinstance(each, Rejection) for each in found)
    assert {each.path for each in found if isinstance(each, Rejection)} == {
        "$[1].segment",
        "$[2].names.zh-CN",
        "$[2].in.count",
        "$[2].in.op",
        "$[3]",
    }
    assert parse_segments("{}", UTC) == (Rejection("$", "must be a list of segments, 200 at most"),)
    assert [each.path for each in parse_segments("[", UTC) if isinstance(each, Rejection)] == ["$"]


def test_a_circle_is_a_fault() -> None:
    text = """
- {segment: a, names: {en: A, zh-CN: 甲}, in: {segment: b}}
- {segment: b, names: {en: B, zh-CN: 乙}, in: {none: [{segment: a}]}}
"""
    assert parse_segments(text, UTC) == (Rejection("b: $.in.none[0].segment", "asks about itself: a -> b -> a"),)


def test_paths_in_a_rule_begin_at_its_segment() -> None:
    first = "- {segment: a, names: {en: A, zh-CN: 甲}, in: {count: visit, op: gte, value: 1}}"
    for segment in parse_segments(f"{first}\n{first.replace('segment: a', 'segment: b')}", UTC):
        assert isinstance(segment, Segment)
        assert isinstance(segment.rule, Question)
        assert segment.rule.path == "$.in"
