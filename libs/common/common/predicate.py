"""Comparisons over the fields of one record: the language of segments' filters, journeys' branches, earning conditions.

A predicate is plain YAML or JSON data: a comparison, `{field: amount.amount_minor, op: gte, value: 10000}`, where dots
lead into nested records, or a group, `{all: [...]}`, `{any: [...]}` or `{none: [...]}` (`all: []` is always true).

    eq, ne, in, not_in     equals the value or not; is one of the values or not    booleans, integers, texts, times
    lt, lte, gt, gte       is less, at most, more, at least                        integers, times
    starts_with            begins with the value                                   texts
    contains               has the value in it                                     texts, lists
    exists                 is there (`value: true`, the default) or is not (`value: false`)

A field that is absent or null satisfies `exists: false` and nothing else: neither `eq` nor `ne`, neither `in` nor
`not_in`. A field of another kind than the value satisfies `exists: true` alone: 1 is not true, "1" is not 1, and floats
are never compared, since money and points are integers. Who means "other or absent" says `none: [{..., op: eq, ...}]`.
A time is RFC 3339 text with an offset. Where a text could be meant too, it is a time only if `fields` says so.
"""

import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from common.contracts.envelope import Rejection

MAX_DEPTH = 8  # groups and comparisons, one inside the other
MAX_SIZE = 200  # groups and comparisons in all
MAX_VALUES = 1_000  # of one `in` or `not_in`
MAX_CHARS = 200  # of a field's path, and of a text to compare with
MAX_INTEGER = 2**63 - 1  # to compare with, below zero too: what JSON writers and PostgreSQL can hold

Scalar: TypeAlias = bool | int | str | datetime
Record: TypeAlias = Mapping[str, Any] | Struct
Fields: TypeAlias = Mapping[str, type]
Kind: TypeAlias = Literal["all", "any", "none"]
KINDS: Mapping[type, str] = {bool: "a boolean", int: "an integer", str: "a text", datetime: "a time with an offset"}
SCALARS: tuple[type, ...] = tuple(KINDS)
LISTS: tuple[type[Any], ...] = (tuple, list, set, frozenset)


def _kind(value: object) -> type | None:
    """What the value may be compared with: its own type, exactly, if that is one of ours (a time needs its offset)."""
    naive = isinstance(value, datetime) and value.utcoffset() is None
    return type(value) if type(value) in KINDS and not naive else None


def _contains(found: Any, value: Any) -> bool:
    if isinstance(found, str):
        return isinstance(value, str) and value in found
    return isinstance(found, LISTS) and any(_kind(item) is type(value) and item == value for item in found)


# Each operator: whether it holds of a field that is there, and of which kinds its value may be.
OPERATORS: Mapping[str, tuple[Callable[[Any, Any], bool], tuple[type, ...]]] = {
    "eq": (operator.eq, SCALARS),
    "ne": (operator.ne, SCALARS),
    "in": (lambda found, values: found in values, SCALARS),
    "not_in": (lambda found, values: found not in values, SCALARS),
    "lt": (operator.lt, (int, datetime)),
    "lte": (operator.le, (int, datetime)),
    "gt": (operator.gt, (int, datetime)),
    "gte": (operator.ge, (int, datetime)),
    "starts_with": (str.startswith, (str,)),
    "contains": (_contains, SCALARS),
    "exists": (lambda _, value: bool(value), (bool,)),
}


class Comparison(Struct, frozen=True):
    """One question about one field; made by `parse`. `matches` is pure and has an answer for every record."""

    path: tuple[str, ...]
    op: str
    value: Scalar | tuple[Scalar, ...]

    def matches(self, record: Record) -> bool:
        found: Any = record
        for name in self.path:
            if isinstance(found, Struct):
                found = getattr(found, name) if name in found.__struct_fields__ else None
            else:
                found = found.get(name) if isinstance(found, Mapping) else None
        if found is None:
            return self.op == "exists" and self.value is False
        holds = OPERATORS[self.op][0]
        sample = self.value[0] if isinstance(self.value, tuple) else self.value
        return (self.op in ("exists", "contains") or _kind(found) is type(sample)) and holds(found, self.value)


class Group(Struct, frozen=True):
    """Predicates of which all, any or none must hold; made by `parse`. `matches` as above."""

    kind: Kind
    parts: "tuple[Comparison | Group, ...]"

    def matches(self, record: Record) -> bool:
        answers = (part.matches(record) for part in self.parts)
        return all(answers) if self.kind == "all" else any(answers) is (self.kind == "any")


Predicate: TypeAlias = Comparison | Group


def parse(tree: object, fields: Fields | None = None, under: str = "$") -> Predicate | tuple[Rejection, ...]:
    """The predicate that the tree says, or every fault in it, each with its path below `under`.

    `fields`, where given, are all fields a record can have, each with its type: one of `KINDS`, or a collection such
    as `tuple[str, ...]`. A field that is none of them, or fits neither operator nor value, is a fault.
    """
    reader = _Reader(fields)
    predicate = reader.read(tree, under, 1)
    return tuple(reader.faults) or predicate


def unparse(predicate: Predicate) -> dict[str, Any]:
    """The tree that `parse` makes the predicate of; its times are datetimes, which YAML knows and JSON gets as text."""
    if isinstance(predicate, Group):
        return {predicate.kind: [unparse(part) for part in predicate.parts]}
    value = list(predicate.value) if isinstance(predicate.value, tuple) else predicate.value
    return {"field": ".".join(predicate.path), "op": predicate.op, "value": value}


class _Reader(Struct):
    """Reads one tree and collects its faults; what has one is read on, so as to find the next."""

    fields: Fields | None
    faults: list[Rejection] = []
    size: int = 0

    def _fault(self, path: str, reason: str) -> Predicate:
        self.faults.append(Rejection(path, reason))
        return Group("any", ())  # stands in for what could not be read

    def read(self, tree: object, path: str, depth: int) -> Predicate:
        self.size += 1
        if self.size > MAX_SIZE or depth > MAX_DEPTH:
            return self._fault(path, f"is too much: at most {MAX_SIZE} groups and comparisons, {MAX_DEPTH} deep")
        if not isinstance(tree, Mapping):
            return self._fault(path, "must be a comparison (field, op, value) or one of all, any, none")
        kinds = [kind for kind in get_args(Kind) if kind in tree]
        allowed = kinds[:1] or ["field", "op", "value"]
        for key in [key for key in tree if key not in allowed]:
            self._fault(f"{path}.{key}", f"does not belong here; what does is {', '.join(allowed)}")
        groups = [self._group(kind, tree[kind], f"{path}.{kind}", depth) for kind in kinds]
        return groups[0] if groups else self._comparison(tree, path)

    def _group(self, kind: Kind, trees: object, path: str, depth: int) -> Predicate:
        if not isinstance(trees, list | tuple) or (not trees and kind != "all"):
            return self._fault(path, f"must be a list{'' if kind == 'all' else ' of one or more'}")
        # What stands behind the one too many is not looked at: YAML can hold more than memory, by aliases of aliases.
        parts = (self.read(t, f"{path}[{n}]", depth + 1) for n, t in enumerate(trees) if self.size <= MAX_SIZE)
        return Group(kind, tuple(parts))

    def _comparison(self, tree: Mapping[Any, Any], path: str) -> Predicate:
        field, op = tree.get("field"), tree.get("op")
        known = self.fields.get(field) if self.fields is not None and isinstance(field, str) else None
        if not isinstance(field, str) or not all(field.split(".")) or len(field) > MAX_CHARS:
            self._fault(f"{path}.field", f"must be names joined by dots, {MAX_CHARS} characters at most")
        elif self.fields is not None and known is None:
            self._fault(f"{path}.field", f"is unknown; known are {', '.join(sorted(self.fields))}")
        if not isinstance(op, str) or op not in OPERATORS:
            return self._fault(f"{path}.op", f"must be one of {', '.join(OPERATORS)}")
        kinds = self._kinds_of_value(op, known, f"{path}.op")
        scalars = self._scalars if op in ("in", "not_in") else self._scalar
        value = scalars(tree.get("value", True if op == "exists" else None), kinds, f"{path}.value")
        return Comparison(tuple(str(field).split(".")), op, value)

    def _kinds_of_value(self, op: str, known: type | None, path: str) -> tuple[type, ...]:
        """What the value may be, given the operator and what is known of the field."""
        kinds = OPERATORS[op][1]
        if known is None or op == "exists":
            return kinds
        if op == "contains" and issubclass(get_origin(known) or known, LISTS):
            return tuple(kind for kind in get_args(known) if kind in KINDS) or kinds
        if known in kinds and (op != "contains" or known is str):
            return (known,)
        self._fault(path, f"does not go with this field, which is {KINDS.get(known, 'of another kind')}")
        return kinds

    def _scalars(self, values: Any, kinds: tuple[type, ...], path: str) -> Any:
        if not isinstance(values, list | tuple) or not 0 < len(values) <= MAX_VALUES:
            return self._fault(path, f"must be a list of 1 to {MAX_VALUES} values")
        first = self._scalar(values[0], kinds, f"{path}[0]")
        kinds = (type(first),) if type(first) in kinds else kinds  # of the others: all are of one kind
        return (first, *(self._scalar(value, kinds, f"{path}[{n}]") for n, value in enumerate(values[1:], 1)))

    def _scalar(self, value: Any, kinds: tuple[type, ...], path: str) -> Any:
        if isinstance(value, str) and datetime in kinds and str not in kinds:
            with suppress(msgspec.ValidationError, UnicodeEncodeError):  # no time; no text even
                value = msgspec.convert(value, Annotated[datetime, Meta(tz=True)])
        if _kind(value) not in kinds:
            note = "; a float is never compared" if isinstance(value, float) else ""
            self._fault(path, f"must be {' or '.join(KINDS[kind] for kind in kinds)}{note}")
        elif len(value) > MAX_CHARS if isinstance(value, str) else isinstance(value, int) and abs(value) > MAX_INTEGER:
            self._fault(path, f"is too large: {MAX_CHARS} characters, or {MAX_INTEGER}, are the most")
        return value
