"""What each comparison means, and what is said about each fault, by example."""

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from common.contracts.envelope import Rejection
from common.contracts.ingest import Item, OrderPlaced, Visit
from common.money import Money
from common.predicate import MAX_CHARS, MAX_DEPTH, MAX_SIZE, MAX_VALUES, Comparison, Group, Predicate, parse, unparse

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
RECORD: dict[str, Any] = {
    "shop": "moon",
    "code": "A1",
    "orders": 3,
    "vip": True,
    "score": 3.0,
    "gone": None,
    "since": NOON,
    "naive": datetime(2024, 5, 1, 12),  # noqa: DTZ001 - the point of it
    "segments": ("loyal", "vip"),
    "levels": [1, 2, 2.0],
    "amount": {"amount_minor": 12_500, "currency": "CNY"},
}
FIELDS: dict[str, type] = {
    "shop": str,
    "orders": int,
    "vip": bool,
    "since": datetime,
    "segments": tuple[str, ...],
    "levels": list,
}


def made(tree: object, fields: dict[str, type] | None = None) -> Predicate:
    predicate = parse(tree, fields)
    assert isinstance(predicate, Predicate), predicate
    return predicate


def faults(tree: object, fields: dict[str, type] | None = None) -> list[tuple[str, str]]:
    found = parse(tree, fields)
    assert isinstance(found, tuple), found
    return [(fault.path, fault.reason) for fault in found]


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("orders", "eq", 3, True),
        ("orders", "eq", 4, False),
        ("orders", "ne", 4, True),
        ("orders", "ne", 3, False),
        ("orders", "lt", 3, False),
        ("orders", "lt", 4, True),
        ("orders", "lte", 3, True),
        ("orders", "lte", 2, False),
        ("orders", "gt", 3, False),
        ("orders", "gt", 2, True),
        ("orders", "gte", 3, True),
        ("orders", "gte", 4, False),
        ("orders", "in", [1, 3], True),
        ("orders", "in", [1, 2], False),
        ("orders", "not_in", [1, 2], True),
        ("orders", "not_in", [1, 3], False),
        ("shop", "eq", "moon", True),
        ("shop", "starts_with", "mo", True),
        ("shop", "starts_with", "oo", False),
        ("shop", "contains", "oo", True),
        ("shop", "contains", "sun", False),
        ("shop", "in", ["sun", "moon"], True),
        ("vip", "eq", True, True),
        ("vip", "ne", False, True),
        ("segments", "contains", "vip", True),
        ("segments", "contains", "vi", False),
        ("levels", "contains", 2, True),
        ("levels", "contains", 3, False),
        ("amount.amount_minor", "gte", 12_500, True),
        ("amount.currency", "eq", "EUR", False),
        ("since", "gte", "2024-05-01T20:00:00+08:00", True),
        ("since", "gt", "2024-05-01T12:00:00Z", False),
        ("since", "lt", "2024-05-01T12:00:00.000001Z", True),
        ("shop", "exists", True, True),
        ("shop", "exists", False, False),
        ("score", "exists", True, True),
        ("amount", "exists", True, True),
    ],
)
def test_a_comparison_of_a_field_that_is_there(field: str, op: str, value: object, expected: bool) -> None:
    assert made({"field": field, "op": op, "value": value}).matches(RECORD) is expected


@pytest.mark.parametrize("field", ["nowhere", "gone", "amount.nowhere", "shop.nowhere", "nowhere.at.all", "segments.0"])
@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("eq", 3),
        ("ne", 3),
        ("lt", 3),
        ("gte", 3),
        ("in", [3]),
        ("not_in", [3]),
        ("starts_with", ""),
        ("contains", ""),
        ("exists", True),
    ],
)
def test_an_absent_or_null_field_satisfies_no_comparison(field: str, op: str, value: object) -> None:
    assert made({"field": field, "op": op, "value": value}).matches(RECORD) is False
    assert made({"field": field, "op": "exists", "value": False}).matches(RECORD) is True


@pytest.mark.parametrize(
    ("field", "op", "value"),
    [
        ("score", "eq", 3),  # a float is not compared with an integer, equal or not
        ("score", "ne", 4),
        ("score", "gte", 0),
        ("vip", "eq", 1),  # true is not 1
        ("vip", "gte", 0),
        ("orders", "ne", "3"),
        ("orders", "not_in", ["3"]),
        ("levels", "contains", True),  # nor is 1 true inside a list
        ("code", "contains", 1),
        ("orders", "contains", 3),
        ("amount", "ne", "CNY"),
        ("since", "eq", "2024-05-01T12:00:00Z"),  # nothing said that this text is a time
        ("naive", "lt", "2099-01-01T00:00:00Z"),  # a time without an offset is no moment
        ("segments", "ne", "vip"),
    ],
)
def test_a_field_of_another_kind_satisfies_no_comparison(field: str, op: str, value: object) -> None:
    assert made({"field": field, "op": op, "value": value}).matches(RECORD) is False


def test_a_float_inside_a_list_is_not_compared_either() -> None:
    assert made({"field": "levels", "op": "contains", "value": 2}).matches({"levels": [2.0]}) is False


def test_text_is_a_time_where_the_field_is_known_to_hold_times() -> None:
    same = "2024-05-01T09:00:00-03:00"
    assert made({"field": "since", "op": "eq", "value": same}, FIELDS).matches(RECORD)
    assert made({"field": "since", "op": "in", "value": [same]}, FIELDS).matches(RECORD)
    assert not made({"field": "since", "op": "ne", "value": same}, FIELDS).matches(RECORD)


def test_a_yaml_timestamp_is_a_time() -> None:
    tree = yaml.safe_load("{field: since, op: eq, value: 2024-05-01T12:00:00Z}")
    assert made(tree) == Comparison(("since",), "eq", NOON)


@pytest.mark.parametrize(
    ("kind", "orders", "expected"),
    [
        ("all", (3, 3), True),
        ("all", (3, 9), False),
        ("any", (9, 3), True),
        ("any", (8, 9), False),
        ("none", (8, 9), True),
        ("none", (9, 3), False),
    ],
)
def test_groups(kind: str, orders: tuple[int, int], expected: bool) -> None:
    parts = [{"field": "orders", "op": "eq", "value": number} for number in orders]
    assert made({kind: parts}).matches(RECORD) is expected


def test_an_empty_all_is_always_true() -> None:
    assert made({"all": []}) == Group("all", ())
    assert made({"all": []}).matches({}) is True


def test_a_struct_is_a_record_by_its_own_field_names() -> None:
    order = OrderPlaced(order_id="o1", amount=Money(12_500, "CNY"), items=(Item(item_id="i1"),))
    assert made({"field": "amount.amount_minor", "op": "gte", "value": 10_000}).matches(order) is True
    assert made({"field": "amount.currency", "op": "in", "value": ["EUR", "CNY"]}).matches(order) is True
    assert made({"field": "items", "op": "exists"}).matches(order) is True
    assert made({"field": "TYPE", "op": "exists"}).matches(order) is False, "what is no field is not there"
    assert made({"field": "category", "op": "ne", "value": "tea"}).matches(Visit()) is False, "None is absent"
    assert made({"field": "data.order_id", "op": "eq", "value": "o1"}).matches({"data": order}) is True


def test_parsed_into_plain_data_and_back() -> None:
    tree = {
        "any": [
            {"field": "a.b", "op": "in", "value": ["x", "y"]},
            {"none": [{"field": "c", "op": "exists", "value": True}]},
        ]
    }
    expected = Group(
        "any", (Comparison(("a", "b"), "in", ("x", "y")), Group("none", (Comparison(("c",), "exists", True),)))
    )
    assert made(tree) == expected
    assert unparse(expected) == tree


def test_every_fault_is_told_with_its_path() -> None:
    tree = {
        "all": [
            {"field": "orders", "op": "equals", "value": 3},
            {"field": "order", "op": "eq", "value": 3},
            {"any": [{"field": "orders", "op": "gte", "value": "3"}, "orders > 3"]},
            {"field": "orders", "op": "in", "value": [1, "2", 3.0]},
            {"field": "shop", "operator": "eq", "value": "moon"},
            {"none": [], "all": []},
            {"any": {"field": "orders"}},
        ]
    }
    operators = "must be one of eq, ne, in, not_in, lt, lte, gt, gte, starts_with, contains, exists"
    assert faults(tree, FIELDS) == [
        ("$.all[0].op", operators),
        ("$.all[1].field", "is unknown; known are levels, orders, segments, shop, since, vip"),
        ("$.all[2].any[0].value", "must be an integer"),
        ("$.all[2].any[1]", "must be a comparison (field, op, value) or one of all, any, none"),
        ("$.all[3].value[1]", "must be an integer"),
        ("$.all[3].value[2]", "must be an integer; a float is never compared"),
        ("$.all[4].operator", "does not belong here; what does is field, op, value"),
        ("$.all[4].op", operators),
        ("$.all[5].none", "does not belong here; what does is all"),
        ("$.all[5].none", "must be a list of one or more"),
        ("$.all[6].any", "must be a list of one or more"),
    ]


@pytest.mark.parametrize(
    ("field", "op", "value", "path", "reason"),
    [
        ("vip", "gte", 3, "$.op", "does not go with this field, which is a boolean"),
        ("shop", "lt", 3, "$.op", "does not go with this field, which is a text"),
        ("orders", "starts_with", "1", "$.op", "does not go with this field, which is an integer"),
        ("orders", "contains", 1, "$.op", "does not go with this field, which is an integer"),
        ("segments", "eq", "vip", "$.op", "does not go with this field, which is of another kind"),
        ("segments", "contains", 1, "$.value", "must be a text"),
        ("orders", "eq", True, "$.value", "must be an integer"),
        ("orders", "eq", None, "$.value", "must be an integer"),
        ("vip", "eq", 1, "$.value", "must be a boolean"),
        ("since", "gte", "2024-05-01T12:00:00", "$.value", "must be a time with an offset"),
        ("since", "gte", "noon", "$.value", "must be a time with an offset"),
        ("since", "gte", 1714564800, "$.value", "must be a time with an offset"),
        ("shop", "exists", "yes", "$.value", "must be a boolean"),
        ("shop", "in", [], "$.value", "must be a list of 1 to 1000 values"),
        ("shop", "in", "moon", "$.value", "must be a list of 1 to 1000 values"),
    ],
)
def test_a_known_field_goes_with_its_operators_and_values(
    field: str, op: str, value: object, path: str, reason: str
) -> None:
    assert faults({"field": field, "op": op, "value": value}, FIELDS) == [(path, reason)]


@pytest.mark.parametrize(
    ("op", "value", "reason"),
    [
        ("eq", 99.5, "must be a boolean or an integer or a text or a time with an offset; a float is never compared"),
        ("eq", None, "must be a boolean or an integer or a text or a time with an offset"),
        ("eq", ["x"], "must be a boolean or an integer or a text or a time with an offset"),
        ("gte", "10", "must be an integer or a time with an offset"),
        ("gte", 1.0, "must be an integer or a time with an offset; a float is never compared"),
        ("lt", "\ud800", "must be an integer or a time with an offset"),
        ("starts_with", 1, "must be a text"),
        ("eq", 2**63, "is too large: 200 characters, or 9223372036854775807, are the most"),
        ("eq", "x" * (MAX_CHARS + 1), "is too large: 200 characters, or 9223372036854775807, are the most"),
    ],
)
def test_values_nobody_can_mean_are_refused_even_if_the_fields_are_not_known(
    op: str, value: object, reason: str
) -> None:
    assert faults({"field": "x", "op": op, "value": value}) == [("$.value", reason)]


@pytest.mark.parametrize("field", [None, 3, "", ".", "a.", ".a", "a..b", "x" * (MAX_CHARS + 1)])
def test_a_field_is_names_joined_by_dots(field: object) -> None:
    assert faults({"field": field, "op": "exists"}) == [
        ("$.field", "must be names joined by dots, 200 characters at most")
    ]


def test_a_list_of_values_is_of_one_kind_and_bounded() -> None:
    assert faults({"field": "x", "op": "in", "value": ["a", 1]}) == [("$.value[1]", "must be a text")]
    assert faults({"field": "x", "op": "in", "value": [1, True]}) == [("$.value[1]", "must be an integer")]
    most = list(range(MAX_VALUES))
    assert made({"field": "x", "op": "in", "value": most}).matches({"x": MAX_VALUES - 1}) is True
    assert faults({"field": "x", "op": "in", "value": [*most, -1]}) == [
        ("$.value", "must be a list of 1 to 1000 values")
    ]


def test_depth_and_size_are_bounded() -> None:
    leaf: dict[str, Any] = {"field": "x", "op": "exists"}
    deep = leaf
    for _ in range(MAX_DEPTH - 1):
        deep = {"all": [deep]}
    assert made(deep).matches({"x": 1}) is True
    assert faults({"all": [deep]}) == [
        ("$" + ".all[0]" * MAX_DEPTH, "is too much: at most 200 groups and comparisons, 8 deep")
    ]
    assert made({"any": [leaf] * (MAX_SIZE - 1)}).matches({"x": 1}) is True
    assert faults({"any": [leaf] * (MAX_SIZE + 5)}) == [
        ("$.any[199]", "is too much: at most 200 groups and comparisons, 8 deep")
    ]


def test_aliases_of_aliases_do_not_blow_up() -> None:
    tree: dict[str, Any] = {"field": "x", "op": "exists"}
    for _ in range(MAX_DEPTH - 1):
        tree = {"all": [tree] * 1000}  # 10**21 comparisons, were they all looked at
    assert [reason for _, reason in faults(tree)] == ["is too much: at most 200 groups and comparisons, 8 deep"]


def test_faults_are_told_below_the_path_of_the_document_around() -> None:
    assert parse(3, under="$.segments[2].filter") == (
        Rejection("$.segments[2].filter", "must be a comparison (field, op, value) or one of all, any, none"),
    )
