"""From a segment's YAML or JSON to its rule, or every fault in it with its path.

    in:
      all:
        - {count: cart.item_added, over: 3d, where: {field: category, op: eq, value: tea}, op: gte, value: 2}
        - {then_not: {first: {of: order.placed}, not: {of: purchase}, within: 1h}}
        - {field: lifecycle, op: in, value: [new, repeat]}
        - none: [{segment: vip}]
        - {bucket: {salt: spring, from: 0, to: 50}}

A measure is `count`, `first` or `last` of a kind of event, or `sum`, `average` or `distinct` of one of its fields
(`purchase.amount`). `over` is its window: the last `30d`, `{since: time}`, `{between: [from, to]}` or
`{calendar: week}`; all of time where there is none. Operators are those of `common/predicate.py`, for times
`older_than` and `younger_than` as well.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
from msgspec import Struct

from common import predicate
from common.contracts.envelope import Rejection, Time
from segmentation.domain.catalogue import ATTRIBUTE, FIELDS, SERIES
from segmentation.domain.rule import Bucket, Events, Fact, Function, Group, InSegment, Kind, Measure, Question, Rule
from segmentation.domain.rule import ThenNot as ThenNotRule
from segmentation.domain.windows import Between, Calendar, Ever, Last, Period, Window

MAX_PARTS = 100  # questions and groups of one rule
MAX_DEPTH = 8
MAX_LENGTH = timedelta(days=3_653)
LENGTH = re.compile(r"(\d{1,6})(s|m|h|d)")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
BY_AGE = ("older_than", "younger_than")
OF_A_FIELD = ("sum", "average", "distinct")
WINDOWS = ("since", "between", "calendar")
NO_RULE = Group("$", "any", ())  # stands in for what could not be read


def parse(tree: object, segments: frozenset[str], under: str = "$.in") -> Rule | tuple[Rejection, ...]:
    """The rule that the tree says, or every fault. `segments`: those that may be asked about."""
    reader = _Reader(segments)
    rule = reader.rule(tree, under, 1)
    return tuple(reader.faults) or rule


class _Reader(Struct):
    """Reads one tree; what has a fault is read on, so as to find the next."""

    segments: frozenset[str]
    faults: list[Rejection] = []
    parts: int = 0

    def rule(self, tree: object, path: str, depth: int) -> Rule:
        self.parts += 1
        if self.parts > MAX_PARTS or depth > MAX_DEPTH:
            return self._fault(path, f"is too much: at most {MAX_PARTS} questions and groups, {MAX_DEPTH} deep")
        if not isinstance(tree, Mapping):
            return self._fault(path, "must be a group (all, any, none) or a question")
        for kind in get_args(Kind):
            if kind in tree:
                self._only(tree, path, (kind,))
                return self._group(kind, tree[kind], f"{path}.{kind}", depth)
        for name, read in (("then_not", self._then_not), ("segment", self._in_segment), ("bucket", self._bucket)):
            if name in tree:
                self._only(tree, path, (name,))
                return read(tree[name], f"{path}.{name}")
        return self._comparison(tree, path)

    def _comparison(self, tree: Mapping[Any, Any], path: str) -> Rule:
        if "field" in tree:
            self._only(tree, path, ("field", "op", "value"))
            name, kind = self._field(tree["field"], f"{path}.field")
            return self._question(tree, path, Fact(name), kind)
        for function in get_args(Function):
            if function in tree:
                self._only(tree, path, (function, "over", "where", "op", "value"))
                return self._question(tree, path, *self._measure(function, tree, path))
        asked = ", ".join(("field", "segment", "bucket", "then_not", *get_args(Function)))
        return self._fault(path, f"asks nothing: expected one of {asked}")

    def _fault(self, path: str, reason: str) -> Group:
        self.faults.append(Rejection(path, reason))
        return NO_RULE

    def _only(self, tree: Mapping[Any, Any], path: str, names: tuple[str, ...]) -> None:
        for key in tree:
            if key not in names:
                self._fault(f"{path}.{key}", f"does not belong here; what does is {', '.join(names)}")

    def _group(self, kind: Kind, trees: object, path: str, depth: int) -> Rule:
        if not isinstance(trees, list) or not trees:
            return self._fault(path, "must be a list of one or more")
        parts = []
        for number, tree in enumerate(trees):
            if self.parts > MAX_PARTS:
                break  # YAML can hold more than memory, by aliases of aliases
            parts.append(self.rule(tree, f"{path}[{number}]", depth + 1))
        return Group(path.rpartition(".")[0], kind, tuple(parts))

    def _field(self, name: object, path: str) -> tuple[str, type]:
        if isinstance(name, str) and name in FIELDS:
            return name, FIELDS[name]
        if isinstance(name, str) and name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE):
            return name, str
        self._fault(path, f"is unknown; known are {', '.join(FIELDS)} and {ATTRIBUTE}<name>")
        return "", str

    def _measure(self, function: Function, tree: Mapping[Any, Any], path: str) -> tuple[Measure, type]:
        of, field = tree[function], ""
        if function in OF_A_FIELD and isinstance(of, str):
            of, _, field = of.rpartition(".")
        events = self._events({"of": of} | {key: tree[key] for key in ("over", "where") if key in tree}, path)
        if function in OF_A_FIELD:
            kind = SERIES.get(events.of, {}).get(field)
            if events.of and (kind is None or (function != "distinct" and kind is not int)):
                which = [name for name, known in SERIES[events.of].items() if function == "distinct" or known is int]
                self._fault(
                    f"{path}.{function}", f"must be a field of {events.of}: {', '.join(which) or 'it has none'}"
                )
        return Measure(function, events, field), datetime if function in ("first", "last") else int

    def _events(self, tree: object, path: str) -> Events:
        if not isinstance(tree, Mapping):
            self._fault(path, "must say `of`: the kind of events")
            return Events("")
        self._only(tree, path, ("of", "over", "where"))
        of = tree.get("of")
        if not isinstance(of, str) or of not in SERIES:
            self._fault(f"{path}.of" if "of" in tree else path, f"must name one of {', '.join(SERIES)}")
            return Events("")
        where = None
        if "where" in tree:
            read = predicate.parse(tree["where"], SERIES[of], f"{path}.where")
            if isinstance(read, tuple):
                self.faults.extend(read)
            else:
                where = read
        window = self._window(tree["over"], f"{path}.over") if "over" in tree else Ever()
        return Events(of, window, where)

    def _window(self, tree: object, path: str) -> Window:
        if not isinstance(tree, Mapping):
            return Last(self._length(tree, path))
        self._only(tree, path, WINDOWS)
        match tree:
            case {"since": since}:
                return Between(self._time(since, f"{path}.since"))
            case {"between": [since, until]}:
                begins, ends = self._time(since, f"{path}.between[0]"), self._time(until, f"{path}.between[1]")
                if begins >= ends:
                    self._fault(f"{path}.between", "ends before it begins")
                return Between(begins, ends)
            case {"calendar": "day" | "week" | "month" as period}:
                return Calendar(period)
            case _:
                self._fault(
                    path,
                    "must be a length such as 30d, or one of since: time, between: [from, to], "
                    f"calendar: {' or '.join(get_args(Period))}",
                )
                return Ever()

    def _length(self, text: object, path: str) -> timedelta:
        match = LENGTH.fullmatch(text) if isinstance(text, str) else None
        length = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else timedelta()
        if not timedelta() < length <= MAX_LENGTH:
            self._fault(path, "must be a length of time such as 90s, 5m, 36h or 30d, ten years at most")
            return timedelta(days=1)
        return length

    def _time(self, value: object, path: str) -> datetime:
        try:
            return msgspec.convert(value, Time, strict=False)
        except msgspec.ValidationError:
            self._fault(path, "must be a time with an offset, such as 2026-01-31T00:00:00+08:00")
            return datetime.max.replace(tzinfo=UTC)

    def _then_not(self, tree: object, path: str) -> Rule:
        if not isinstance(tree, Mapping):
            return self._fault(path, "must say first, not and within")
        self._only(tree, path, ("first", "not", "within"))
        first, then_not = (self._events(tree.get(name), f"{path}.{name}") for name in ("first", "not"))
        return ThenNotRule(path.rpartition(".")[0], first, then_not, self._length(tree.get("within"), f"{path}.within"))

    def _in_segment(self, segment: object, path: str) -> Rule:
        if not isinstance(segment, str) or segment not in self.segments:
            return self._fault(path, f"is unknown; known are {', '.join(sorted(self.segments)) or 'none'}")
        return InSegment(path.rpartition(".")[0], segment)

    def _bucket(self, tree: object, path: str) -> Rule:
        if not isinstance(tree, Mapping):
            return self._fault(path, "must say salt, from and to")
        self._only(tree, path, ("salt", "from", "to"))
        salt, low, high = tree.get("salt"), tree.get("from", 0), tree.get("to")
        if not isinstance(salt, str) or not salt:
            self._fault(f"{path}.salt", "must be a text that makes this draw another than others")
        if not (type(low) is int and type(high) is int and 0 <= low < high <= 100):  # noqa: PLR2004 - per cent
            return self._fault(f"{path}.to", "must be whole numbers, 0 <= from < to <= 100")
        return Bucket(path.rpartition(".")[0], str(salt), low, high)

    def _question(self, tree: Mapping[Any, Any], path: str, about: Fact | Measure, kind: type) -> Rule:
        op, value = tree.get("op"), tree.get("value")
        if op in BY_AGE:
            if kind is not datetime:
                return self._fault(f"{path}.op", "is for times")
            return Question(path, about, str(op), self._length(value, f"{path}.value"))
        compared = {"field": "found", "op": op} | ({"value": value} if "value" in tree else {})
        read = predicate.parse(compared, {"found": kind}, path)
        if isinstance(read, tuple):
            self.faults.extend(read)
            return NO_RULE
        assert isinstance(read, predicate.Comparison)
        return Question(path, about, read.op, read.value)
