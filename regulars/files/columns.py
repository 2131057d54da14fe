"""A column of a mapping: from a cell's text to a value. Exact: no float is ever reckoned with."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from math import isnan
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from regulars.files.times import time_parser
from regulars.files.unfit import Unfit

Value: TypeAlias = str | int | bool | Decimal | datetime | None  # money is a Decimal of major units; None is missing
Kind = Literal["text", "integer", "money", "time"]
Pick = Literal["first", "last", "least", "most"]
COMPARED_AS: Mapping[Kind, type] = {"text": str, "integer": int, "money": int, "time": datetime}

# What is reckoned stays exact: 16 + 8 digits of an amount, 7 of a quantity, and a sum over very many rows.
EXACT = Context(prec=60)
AMOUNT = re.compile(r"[+-]?\d{1,16}(?:\.\d{0,8})?|[+-]?\.\d{1,8}")
INTEGER = re.compile(r"([+-]?\d{1,18})(?:\.0+)?")  # 17850.0: how spreadsheets write a whole number
MAX_FACTOR = 9_999_999
TIMES_KEPT = 4_096  # times read last: the lines of an order have the same
BYTES_LEFT = re.compile("[\udc80-\udcff]")  # what was not of the file's encoding
ONLY_FOR: Mapping[str, Kind] = {
    "map": "text",
    "min": "integer",
    "max": "integer",
    "times": "money",
    "decimal": "money",
    "thousands": "money",
    "unit": "money",
    "round": "money",
    "format": "time",
    "zone": "time",
}


class ColumnSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A column as a mapping has it; docs/platforms/files.md says what each field does."""

    column: str | None = None
    join: str | None = None
    type: Kind = "text"
    match: str | None = None
    map: dict[str, str | int | bool] | None = None
    default: str | int | None = None
    otherwise: str | int | None = None
    min: int | None = None
    max: int | None = None
    times: str | None = None
    decimal: Literal[".", ","] = "."
    thousands: Annotated[str, Meta(max_length=1)] = ""
    unit: Literal["major", "minor"] = "major"
    pick: Pick | None = None
    round: bool = False
    format: str | None = None
    zone: str | None = None


class Column:
    """A column that is ready to read. Raises ValueError when its spec makes no sense, with the field at fault first."""

    def __init__(self, spec: ColumnSpec, zone: str | None, digits: int) -> None:
        for field, kind in ONLY_FOR.items():
            if getattr(spec, field) not in (None, "", False, ".", "major") and spec.type != kind:
                raise ValueError(f"{field}: is for {kind} alone")
        self.kind: Kind = spec.type
        self.times = spec.times
        self.pick: Pick = spec.pick or ("least" if spec.type == "time" else "first")
        if self.pick in ("least", "most") and spec.type == "text":
            raise ValueError("pick: a text is picked first or last")
        self._spec, self._digits = spec, digits
        self._match = _pattern(spec.match)
        self._parse = self._parser(spec, zone)
        self._default = self._literal("default", spec.default)
        self._otherwise = self._literal("otherwise", spec.otherwise)

    def read(self, text: str | None, factor: int | None) -> Value:
        """The value of a cell; with `times`, what that column holds is the factor. Raises Unfit (its path is empty)."""
        if text is None:
            return self._default
        try:
            if (value := self._parsed(text)) is None or self.times is None:
                return value
            if factor is None or abs(factor) > MAX_FACTOR:
                raise Unfit("", f"{self.times}, which it is taken times, is missing or too large")
            assert isinstance(value, Decimal)
            return EXACT.multiply(value, Decimal(factor))
        except Unfit:
            if self._otherwise is None:
                raise
            return self._otherwise

    def minor(self, value: Decimal) -> int:
        """The amount in minor units; Unfit when it is a fraction of them, unless the mapping says to round."""
        scaled = value.scaleb(self._digits, EXACT)
        whole = scaled.to_integral_value(ROUND_HALF_UP)
        if whole != scaled and not self._spec.round:
            raise Unfit(
                "", f"has more than the {self._digits} digits of the currency's minor unit; `round: true` rounds"
            )
        return int(whole)

    def compared(self, value: Value) -> Value:
        """As conditions see it: money in minor units, rounded."""
        return int(value.scaleb(self._digits, EXACT).to_integral_value()) if isinstance(value, Decimal) else value

    def _parsed(self, text: str) -> Value:
        if self._match is not None:
            if (found := self._match.fullmatch(text)) is None:
                raise Unfit("", "does not match the pattern")
            text = (found[1] if self._match.groups else found[0]) or ""
            if not text:
                return self._default
        return self._parse(text)

    def _literal(self, field: str, value: str | int | None) -> Value:
        try:
            return None if value is None else self._parse(str(value))
        except Unfit as fault:
            raise ValueError(f"{field}: {fault.reason}") from None

    def _parser(self, spec: ColumnSpec, zone: str | None) -> Callable[[str], Value]:
        if spec.type == "integer":
            return self._integer
        if spec.type == "money":
            return self._money
        if spec.type == "time":
            return lru_cache(maxsize=TIMES_KEPT)(time_parser(spec.format or "iso", spec.zone or zone))
        values = spec.map
        return (lambda text: text) if values is None else (lambda text: _mapped(values, text))

    def _integer(self, text: str) -> int:
        if (found := INTEGER.fullmatch(text)) is None:
            raise Unfit("", "is not an integer")
        value, (low, high) = int(found[1]), (self._spec.min, self._spec.max)
        if (low is not None and value < low) or (high is not None and value > high):
            raise Unfit("", "is not between its min and max")
        return value

    def _money(self, text: str) -> Decimal:
        plain = text.replace(self._spec.thousands, "") if self._spec.thousands else text
        plain = plain.replace(",", ".") if self._spec.decimal == "," else plain
        if AMOUNT.fullmatch(plain) is None:
            raise Unfit("", "is not an amount")
        amount = Decimal(plain)
        return amount.scaleb(-self._digits, EXACT) if self._spec.unit == "minor" else amount


def text_of(cell: Any) -> str | None:
    """What NDJSON and Parquet hold, as the text a CSV file would; raises Unfit for a list or an object."""
    match cell:
        case None | str():
            return cell
        case bool():
            return "true" if cell else "false"
        case int():
            return str(cell)
        case float():
            return None if isnan(cell) else format(Decimal(repr(cell)), "f")
        case Decimal():
            return format(cell, "f")
        case _ if hasattr(cell, "isoformat"):  # dates and times
            return str(cell.isoformat())
    raise Unfit("", "is a list or an object")


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text is not None else None
    except re.error as error:
        raise ValueError(f"match: is no pattern: {error}") from None


def _mapped(values: Mapping[str, str | int | bool], text: str) -> str | int | bool:
    if (found := values.get(text)) is None:
        raise Unfit("", "is none of the values in its map")
    return found
