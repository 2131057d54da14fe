"""Rules as they are written: what each becomes, and every fault with its path."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from common.contracts.envelope import Rejection
from common.predicate import Comparison
from segmentation.domain.profile.catalogue import ATTRIBUTE, FIELDS, SERIES, VALUES
from segmentation.domain.rules.cost import MAX_COST, cost, reads
from segmentation.domain.rules.parse import MAX_DEPTH, MAX_PARTS, Known, parse
from segmentation.domain.rules.parse_segment import LOCALES, parse_segment
from segmentation.domain.rules.precedence import in_order
from segmentation.domain.rules.rule import Events, Fact, Group, InList, InSegment, Measure, Question, Segment, ThenNot
from segmentation.domain.rules.windows import Between, Calendar, Last

KNOWN = Known(frozenset({"vip"}), frozenset({"staff"}), ZoneInfo("Asia/Shanghai"), ("champions", "lost"))


def read(text: str) -> Any:
    return parse(yaml.safe_load(text), KNOWN)


def faults(text: str) -> dict[str, str]:
    found = read(text)
    assert isinstance(found, tuple), found
    return {fault.path: fault.reason for fault in found}


def test_a_measure() -> None:
    said = "{count: cart.item_added, over: 3d, where: {field: category, op: eq, value: tea}, op: gte, value: 2}"
    where = Comparison(("category",), "eq", "tea")
    events = Events("cart.item_added", Last(timedelta(days=3)), where)
    assert read(said) == Question("$.in", Measure("count", events), "gte", 2)


@pytest.mark.parametrize(
    "day", ["2026-11-20", "'2026-11-20'", "2026-11-20T00:00:00+08:00", "'2026-11-20T00:00:00+08:00'"]
)
def test_a_time_is_compared_with_a_day_of_the_shop_s_too(day: str) -> None:
    midnight = datetime(2026, 11, 19, 16, tzinfo=UTC)
    asked = Question("$.in", Fact("churn.warned_at"), "gte", midnight)
    assert read(f"{{field: churn.warned_at, op: gte, value: {day}}}") == asked


def test_a_time_that_no_day_could_be_is_still_taken_with_its_offset() -> None:
    found = read("{last: purchase, op: gt, value: '1960-01-01T00:00:00Z'}")
    assert found.value == datetime(1960, 1, 1, tzinfo=UTC)


def test_a_measure_of_a_field() -> None:
    said = "{average: purchase.amount, over: {calendar: month}, op: lt, value: 10000}"
    assert read(said) == Question(
        "$.in", Measure("average", Events("purchase", Calendar("month")), "amount"), "lt", 10000
    )


def test_then_not() -> None:
    said = "{then_not: {first: {of: order.placed, over: 7d}, not: {of: purchase}, within: 1h, same: order}}"
    first = Events("order.placed", Last(timedelta(days=7)))
    assert read(said) == ThenNot("$.in", first, Events("purchase"), timedelta(hours=1), "order")


def test_groups_know_where_they_stand() -> None:
    rule = read("all: [{segment: vip}, {none: [{list: staff}, {segment: new-active}]}]")
    inner = Group(
        "$.in.all[1]",
        "none",
        (InList("$.in.all[1].none[0]", "staff"), InSegment("$.in.all[1].none[1]", "new-active")),
    )
    assert rule == Group("$.in", "all", (InSegment("$.in.all[0]", "vip"), inner))


@pytest.mark.parametrize(
    ("over", "window"),
    [
        ("{since: 2026-03-01}", Between(datetime(2026, 2, 28, 16, tzinfo=UTC))),  # midnight in Shanghai
        ("{since: '2026-03-01'}", Between(datetime(2026, 2, 28, 16, tzinfo=UTC))),
        ("{since: 2026-03-01T08:00:00+08:00}", Between(datetime(2026, 3, 1, tzinfo=UTC))),
        (
            "{between: [2026-03-01, 2026-04-01]}",
            Between(datetime(2026, 2, 28, 16, tzinfo=UTC), datetime(2026, 3, 31, 16, tzinfo=UTC)),
        ),
        ("36h", Last(timedelta(hours=36))),
    ],
)
def test_windows(over: str, window: object) -> None:
    rule = read(f"{{count: visit, over: {over}, op: gte, value: 1}}")
    assert rule.about.events.window == window


@pytest.mark.parametrize(
    ("said", "path", "reason"),
    [
        ("[]", "$.in", "must be a group"),
        ("{}", "$.in", "asks nothing"),
        ("{all: []}", "$.in.all", "must be a list of one or more"),
        ("{all: [{segment: vip}], any: []}", "$.in.any", "does not belong here; what does is all"),
        ("{segment: gone}", "$.in.segment", "is unknown: GET /v1/segments lists them"),
        ("{segment: 3}", "$.in.segment", "is unknown: GET /v1/segments lists them"),
        ("{segment: vips}", "$.in.segment", "is unknown: did you mean vip?"),
        ("{segment: new-activ}", "$.in.segment", "is unknown: did you mean new-active, fan-active, "),
        ("{list: gone}", "$.in.list", "is unknown: GET /v1/lists lists them"),
        ("{list: staf}", "$.in.list", "is unknown: did you mean staff?"),
        ("{count: purchases, op: eq, value: 1}", "$.in.count", "must name one of purchase, "),
        ("{count: purchase, op: eq}", "$.in.value", "must be an integer"),
        ("{count: purchase, op: eq, value: 1.5}", "$.in.value", "must be an integer; a float is never compared"),
        ("{count: purchase, op: about, value: 1}", "$.in.op", "must be one of eq, ne"),
        ("{count: purchase, op: exists}", "$.in.op", "does not go with a count, which is always there"),
        ("{count: purchase, op: older_than, value: 1d}", "$.in.op", "is for times"),
        ("{last: purchase, op: older_than, value: 3w}", "$.in.value", "must be a length of time such as"),
        ("{sum: purchase.items, op: gte, value: 1}", "$.in.sum", "must be a field of purchase: amount, pieces"),
        ("{sum: purchase, op: gte, value: 1}", "$.in.sum", "and, after a dot, one of its fields"),
        ("{distinct: purchase.colour, op: gte, value: 1}", "$.in.distinct", "order, amount, pieces, items"),
        ("{count: visit, over: 0d, op: gte, value: 1}", "$.in.over", "must be a length of time"),
        ("{count: visit, over: 9999d, op: gte, value: 1}", "$.in.over", "ten years at most"),
        ("{count: visit, over: {calendar: year}, op: gte, value: 1}", "$.in.over", "calendar: day or week or month"),
        (
            "{count: visit, over: {between: [2026-03-01, 2026-03-01]}, op: gte, value: 1}",
            "$.in.over.between",
            "ends before",
        ),
        (
            "{count: visit, over: {since: '0001-01-01T00:00:00+14:00'}, op: gte, value: 1}",
            "$.in.over.since",
            "must be a day",
        ),
        ("{count: visit, over: {since: soon}, op: gte, value: 1}", "$.in.over.since", "must be a day"),
        (
            "{count: visit, over: {since: 2026-03-01T08:00:00}, op: gte, value: 1}",
            "$.in.over.since",
            "a time with an offset",
        ),
        (
            "{count: visit, where: {field: colour, op: eq, value: red}, op: gte, value: 1}",
            "$.in.where.field",
            "known are category, item",
        ),
        ("{field: colour, op: eq, value: red}", "$.in.field", "is unknown; known are locale, "),
        ("{field: attributes.a.b, op: eq, value: red}", "$.in.field", "is unknown"),
        ("{field: lifecycle, op: eq, value: loial}", "$.in.value", "must be one of prospect, new, repeat, loyal"),
        ("{field: tier, op: in, value: [gold, platinum]}", "$.in.value", "must be one of ordinary, silver, gold, "),
        ("{field: points, op: eq, value: many}", "$.in.value", "must be an integer"),
        ("{field: tags, op: eq, value: vip}", "$.in.op", "does not go with this field"),
        ("{bucket: {salt: '', to: 50}}", "$.in.bucket.salt", "must be a text"),
        ("{bucket: {salt: a}}", "$.in.bucket", "from and to are missing: whole numbers, 0 <= from < to <= 100"),
        ("{bucket: {salt: a, from: 60}}", "$.in.bucket", "to is missing: whole numbers, 0 <= from < to <= 100"),
        ("{field: churn.warned_at, op: gte, value: soon}", "$.in.value", "an offset: 2026-01-31T00:00:00+08:00"),
        ("{field: churn.warned_at, op: gte, value: 7}", "$.in.value", "an offset: 2026-01-31T00:00:00+08:00"),
        (r'{field: churn.warned_at, op: gte, value: "\ud800"}', "$.in.value", "must be a day"),
        ("{last: visit, op: lt, value: 2026-03-01T08:00:00}", "$.in.value", "an offset: 2026-01-31T00:00:00+08:00"),
        ("{bucket: {salt: a, from: 60, to: 50}}", "$.in.bucket.to", "0 <= from < to <= 100"),
        ("{then_not: {first: {of: visit}, within: 1h}}", "$.in.then_not.not", "must say `of`"),
        ("{then_not: {first: {of: visit}, not: {of: purchase}}}", "$.in.then_not.within", "must be a length"),
        (
            "{then_not: {first: {of: visit, over: {calendar: month}}, not: {of: purchase}, within: 32d}}",
            "$.in.then_not.first.over",
            "must be longer than within",
        ),
        (
            "{field: rfm.group, op: in, value: [champions, champion]}",
            "$.in.value",
            "must be one of champions, lost",
        ),
        (
            "{then_not: {first: {of: visit, over: 1h}, not: {of: purchase}, within: 1h}}",
            "$.in.then_not.first.over",
            "nobody",
        ),
        (
            "{then_not: {first: {of: visit}, not: {of: purchase, over: 1h}, within: 1h}}",
            "$.in.then_not.not.over",
            "does not belong",
        ),
        (
            "{then_not: {first: {of: visit}, not: {of: purchase}, within: 1h, same: order}}",
            "$.in.then_not.same",
            "they have none",
        ),
    ],
)
def test_a_fault_is_told_with_its_path(said: str, path: str, reason: str) -> None:
    assert reason in faults(said)[path]


def test_all_faults_are_told() -> None:
    said = "all: [{count: nothing, op: eq, value: 1}, {any: [{field: no}, {last: visit, op: older_than, value: x}]}]"
    assert set(faults(said)) == {
        "$.in.all[0].count",
        "$.in.all[1].any[0].field",
        "$.in.all[1].any[0].op",
        "$.in.all[1].any[1].value",
    }


def test_what_is_too_large_is_refused() -> None:
    deep: Any = {"segment": "vip"}
    for _ in range(MAX_DEPTH):
        deep = {"all": [deep]}
    assert isinstance(parse(deep, KNOWN), tuple)
    assert isinstance(parse(deep["all"][0], KNOWN), Group)
    wide = {"any": [{"segment": "vip"}] * MAX_PARTS}
    assert isinstance(parse(wide, KNOWN), tuple)
    bomb: Any = [{"segment": "vip"}] * 9
    for _ in range(30):
        bomb = [{"any": bomb}] * 9
    assert isinstance(parse({"any": bomb}, KNOWN), tuple)


def test_what_costs_too_much_is_refused() -> None:
    question = {"sum": "purchase.amount", "op": "gte", "value": 1}
    one = cost(parse(question, KNOWN))  # type: ignore[arg-type]
    many = {"any": [question] * (MAX_COST // one + 1)}
    if len(many["any"]) < MAX_PARTS:
        assert parse(many, KNOWN) == (
            Rejection(
                "$.in",
                f"costs {1 + one * len(many['any'])} steps, {MAX_COST} at most: ask less, or let other "
                "segments ask a part of it",
            ),
        )
    filtered = question | {"where": {"all": [{"field": "order", "op": "eq", "value": "o"}] * 50}}
    found = parse({"any": [filtered] * 20}, KNOWN)
    assert isinstance(found, tuple)
    assert "steps" in found[0].reason


def test_what_a_rule_reads() -> None:
    rule = read(
        "all: [{count: visit, op: gte, value: 1},"
        " {then_not: {first: {of: order.placed}, not: {of: purchase}, within: 1h}},"
        " {field: tier, op: eq, value: gold}, {segment: vip}, {list: staff}, {bucket: {salt: a, to: 5}}]"
    )
    assert reads(rule) == {"visit", "order.placed", "purchase", "tier", "segment:vip", "list:staff"}


def test_names_of_kinds_and_fields_are_never_the_same() -> None:
    """They stand in one set, in what a segment reads."""
    assert not SERIES.keys() & FIELDS.keys()
    assert VALUES.keys() <= FIELDS.keys()
    assert not any(name.startswith((ATTRIBUTE, "segment:", "list:")) for name in (*SERIES, *FIELDS))


def test_a_segment() -> None:
    tree = {"segment": "tea", "names": {"en": "Tea", "zh-CN": "茶"}, "in": {"field": "tier", "op": "exists"}}
    rule = Question("$.in", Fact("tier"), "exists", value=True)
    assert parse_segment(tree, KNOWN) == Segment("tea", rule, frozenset({"tier"}), {"en": "Tea", "zh-CN": "茶"})


def test_faults_of_a_segment() -> None:
    tree = {"segment": "Tea!", "names": {"en": "", "fr": "Thé"}, "inside": {}}
    found = parse_segment(tree, KNOWN, "$[3]", LOCALES)
    assert isinstance(found, tuple)
    assert {fault.path for fault in found} == {
        "$[3].inside",
        "$[3].segment",
        "$[3].names.fr",
        "$[3].names.en",
        "$[3].names.zh-CN",
        "$[3].in",
    }
    cell = parse_segment({"segment": "new-active", "in": {"segment": "vip"}}, KNOWN)
    assert cell == (Rejection("$.segment", "is a segment that every shop has"),)


@pytest.mark.parametrize(("word", "hint"), [("yes", True), ("7", True), ("'yes'", None), ("Tea!", False), ("", False)])
def test_a_name_that_yaml_takes_for_no_text_is_to_be_quoted(word: str, hint: bool | None) -> None:
    found = parse_segment(yaml.safe_load(f"segment: {word}\nin: {{segment: vip}}"), KNOWN)
    if hint is None:
        assert isinstance(found, Segment)
    else:
        (fault,) = found if isinstance(found, tuple) else ()
        assert (fault.path, "put it in quotes" in fault.reason) == ("$.segment", hint)


def _asking(name: str, *others: str) -> Segment:
    parts = tuple(InSegment(f"$.in.any[{number}]", other) for number, other in enumerate(others))
    return Segment(name, Group("$.in", "any", parts), frozenset())


def test_who_asks_about_another_comes_after_it() -> None:
    found = in_order([_asking("a", "c", "b"), _asking("b", "c"), _asking("c", "elsewhere"), _asking("d")])
    assert [each.segment for each in found if isinstance(each, Segment)] == ["c", "b", "a", "d"]


def test_nobody_asks_about_itself() -> None:
    found = in_order([_asking("a", "b"), _asking("b", "x", "c"), _asking("c", "a"), _asking("d", "d")])
    assert found == (
        Rejection("c: $.in.any[0].segment", "asks about itself: a -> b -> c -> a"),
        Rejection("d: $.in.any[0].segment", "asks about itself: d -> d"),
    )


def test_a_long_chain_is_no_circle() -> None:
    found = in_order([_asking(f"s{number}", f"s{number + 1}") for number in range(5_000)])
    assert next(each.segment for each in found if isinstance(each, Segment)) == "s4999"
