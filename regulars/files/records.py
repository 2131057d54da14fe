"""A row as a mapping sees it, and rows that are one thing, such as the lines of an order."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from regulars.files.columns import BYTES_LEFT, EXACT, Column, Value
from regulars.files.unfit import Unfit


class Layout:
    """Which cells are kept of a row, and the columns made of them."""

    def __init__(self, cells: Sequence[str], missing: Sequence[str]) -> None:
        self.cells = tuple(cells)
        self.at = {name: number for number, name in enumerate(self.cells)}
        self.missing = frozenset(("", *missing))
        self.columns: dict[str, Column] = {}
        self.sources: dict[str, tuple[tuple[str, str], ...]] = {}  # column: (text before it, cell), ...


class Record(Mapping[str, Any]):
    """One row. As a mapping it is what conditions look at; nothing is read before it is asked for."""

    __slots__ = ("_layout", "_values", "cells")

    def __init__(self, layout: Layout, cells: Sequence[str | None]) -> None:
        self._layout, self.cells = layout, cells
        self._values: dict[str, Value] = {}

    def value(self, name: str) -> Value:
        """Of a declared column, or else the cell's text; None where it is missing. Raises Unfit."""
        if name not in self._values:
            column = self._layout.columns.get(name)
            self._values[name] = self._cell(name) if column is None else self._read(name, column)
        return self._values[name]

    def has(self, name: str) -> bool:
        """Whether the row says anything there, a default aside."""
        return (self._joined(name) if name in self._layout.columns else self._cell(name)) is not None

    def _read(self, name: str, column: Column) -> Value:
        factor = self.value(column.times) if column.times is not None else None
        try:
            return column.read(self._joined(name), factor if isinstance(factor, int) else None)
        except Unfit as fault:
            raise Unfit(f"$.columns.{name}", fault.reason, self) from None

    def _joined(self, name: str) -> str | None:
        sources = self._layout.sources[name]
        if len(sources) == 1:  # a cell alone, as most are
            return self._cell(sources[0][1])
        parts: list[str] = []
        for before, cell in sources:
            parts.append(before)
            if cell:
                if (text := self._cell(cell)) is None:
                    return None
                parts.append(text)
        return "".join(parts)

    def _cell(self, name: str) -> str | None:
        text = self.cells[self._layout.at[name]]
        if text is None:
            return None
        text = text.strip()
        if not text.isascii() and BYTES_LEFT.search(text):
            raise Unfit(f"$.columns.{name}", "is not text of the file's encoding", self)
        return None if text in self._layout.missing else text

    def __getitem__(self, name: str) -> Any:
        value = self.value(name)
        column = self._layout.columns.get(name)
        return value if column is None else column.compared(value)

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - as a Mapping says it
        """As conditions ask: None where it is missing."""
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._layout.columns, *self._layout.cells))

    def __len__(self) -> int:
        return len(self._layout.columns) + len(self._layout.cells)


class Rows(Mapping[str, Any]):
    """One row or more that are told of together: a column's value is the one that it picks of those not missing."""

    __slots__ = ("_layout", "records")

    def __init__(self, layout: Layout, records: Sequence[Record]) -> None:
        self._layout, self.records = layout, records

    def value(self, name: str) -> Value:
        """As said above. Raises Unfit."""
        if len(self.records) == 1:
            return self.records[0].value(name)
        column = self._layout.columns.get(name)
        pick = "first" if column is None else column.pick
        records = reversed(self.records) if pick == "last" else self.records
        found = (value for record in records if record.has(name) and (value := record.value(name)) is not None)
        picked = (
            next(found, None) if pick in ("first", "last") else (min if pick == "least" else max)(found, default=None)
        )
        return self.records[0].value(name) if picked is None else picked  # its default, where none says anything

    def of_one(self, record: Record) -> "Rows":
        """One of the rows, alone."""
        return Rows(self._layout, (record,))

    def total(self, name: str) -> Decimal | int:
        """The sum over all rows. Raises Unfit where one has nothing: what has a hole adds up wrongly."""
        values = [record.value(name) for record in self.records]
        for record, value in zip(self.records, values, strict=True):
            if value is None:
                raise Unfit(f"$.columns.{name}", "is missing in a row that is added up", record)
        amounts = [value for value in values if isinstance(value, Decimal)]
        if amounts:
            total = Decimal(0)
            for amount in amounts:
                total = EXACT.add(total, amount)
            return total
        return sum(value for value in values if isinstance(value, int))

    def __getitem__(self, name: str) -> Any:
        value = self.value(name)
        column = self._layout.columns.get(name)
        return value if column is None else column.compared(value)

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - as a Mapping says it
        """As conditions ask: None where it is missing."""
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.records[0])

    def __len__(self) -> int:
        return len(self.records[0])
