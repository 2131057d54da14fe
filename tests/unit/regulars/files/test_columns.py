"""A cell's text as a value: exactly that, or why not."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.files.columns import Column, ColumnSpec, text_of
from regulars.files.unfit import Unfit


def read(text: str | None, zone: str | None = None, digits: int = 2, factor: int | None = None, **spec: Any) -> Any:
    return Column(ColumnSpec(**spec), zone, digits).read(text, factor)


def minor(text: str, digits: int = 2, **spec: Any) -> int:
    column = Column(ColumnSpec(type="money", **spec), None, digits)
    value = column.read(text, None)
    assert isinstance(value, Decimal)
    return column.minor(value)


@given(st.integers(0, 10**14), st.sampled_from([0, 2, 3]))
def test_an_amount_is_exact(amount: int, digits: int) -> None:
    text = format(Decimal(amount).scaleb(-digits), "f")
    assert minor(text, digits) == amount
    assert minor(text.replace(".", ","), digits, decimal=",") == amount
    assert minor(str(amount // 100), digits, unit="minor") == amount // 100


@pytest.mark.parametrize(
    ("text", "spec", "amount"),
    [
        ("12", {}, 1200),
        ("12.5", {}, 1250),
        ("12.500", {}, 1250),
        (".5", {}, 50),
        ("-0.10", {}, -10),
        ("1,234,567.89", {"thousands": ","}, 123456789),
        ("1.234,50", {"thousands": ".", "decimal": ","}, 123450),
        ("0.125", {"round": True}, 13),
        ("0.124", {"round": True}, 12),
    ],
)
def test_amounts_as_files_have_them(text: str, spec: dict[str, Any], amount: int) -> None:
    assert minor(text, **spec) == amount


@pytest.mark.parametrize("text", ["", "12,50", "1e3", "12.3.4", "€12", "NaN", "1" * 17, "0.125"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(Unfit):
        minor(text)


def test_a_quantity_times_a_price_is_not_rounded_on_the_way() -> None:
    column = Column(ColumnSpec(type="money", times="pieces"), None, 2)
    assert column.read("0.001", 9_999_999) == Decimal("9999.999")
    with pytest.raises(Unfit, match="pieces"):
        column.read("0.001", None)


@pytest.mark.parametrize(
    ("text", "form", "zone", "time"),
    [
        ("2026-01-31 08:30:00", "iso", "Asia/Shanghai", (2026, 1, 31, 0, 30)),
        ("2026-01-31T08:30:00+08:00", "iso", None, (2026, 1, 31, 0, 30)),
        ("2026-01-31", "iso", "Europe/London", (2026, 1, 31)),
        ("2026-07-31 00:00", "iso", "Europe/London", (2026, 7, 30, 23)),  # summer time
        ("2026-03-29 02:30", "iso", "Europe/Berlin", (2026, 3, 29, 1, 30)),  # an hour that was left out
        ("2026-10-25 02:30", "iso", "Europe/Berlin", (2026, 10, 25, 0, 30)),  # one that was there twice: the first
        ("31/01/2026 08.30", "%d/%m/%Y %H.%M", "UTC", (2026, 1, 31, 8, 30)),
        ("1769848200", "epoch_s", None, (2026, 1, 31, 8, 30)),
        ("1769848200000", "epoch_ms", None, (2026, 1, 31, 8, 30)),
        ("1769848200.0", "epoch_s", None, (2026, 1, 31, 8, 30)),
    ],
)
def test_times(text: str, form: str, zone: str | None, time: tuple[int, ...]) -> None:
    assert read(text, zone, type="time", format=form) == datetime(*time, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("2026-13-01", {"zone": "UTC"}),
        ("2026-01-31", {}),  # of no zone
        ("1e9", {"format": "epoch_s"}),
        ("999999999999999", {"format": "epoch_s"}),
        ("0001-01-01", {"zone": "Asia/Shanghai"}),
    ],
)
def test_what_is_no_time(text: str, spec: dict[str, Any]) -> None:
    with pytest.raises(Unfit) as raised:
        read(text, type="time", **spec)
    assert text not in raised.value.reason


def test_missing_and_unfit_cells_have_their_own_values() -> None:
    spec: dict[str, Any] = {"type": "integer", "min": 1, "max": 9, "default": 2, "otherwise": 3}
    assert [read(text, **spec) for text in (None, "5", "10", "many", "7.0")] == [2, 5, 3, 3, 7]
    with pytest.raises(Unfit):
        read("10", type="integer", max=9)


def test_a_pattern_takes_a_part_and_a_map_gives_a_value() -> None:
    assert read("17850.0", match=r"(\d+)\.0") == "17850"
    assert read("AB-1", match=r"[A-Z]+-\d") == "AB-1"
    assert read("Y", map={"Y": True, "N": False}) is True
    for text, spec in (("x", {"match": r"\d+"}), ("J", {"map": {"Y": True}})):
        with pytest.raises(Unfit):
            read(text, **spec)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, None),
        (True, "true"),
        (12, "12"),
        (0.1, "0.1"),
        (1e16, "10000000000000000"),
        (float("nan"), None),
        (Decimal("1.10"), "1.10"),
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00+00:00"),
    ],
)
def test_typed_cells_are_read_as_text(cell: object, text: str | None) -> None:
    assert text_of(cell) == text


def test_a_list_is_no_cell() -> None:
    with pytest.raises(Unfit):
        text_of([1])
