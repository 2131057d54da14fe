"""What a mapping says of an event, ready to be asked of rows: texts with {columns} in them, sums, lists, literals."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from common import predicate
from common.contracts.envelope import Rejection
from common.contracts.ingest import MAX_ITEMS
from regulars.files.columns import COMPARED_AS, Column, Value
from regulars.files.records import Record, Rows
from regulars.files.unfit import Unfit

Node: TypeAlias = Callable[[Rows], Any]  # None: there is nothing to say
Condition: TypeAlias = Callable[[Rows | Record], bool]

REFERENCE = re.compile(r"\{([^{}]+)\}")
MAX_DEPTH = 8


class Scope:
    """What can be named in a mapping, what was, and every fault met on the way."""

    def __init__(self, columns: Mapping[str, Column], currency: str | None) -> None:
        self._columns = columns
        self._currency = currency
        self.cells: dict[str, None] = {}  # of the file, by name, in order; as a set
        self.faults: list[Rejection] = []

    def fault(self, path: str, reason: str) -> None:
        """One more."""
        self.faults.append(Rejection(path, reason))

    def name(self, name: str) -> str:
        """A declared column, or else a cell of the file."""
        if name not in self._columns:
            self.cells[name] = None
        return name

    def text(self, template: object, path: str) -> Node:
        """A text with {columns} in it; nothing, when one of them is missing."""
        if not isinstance(template, str):
            self.fault(path, "must be a text, such as '{column}'")
            return _nothing
        pieces = REFERENCE.split(template)
        if any("{" in piece or "}" in piece for piece in pieces[::2]):
            self.fault(path, "has a brace that names no column")
        names = [self.name(name) for name in pieces[1::2]]
        if len(names) == 1 and not pieces[0] and not pieces[2]:
            return self._as_it_is(names[0])
        before, last = pieces[:-1:2], pieces[-1]

        def text(rows: Rows) -> str | None:
            values = [rows.value(name) for name in names]
            if any(value is None for value in values):
                return None
            told = zip(before, names, values, strict=True)
            return "".join(f"{piece}{self._word(name, value)}" for piece, name, value in told) + last

        return text

    def word(self, template: object, path: str) -> Node:
        """As `text`, but always a text: for ids and names."""
        node = self.text(template, path)
        return lambda rows: None if (value := node(rows)) is None else value if isinstance(value, str) else str(value)

    def condition(self, tree: object, path: str) -> Condition | None:
        """A predicate over the columns; None where there is none."""
        if tree is None:
            return None
        fields: dict[str, type] = {name: COMPARED_AS[column.kind] for name, column in self._columns.items()}
        for name in _fields_in(tree, 0):
            if name not in fields:
                fields[self.name(name)] = str
                if "." in name:
                    self.fault(path, f"{name!r}: give it a name without dots under `columns`, to compare it")
        parsed = predicate.parse(tree, fields, path)
        if isinstance(parsed, tuple):
            self.faults += parsed
            return None
        return parsed.matches

    def data(self, tree: object, path: str, depth: int = 1) -> Node:
        """Any tree of data: texts, literals, objects, lists, {sum: column} and {each: object}."""
        if depth > MAX_DEPTH:
            self.fault(path, f"is nested more than {MAX_DEPTH} deep")
        elif isinstance(tree, str):
            return self.text(tree, path)
        elif isinstance(tree, bool | int):
            return lambda _: tree
        elif isinstance(tree, Mapping):
            if "sum" in tree:
                return self._sum(tree, path)
            if "each" in tree:
                return self._each(tree, path, depth)
            return self.object(tree, path, depth)
        elif isinstance(tree, list):
            parts = [self.data(part, f"{path}[{number}]", depth + 1) for number, part in enumerate(tree)]
            return lambda rows: [value for part in parts if (value := part(rows)) is not None]
        else:
            self.fault(path, "must be a text, an integer, true or false, a list or an object")
        return _nothing

    def object(self, tree: Mapping[Any, Any], path: str, depth: int = 1) -> Node:
        """Fields that have nothing to say are left out; an object without any is nothing."""
        fields = {str(name): self.data(value, f"{path}.{name}", depth + 1) for name, value in tree.items()}

        def told(rows: Rows) -> dict[str, Any] | None:
            return {name: value for name, node in fields.items() if (value := node(rows)) is not None} or None

        return told

    def _sum(self, tree: Mapping[Any, Any], path: str) -> Node:
        name = tree["sum"]
        column = self._columns.get(name) if isinstance(name, str) else None
        if column is None or column.kind not in ("money", "integer") or len(tree) != 1:
            self.fault(f"{path}.sum", "must be a column of type money or integer, alone")
            return _nothing
        return lambda rows: self._told(name, rows.total(name))

    def _each(self, tree: Mapping[Any, Any], path: str, depth: int) -> Node:
        for other in set(tree) - {"each", "where"}:
            self.fault(f"{path}.{other}", "does not belong here; what does is each, where")
        node = self.data(tree["each"], f"{path}.each", depth + 1)
        where = self.condition(tree.get("where"), f"{path}.where")

        def told(rows: Rows) -> list[Any]:
            alone = (rows.of_one(record) for record in rows.records if where is None or where(record))
            # A contract's list holds no more; what a list leaves out is in the order's amount all the same.
            return [value for one in alone if (value := node(one)) is not None][:MAX_ITEMS]

        return told

    def _as_it_is(self, name: str) -> Node:
        return lambda rows: self._told(name, rows.value(name))

    def _told(self, name: str, value: Value) -> Any:
        """As it stands in an event."""
        if isinstance(value, Decimal):
            try:
                return {"amount_minor": self._columns[name].minor(value), "currency": self._currency}
            except Unfit as fault:
                raise Unfit(f"$.columns.{name}", fault.reason) from None
        return value

    def _word(self, name: str, value: Value) -> str:
        """As a part of a text: money in minor units, times in UTC."""
        if isinstance(value, Decimal):
            return str(self._told(name, value)["amount_minor"])
        return value.isoformat() if isinstance(value, datetime) else str(value)


def _nothing(_: Rows) -> None:
    return None


def _fields_in(tree: object, depth: int) -> list[str]:
    """The names that comparisons in the tree have; faults in it are for `predicate.parse` to tell."""
    if depth > predicate.MAX_DEPTH or not isinstance(tree, Mapping):
        return []
    own = [tree["field"]] if isinstance(tree.get("field"), str) else []
    groups = [part for kind in ("all", "any", "none") for part in (tree.get(kind) or ()) if isinstance(part, Mapping)]
    return own + [name for part in groups[: predicate.MAX_SIZE] for name in _fields_in(part, depth + 1)]
