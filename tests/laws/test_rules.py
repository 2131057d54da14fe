"""Laws of segments' rules: what is answered stays so until the moment that was told, whatever the rule."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import MAX_RECORDS, Record, Series, remember
from segmentation.domain.rules.compiled import compiled
from segmentation.domain.rules.evaluate import Answer, evaluate
from segmentation.domain.rules.grid import CELLS
from segmentation.domain.rules.parse import Known, parse
from segmentation.domain.rules.rule import Rule
from segmentation.domain.rules.why import Why, why

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)  # the day before summer time begins in Berlin
ZONE = ZoneInfo("Europe/Berlin")
KINDS = ("purchase", "cart.item_added", "visit")
CATEGORIES = ("tea", "cup")
LENGTHS = ("1h", "36h", "3d", "30d")

times = st.integers(-40 * 24 * 60, 0).map(lambda minutes: NOON + timedelta(minutes=minutes))
abouts = st.fixed_dictionaries({"category": st.sampled_from(CATEGORIES), "amount": st.integers(0, 500)})
histories = st.dictionaries(
    st.sampled_from(KINDS), st.lists(st.tuples(times, abouts), max_size=8), min_size=1, max_size=len(KINDS)
)
windows: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.sampled_from(LENGTHS).map(lambda length: {"over": length}),
    st.sampled_from(("day", "week", "month")).map(lambda period: {"over": {"calendar": period}}),
    st.just({"over": {"since": "2026-03-01T00:00:00+01:00"}}),
    st.just({"over": {"between": ["2026-03-01T00:00:00+01:00", "2026-03-20T00:00:00+01:00"]}}),
)
numbers = st.sampled_from(("eq", "ne", "lt", "lte", "gt", "gte"))


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    window, kind = draw(windows), draw(st.sampled_from(KINDS))
    match draw(st.sampled_from(("count", "sum", "average", "first", "last", "then_not", "bucket"))):
        case "count":
            filtered = {"where": {"field": "category", "op": "eq", "value": "tea"}} if kind == "visit" else {}
            return {"count": kind, **window, **filtered, "op": draw(numbers), "value": draw(st.integers(0, 4))}
        case "sum" | "average" as function:
            amount = draw(st.integers(0, 1_000))
            return {function: "purchase.amount", **window, "op": draw(numbers), "value": amount}
        case "first" | "last" as function:
            op = draw(st.sampled_from(("older_than", "younger_than")))
            return {function: kind, **window, "op": op, "value": draw(st.sampled_from(LENGTHS))}
        case "then_not":
            short = isinstance(window.get("over"), str) or window.get("over") == {"calendar": "day"}
            longer = {"over": "30d"} if short else window
            said = {"first": {"of": kind, **longer}, "not": {"of": draw(st.sampled_from(KINDS))}}
            return {"then_not": {**said, "within": draw(st.sampled_from(LENGTHS[:-1]))}}
        case _:
            return {"bucket": {"salt": "s", "from": draw(st.integers(0, 50)), "to": draw(st.integers(51, 100))}}


of_facts: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda op, value: {"field": "points", "op": op, "value": value}, numbers, st.integers(0, 4)),
    st.sampled_from(("eq", "ne")).map(lambda op: {"field": "tier", "op": op, "value": "gold"}),
    st.sampled_from(("in", "not_in")).map(lambda op: {"field": "tier", "op": op, "value": ["gold", "silver"]}),
    st.booleans().map(lambda there: {"field": "tier", "op": "exists", "value": there}),
    st.just({"field": "tags", "op": "contains", "value": "vip"}),
    st.builds(
        lambda op, length: {"field": "last_seen_at", "op": op, "value": length},
        st.sampled_from(("older_than", "younger_than")),
        st.sampled_from(LENGTHS),
    ),
    st.just({"segment": "vip"}),
    st.just({"list": "vip"}),
)
facts_known = st.fixed_dictionaries(
    {"tags": st.sampled_from(((), ("vip",)))},
    optional={
        "points": st.integers(0, 4),
        "tier": st.sampled_from(("gold", "silver", "none")),
        "last_seen_at": times,
    },
)


def groups(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(st.sampled_from(("all", "any", "none")), st.lists(inner, min_size=1, max_size=3)).map(
        lambda group: {group[0]: group[1]}
    )


trees = st.recursive(questions(), groups, max_leaves=6)
trees_of_everything = st.recursive(st.one_of(questions(), of_facts), groups, max_leaves=8)


def rule_of(tree: object) -> Rule:
    read = parse(tree, Known(frozenset({"vip"}), frozenset({"vip"})))
    assert not isinstance(read, tuple), read
    return read


def person(history: dict[str, list[tuple[datetime, dict[str, Any]]]], most: int = MAX_RECORDS) -> Person:
    series: dict[str, Series] = {}
    for kind, events in history.items():
        for number, (at, about) in enumerate(events):
            series[kind] = remember(series.get(kind, Series()), Record(at, f"{kind}{number}", about), most)
    return Person("shop", "c1", ZONE, series=series)


@given(trees, histories, st.lists(st.integers(0, 60 * 24 * 60), min_size=1, max_size=20))
def test_the_answer_stays_until_the_moment_told(
    tree: object, history: dict[str, list[tuple[datetime, dict[str, Any]]]], later: list[int]
) -> None:
    rule, known = rule_of(tree), person(history)
    at = NOON
    for _ in range(50):  # from change to change, as far as the rule leads
        answer = evaluate(rule, known, at, {})
        probes = [at + timedelta(minutes=minutes) for minutes in later]
        if answer.until is not None:
            assert answer.until > at
            probes.append(answer.until - timedelta(microseconds=1))
        for probe in probes:
            if answer.until is None or probe < answer.until:
                assert evaluate(rule, known, probe, {}).holds is answer.holds, (probe, answer)
        if answer.until is None:
            return
        at = answer.until


@given(
    trees_of_everything,
    histories,
    facts_known,
    st.dictionaries(st.sampled_from(("points", "tier", "last_seen_at")), st.integers(1, 60 * 24), max_size=2),
    st.builds(lambda holds, hours: Answer("", holds=holds, until=hours), st.booleans(), st.none() | times),
    st.sampled_from((2, MAX_RECORDS)),
)
def test_what_decides_says_what_the_answer_says(  # one that is asked all day, and one that tells why
    tree: object,
    history: dict[str, list[tuple[datetime, dict[str, Any]]]],
    facts: dict[str, Any],
    ends: dict[str, int],
    vip: Answer,
    most: int,
) -> None:
    at = NOON - timedelta(days=3)  # some of what is known is ahead
    known = msgspec.structs.replace(
        person(history, most),
        facts=facts,
        ends={name: at + timedelta(minutes=minutes) for name, minutes in ends.items()},
        lists=frozenset({"vip"} if vip.holds else ()),
    )
    others = {"vip": msgspec.structs.replace(vip, until=vip.until if vip.until and vip.until > at else None)}
    rule = rule_of(tree)
    answer = evaluate(rule, known, at, others)
    assert compiled(rule)(known, at, others) == (answer.holds, answer.until, answer.turns)


@given(trees, histories)
def test_the_answer_is_why(tree: object, history: dict[str, list[tuple[datetime, dict[str, Any]]]]) -> None:
    answer = evaluate(rule_of(tree), person(history), NOON, {})
    _follows(tree, answer)


def _follows(tree: Any, answer: Answer) -> None:
    for kind, whole in (("all", all), ("any", any)):
        if kind in tree:
            assert answer.holds is whole(part.holds for part in answer.parts)
    if "none" in tree:
        assert answer.holds is not any(part.holds for part in answer.parts)
    for kind in ("all", "any", "none"):
        for inner, part in zip(tree.get(kind, ()), answer.parts, strict=False):
            _follows(inner, part)


@given(trees, histories, st.integers(1, 4))
def test_what_is_bounded_is_exact_or_says_that_it_is_not(
    tree: object, history: dict[str, list[tuple[datetime, dict[str, Any]]]], most: int
) -> None:
    rule, whole = rule_of(tree), person(history)
    answer = evaluate(rule, person(history, most), NOON, {})
    if not _inexact(answer):
        assert answer.holds is evaluate(rule, whole, NOON, {}).holds


def _inexact(answer: Answer) -> bool:
    return answer.exact_from is not None or any(_inexact(part) for part in answer.parts)


@given(trees, histories)
def test_the_moment_that_turns_the_answer_turns_it(
    tree: object, history: dict[str, list[tuple[datetime, dict[str, Any]]]]
) -> None:
    rule, known = rule_of(tree), person(history)
    answer = evaluate(rule, known, NOON, {})
    if answer.until is not None and answer.turns:
        assert evaluate(rule, known, answer.until, {}).holds is not answer.holds


@given(trees, histories)
def test_the_words_of_an_answer_follow_the_rule(
    tree: object, history: dict[str, list[tuple[datetime, dict[str, Any]]]]
) -> None:
    rule = rule_of(tree)
    told = why(rule, evaluate(rule, person(history), NOON, {}))
    assert msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(told), type=Why)) == msgspec.json.encode(told)
    settling = [part.holds for part in told.parts if part.settles]
    if told.parts:
        assert settling
        if told.asked == "all":
            assert all(settling) is told.holds
        else:
            assert any(settling) is (told.holds is (told.asked == "any"))


KEYS = (
    *("all", "any", "none", "count", "sum", "field", "op", "value", "last", "where", "then_not", "first", "not"),
    *(
        "within",
        "segment",
        "bucket",
        "between",
        "over",
        "since",
        "calendar",
        "list",
        "same",
        "salt",
        "from",
        "to",
        "of",
    ),
)
WORDS = (
    *KINDS,
    "eq",
    "gte",
    "exists",
    "older_than",
    "vip",
    "tier",
    "lifecycle",
    "30d",
    "2026-01-31",
    "purchase.amount",
)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(WORDS)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
        max_leaves=12,
    )
)
def test_whatever_is_written_is_a_rule_or_has_faults_with_paths(tree: object) -> None:
    read = parse(tree, Known(frozenset({"vip"}), frozenset({"vip"}), ZONE))
    if isinstance(read, tuple):
        assert read
        assert all(fault.path.startswith("$.in") and fault.reason for fault in read)
    else:
        evaluate(
            read, person({}), NOON, {"vip": Answer("", holds=True), **dict.fromkeys(CELLS, Answer("", holds=True))}
        )
