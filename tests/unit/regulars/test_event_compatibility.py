"""Each way to break a published contract is noticed, and each way to extend one is not taken for a break."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from common.contracts.envelope import Time
from regulars.event_compatibility import Shape, breaks, components, shape, shape_of

Fields = list[tuple[str, Any] | tuple[str, Any, Any]]


def said(fields: Fields, *, closed: bool = False) -> Shape:
    """The shape of an event `said` that has these fields."""
    record = msgspec.defstruct("Said", fields, kw_only=True, forbid_unknown_fields=closed)
    return shape_of("said", *components(record))


class Price(Struct):
    minor: int
    currency: str


class PriceWithoutCurrency(Struct):
    minor: int


class PriceWithTax(Struct):
    minor: int
    currency: str
    tax: int = 0


class ClosedPrice(Struct, forbid_unknown_fields=True):
    minor: int
    currency: str


class ClosedPriceWithTax(Struct, forbid_unknown_fields=True):
    minor: int
    currency: str
    tax: int = 0


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # gone
        ([("x", int), ("y", str, "")], [("x", int)], ("said/y: is gone",)),
        ([("x", Price)], [("x", PriceWithoutCurrency)], ("said/x/currency: is gone",)),
        # required
        ([], [("x", str)], ("said/x: is new and required",)),
        (
            [("x", int, 5)],
            [("x", int)],
            ("said/x: default was 5, is null", "said/x: required was false, is true"),
        ),
        ([("x", int | None, None)], [("x", int | None)], ("said/x: required was false, is true",)),
        ([("x", int | None)], [("x", int | None, None)], ("said/x: required was true, is false",)),
        # types, both ways
        ([("x", int)], [("x", str)], ('said/x: types was ["integer"], is ["string"]',)),
        ([("x", int)], [("x", int | None)], ('said/x: types was ["integer"], is ["integer", "null"]',)),
        ([("x", int | str)], [("x", int)], ('said/x: types was ["integer", "string"], is ["integer"]',)),
        ([("x", tuple[int, ...])], [("x", tuple[str, ...])], ('said/x/[]: types was ["integer"], is ["string"]',)),
        ([("x", dict[str, int])], [("x", dict[str, bool])], ('said/x/*: types was ["integer"], is ["boolean"]',)),
        ([("x", Time)], [("x", str)], ('said/x: format was "date-time", is null',)),
        (
            [("x", str)],
            [("x", Literal["a", "b"])],
            ('said/x: enum was null, is ["a", "b"]', 'said/x: types was ["string"], is ["enum"]'),
        ),
        # values and bounds, both ways
        ([("x", Literal["a", "b"])], [("x", Literal["a"])], ('said/x: enum was ["a", "b"], is ["a"]',)),
        ([("x", Literal["a"])], [("x", Literal["a", "b"])], ('said/x: enum was ["a"], is ["a", "b"]',)),
        ([("x", Annotated[int, Meta(le=9)])], [("x", Annotated[int, Meta(le=8)])], ("said/x: maximum was 9, is 8",)),
        ([("x", Annotated[int, Meta(ge=1)])], [("x", Annotated[int, Meta(ge=0)])], ("said/x: minimum was 1, is 0",)),
        ([("x", int)], [("x", Annotated[int, Meta(ge=0)])], ("said/x: minimum was null, is 0",)),
        (
            [("x", Annotated[str, Meta(max_length=9)])],
            [("x", Annotated[str, Meta(max_length=8)])],
            ("said/x: maxLength was 9, is 8",),
        ),
        (
            [("x", Annotated[str, Meta(pattern="^a")] | None, None)],
            [("x", Annotated[str, Meta(pattern="^b")] | None, None)],
            ('said/x: pattern was "^a", is "^b"',),
        ),
        (
            [("x", Annotated[tuple[int, ...], Meta(max_length=9)])],
            [("x", Annotated[tuple[int, ...], Meta(max_length=10)])],
            ("said/x: maxItems was 9, is 10",),
        ),
        # meaning of what was left out
        ([("x", int, 1)], [("x", int, 2)], ("said/x: default was 1, is 2",)),
        ([("x", tuple[int, ...], ())], [("x", tuple[int, ...], (1,))], ("said/x: default was [], is [1]",)),
        # records whose readers refuse what they do not know
        ([("x", ClosedPrice)], [("x", ClosedPriceWithTax)], ("said/x/tax: is new in a closed record",)),
        ([("x", Price)], [("x", ClosedPrice)], ("said/x: open was true, is false",)),
        ([("x", ClosedPrice)], [("x", Price)], ("said/x: open was false, is true",)),
    ],
)
def test_each_break_is_told(before: Fields, after: Fields, expected: tuple[str, ...]) -> None:
    assert breaks(said(before), said(after)) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([("x", int)], [("x", int)]),
        ([("x", int)], [("x", int), ("y", str | None, None)]),
        ([("x", int)], [("y", Price | None, None), ("x", int)]),
        ([("x", Price)], [("x", PriceWithTax)]),
        ([("x", tuple[Price, ...])], [("x", tuple[PriceWithTax, ...])]),
        ([("x", int)], [("x", Annotated[int, Meta(title="X", description="better words", examples=[1])])]),
    ],
)
def test_extensions_and_better_words_break_nothing(before: Fields, after: Fields) -> None:
    assert breaks(said(before), said(after)) == ()


def test_a_closed_record_refuses_even_an_optional_field() -> None:
    before, after = said([("x", int)], closed=True), said([("x", int), ("y", int, 0)], closed=True)
    assert breaks(before, after) == ("said/y: is new in a closed record",)


def test_topics_keep_their_types_and_partitions() -> None:
    topic = {"open": True, "partitions": 24}
    before = {"orders.v1": topic, "orders.v1/order.paid": {}, "orders.v1/order.placed": {}}
    assert breaks(before, {**before, "orders.v1/order.sent": {}, "returns.v1": topic}) == ()
    assert breaks(before, {"orders.v1": topic, "orders.v1/order.paid": {}}) == ("orders.v1/order.placed: is gone",)
    assert breaks(before, {**before, "orders.v1": {"open": True, "partitions": 48}}) == (
        "orders.v1: partitions was 24, is 48",
    )


def test_what_the_contracts_hold_today() -> None:
    today = shape()
    assert today["ingest.events.v1"] == {"open": True, "partitions": 24}
    assert today["ingest.events.v1/order.placed"] == {}
    assert today["envelope/receivedat"] == {"format": "date-time", "required": True, "types": ["string"]}
    assert today["envelope/historic"] == {"default": False, "required": False, "types": ["boolean"]}
    assert today["order.placed"] == {"open": True, "types": ["object"]}
    assert today["order.placed/items/[]/quantity"] == {
        "default": 1,
        "maximum": 1_000_000,
        "minimum": 1,
        "required": False,
        "types": ["integer"],
    }
    assert today["message.requested/params/*"] == {"types": ["integer", "string"]}


def test_no_place_and_no_demand_of_today_can_vanish_unnoticed() -> None:
    today = shape()
    for place, demands in today.items():
        without = {other: kept for other, kept in today.items() if other != place}
        assert f"{place}: is gone" in breaks(today, without)
        for key in demands:
            changed = {**today, place: {**demands, key: "another"}}
            assert [text.partition(" was ")[0] for text in breaks(today, changed)] == [f"{place}: {key}"]
