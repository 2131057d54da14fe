"""Laws of predicates: logic, absence, nothing compared across kinds, every fault found, everything bounded."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.predicate import MAX_DEPTH, MAX_SIZE, OPERATORS, Group, Predicate, Record, parse, unparse

NAMES = ("a", "b", "c")
KNOWN: dict[str, type] = {"flag": bool, "count": int, "name": str, "at": datetime, "tags": tuple[str, ...]}
FAULTY_LEAVES: tuple[object, ...] = (
    None,
    "a > 1",
    {},
    {"field": "", "op": "exists"},
    {"field": "a", "op": "like", "value": "x"},
    {"field": "a", "op": "eq"},
    {"field": "a", "op": "eq", "value": 0.5},
    {"field": "a", "op": "in", "value": [1, "x"]},
    {"field": "a", "op": "lt", "value": "later"},
    {"field": "a", "op": "exists", "comment": "is not said here"},
    {"any": []},
)

# Few names and few values, so that fields are found and values are equal often.
scalars = st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x", "xy"])
times = st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 2), timezones=st.just(UTC))  # noqa: DTZ001 - zoned by it
found = scalars | times | st.none() | st.floats() | st.lists(scalars | st.floats(), max_size=3)
records = st.dictionaries(st.sampled_from(NAMES), found | st.dictionaries(st.sampled_from(NAMES), found))
fields = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(".".join)


def comparisons_of(op: str) -> st.SearchStrategy[dict[str, Any]]:
    values: st.SearchStrategy[Any] = scalars | times
    if op in ("lt", "lte", "gt", "gte"):
        values = st.integers(0, 3) | times
    elif op in ("in", "not_in"):
        values = st.lists(st.integers(0, 3), min_size=1) | st.lists(st.sampled_from(["x", "xy"]), min_size=1)
    elif op == "starts_with":
        values = st.sampled_from(["", "x", "xy"])
    elif op == "exists":
        values = st.booleans()
    return st.fixed_dictionaries({"field": fields, "op": st.just(op), "value": values})


comparisons = st.sampled_from(sorted(OPERATORS)).flatmap(comparisons_of)


def groups_of(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda kind, trees: {kind: trees},
        st.sampled_from(["all", "any", "none"]),
        st.lists(parts, min_size=1, max_size=3),
    )


trees = st.deferred(lambda: comparisons | groups_of(comparisons | groups_of(comparisons)))
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)


def made(tree: object) -> Predicate:
    predicate = parse(tree)
    assert isinstance(predicate, Predicate), predicate
    return predicate


def holds(field: str, op: str, value: object, record: Record) -> bool:
    return made({"field": field, "op": op, "value": value}).matches(record)


def there(field: str, record: Any) -> Any:
    """What stands at the field, found without any of the code under test."""
    for name in field.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record


@given(st.lists(trees, min_size=1, max_size=3), records)
def test_none_is_not_any_and_all_is_none_of_the_opposites(parts: list[Any], record: Record) -> None:
    any_holds = made({"any": parts}).matches(record)
    assert made({"none": parts}).matches(record) is not any_holds
    assert made({"all": parts}).matches(record) is made({"none": [{"none": [part]} for part in parts]}).matches(record)
    assert any_holds is made({"none": [{"all": [{"none": [part]} for part in parts]}]}).matches(record)


@given(trees, trees, records)
def test_order_and_repetition_in_a_group_do_not_matter(one: Any, other: Any, record: Record) -> None:
    for kind in ("all", "any", "none"):
        assert made({kind: [one, other]}).matches(record) is made({kind: [other, one, one]}).matches(record)


@given(fields, st.integers(0, 3) | times, records)
def test_a_field_of_the_kind_is_less_the_same_or_more(field: str, value: object, record: dict[str, Any]) -> None:
    less, at_most = holds(field, "lt", value, record), holds(field, "lte", value, record)
    more, at_least = holds(field, "gt", value, record), holds(field, "gte", value, record)
    assert (at_most or at_least) is (type(there(field, record)) is type(value))
    assert less is (at_most and not at_least)
    assert more is (at_least and not at_most)


@given(fields, scalars, records)
def test_a_field_of_the_kind_is_either_eq_or_ne(field: str, value: object, record: dict[str, Any]) -> None:
    equal, other = holds(field, "eq", value, record), holds(field, "ne", value, record)
    assert equal is (type(there(field, record)) is type(value) and there(field, record) == value)
    assert other is (type(there(field, record)) is type(value) and not equal)


@given(fields, st.lists(st.integers(0, 3), min_size=1) | st.lists(st.sampled_from(["x", "y"]), min_size=1), records)
def test_in_is_any_eq_and_not_in_is_all_ne(field: str, values: list[Any], record: Record) -> None:
    assert holds(field, "in", values, record) is any(holds(field, "eq", value, record) for value in values)
    assert holds(field, "not_in", values, record) is all(holds(field, "ne", value, record) for value in values)


@given(comparisons, records)
def test_what_is_compared_exists(tree: dict[str, Any], record: Record) -> None:
    there = holds(tree["field"], "exists", True, record)
    assert holds(tree["field"], "exists", False, record) is not there
    if tree["op"] != "exists" and made(tree).matches(record):
        assert there


@given(trees)
def test_unparse_and_parse_give_the_same_predicate(tree: Any) -> None:
    predicate = made(tree)
    assert parse(unparse(predicate)) == predicate


@given(
    st.lists(
        st.one_of(
            st.fixed_dictionaries({"field": st.just("at"), "op": st.sampled_from(["eq", "gt"]), "value": times}),
            st.fixed_dictionaries({"field": st.just("at"), "op": st.just("in"), "value": st.lists(times, min_size=1)}),
            st.fixed_dictionaries({"field": st.just("tags"), "op": st.just("contains"), "value": st.text(max_size=5)}),
            st.fixed_dictionaries({"field": st.just("flag"), "op": st.just("ne"), "value": st.booleans()}),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_predicate_survives_json_where_the_fields_are_known(parts: list[Any]) -> None:
    predicate = parse({"any": parts}, KNOWN)
    assert isinstance(predicate, Group)
    assert parse(msgspec.json.decode(msgspec.json.encode(unparse(predicate))), KNOWN) == predicate


@given(trees, json)
def test_every_record_gets_an_answer(tree: Any, record: Any) -> None:
    predicate = made(tree)
    answers = [predicate.matches(record), predicate.matches({"a": record, "b": [record]})]
    assert all(answer is True or answer is False for answer in answers)
    assert answers[0] is predicate.matches(record)


@given(
    json
    | st.builds(
        lambda a, b, c: {"field": a, "op": b, "value": c}, json, json | st.sampled_from(sorted(OPERATORS)), json
    )
)
def test_every_tree_is_a_predicate_or_is_refused(tree: Any) -> None:
    for known in (None, KNOWN):
        result = parse(tree, known)
        if isinstance(result, tuple):
            assert result, "refused, but nobody says why"
            assert all(fault.path.startswith("$") and fault.reason for fault in result)
        else:
            assert parse(unparse(result), known) == result


@given(
    st.lists(st.tuples(trees, st.none()) | st.tuples(st.none(), st.sampled_from(FAULTY_LEAVES)), min_size=1, max_size=6)
)
def test_every_fault_is_found_and_nothing_else(parts: list[tuple[Any, Any]]) -> None:
    tree = {"all": [{"none": [{"field": "a", "op": "exists"}, good or bad]} for good, bad in parts]}
    result = parse(tree)
    faulty = {number for number, (good, _) in enumerate(parts) if good is None}
    if not faulty:
        assert isinstance(result, Group)
    else:
        assert isinstance(result, tuple)
        places = {int(fault.path.removeprefix("$.all[").partition("]")[0]) for fault in result}
        assert places == faulty
        assert all(
            fault.path.startswith(f"$.all[{n}].none[1]")
            for fault in result
            for n in places
            if f"all[{n}]" in fault.path
        )


@given(st.integers(1, 3 * MAX_DEPTH), st.integers(1, 2 * MAX_SIZE))
def test_what_parses_is_bounded_and_what_is_within_the_bounds_parses(depth: int, width: int) -> None:
    tree: Any = {"any": [{"field": "a", "op": "exists"}] * width}
    for _ in range(depth - 1):
        tree = {"any": [tree]}
    within = depth + 1 <= MAX_DEPTH and depth + width <= MAX_SIZE
    result = parse(tree)
    assert isinstance(result, Group) is within
    if isinstance(result, tuple):
        assert len(result) <= MAX_SIZE


@pytest.mark.parametrize("value", [0, 1, 100, 2**53])
def test_no_float_equals_or_exceeds_an_integer(value: int) -> None:
    for op in ("eq", "ne", "lt", "lte", "gt", "gte"):
        assert made({"field": "amount", "op": op, "value": value}).matches({"amount": float(value)}) is False
        assert isinstance(parse({"field": "amount", "op": op, "value": float(value)}), tuple)
