"""From a rule's YAML or JSON to the rule, or every fault in it with its path. docs/segments.md is the language.

    all:
      - {count: cart.item_added, over: 3d, where: {field: category, op: eq, value: tea}, op: gte, value: 2}
      - {then_not: {first: {of: order.placed}, not: {of: purchase}, within: 1h, same: order}}
      - {field: lifecycle, op: in, value: [new, repeat]}
      - none: [{segment: vip}, {list: staff}]
      - {bucket: {salt: spring, from: 0, to: 50}}

A measure is `count`, `first` or `last` of a kind of event, or `sum`, `average` or `distinct` of one of its fields
(`purchase.amount`). `over` is its window: the last `30d`, `{since: time}`, `{between: [from, to]}` or
`{calendar: week}`; all of time where there is none. Operators are those of `common/predicate.py`, for times
`older_than` and `younger_than` as well.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any, TypeVar, get_args
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from common import predicate
from common.contracts.envelope import Rejection, Time
from segmentation.domain.profile.catalogue import ATTRIBUTE, FIELDS, SERIES, VALUES
from segmentation.domain.rules.cost import MAX_COST, cost
from segmentation.domain.rules.evaluate import LOTS
from segmentation.domain.rules.grid import CELLS
from segmentation.domain.rules.rule import (
    Bucket,
    Events,
    Fact,
    Function,
    Group,
    InList,
    InSegment,
    Kind,
    Measure,
    Question,
    Rule,
    ThenNot,
)
from segmentation.domain.rules.windows import Between, Calendar, Ever, Last, Period, Window, length_of

T = TypeVar("T")

MAX_PARTS = 100  # questions and groups of one rule
MAX_DEPTH = 8
NEAR_NAMES = 3  # told of one that is unknown
MAX_LENGTH = timedelta(days=3_653)
LENGTH = re.compile(r"([0-9]{1,9})(s|m|h|d)")
ATTRIBUTE_NAME = re.compile(re.escape(ATTRIBUTE) + r"[^\s.\x00-\x1f\x7f]{1,40}")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
BY_AGE = ("older_than", "younger_than")
OF_A_FIELD = ("sum", "average", "distinct")
RFM_GROUP = "rfm.group"  # a shop's preset names its values
BY_TIME = ("eq", "ne", "lt", "lte", "gt", "gte")  # operators that take one, or a day
BY_WORD = ("eq", "ne", "in", "not_in", "contains")
ALWAYS_A_NUMBER = ("count", "sum", "distinct")
NO_RULE = Group("$", "any", ())  # stands in for what could not be read
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)  # of shops; no clock overflows between
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # the same


class Known(Struct, frozen=True):
    """What a shop's rules may speak of by name, beside the cells of lifecycle x activity; and the zone in which a day
    without an hour begins."""

    segments: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    zone: ZoneInfo = ZoneInfo("UTC")
    groups: tuple[str, ...] = ()  # of RFM, by the shop's preset; none: any name will do


def parse(tree: object, known: Known, under: str = "$.in") -> Rule | tuple[Rejection, ...]:
    """The rule that the tree says, or every fault."""
    reader = _Reader(known)
    rule = reader.rule(tree, under, 1)
    if not reader.faults and (steps := cost(rule)) > MAX_COST:
        reason = f"costs {steps} steps, {MAX_COST} at most: ask less, or let other segments ask a part of it"
        return (Rejection(under, reason),)
    return tuple(reader.faults) or rule


class _Reader(Struct):
    """Reads one tree; what has a fault is read on, so as to find the next."""

    known: Known
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
        for name, read in (
            ("then_not", self._then_not),
            ("segment", self._in_segment),
            ("list", self._in_list),
            ("bucket", self._bucket),
        ):
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
        asked = ", ".join(("field", "segment", "list", "bucket", "then_not", *get_args(Function)))
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
        """Its name and type; a shop's own attributes are texts."""
        if isinstance(name, str) and name in FIELDS:
            return name, FIELDS[name]
        if isinstance(name, str) and ATTRIBUTE_NAME.fullmatch(name):
            return name, str
        self._fault(path, f"is unknown; known are {', '.join(FIELDS)} and {ATTRIBUTE}<name>")
        return "", str

    def _measure(self, function: Function, tree: Mapping[Any, Any], path: str) -> tuple[Measure, type]:
        of, field = tree[function], ""
        if function in OF_A_FIELD and isinstance(of, str):
            of, _, field = of.rpartition(".")
        if not isinstance(of, str) or of not in SERIES:
            field_too = " and, after a dot, one of its fields" if function in OF_A_FIELD else ""
            self._fault(f"{path}.{function}", f"must name one of {', '.join(SERIES)}{field_too}")
            return Measure(function, Events("")), int
        events = self._events({"of": of} | {key: tree[key] for key in ("over", "where") if key in tree}, path)
        if function in OF_A_FIELD:
            kind = SERIES.get(events.of, {}).get(field)
            if kind is None or (function != "distinct" and kind is not int):
                which = [name for name, each in SERIES[events.of].items() if function == "distinct" or each is int]
                self._fault(
                    f"{path}.{function}", f"must be a field of {events.of}: {', '.join(which) or 'it has none'}"
                )
        return Measure(function, events, field), datetime if function in ("first", "last") else int

    def _events(self, tree: object, path: str, keys: tuple[str, ...] = ("of", "over", "where")) -> Events:
        if not isinstance(tree, Mapping):
            self._fault(path, "must say `of`: the kind of events")
            return Events("")
        self._only(tree, path, keys)
        of = tree.get("of")
        if not isinstance(of, str) or of not in SERIES:
            self._fault(f"{path}.of", f"must name one of {', '.join(SERIES)}")
            return Events("")
        where = None
        if "where" in tree:
            read = predicate.parse(tree["where"], SERIES[of], f"{path}.where")
            if isinstance(read, tuple):
                self.faults.extend(read)
            else:
                where = read
        window = self._window(tree["over"], f"{path}.over") if "over" in tree and "over" in keys else Ever()
        return Events(of, window, where)

    def _window(self, tree: object, path: str) -> Window:
        if not isinstance(tree, Mapping):
            return Last(self._length(tree, path))
        match tree:
            case {"since": since}:
                self._only(tree, path, ("since",))
                return Between(self._time(since, f"{path}.since"))
            case {"between": [since, until]}:
                self._only(tree, path, ("between",))
                faults = len(self.faults)
                begins, ends = self._time(since, f"{path}.between[0]"), self._time(until, f"{path}.between[1]")
                if begins >= ends and len(self.faults) == faults:
                    self._fault(f"{path}.between", "ends before it begins")
                return Between(begins, ends)
            case {"calendar": "day" | "week" | "month" as period}:
                self._only(tree, path, ("calendar",))
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
        """An instant, or a day of the shop's calendar, which begins where its first instant is."""
        found = _converted(value, Time)
        if found is not None and FIRST_DAY.year < found.year < LAST_DAY.year:
            return found.astimezone(UTC)
        day = None if isinstance(value, datetime) else _converted(value, date)
        if day is not None and FIRST_DAY < day < LAST_DAY:
            return datetime.combine(day, time(), self.known.zone).astimezone(UTC)
        self._fault(path, "must be a day, such as 2026-01-31, or a time with an offset: 2026-01-31T00:00:00+08:00")
        return NO_TIME

    def _then_not(self, tree: object, path: str) -> Rule:
        if not isinstance(tree, Mapping):
            return self._fault(path, "must say first, not and within")
        self._only(tree, path, ("first", "not", "within", "same"))
        first = self._events(tree.get("first"), f"{path}.first")
        then_not = self._events(tree.get("not"), f"{path}.not", ("of", "where"))
        within = self._length(tree.get("within"), f"{path}.within")
        longest = length_of(first.window)
        if longest is not None and longest <= within:
            self._fault(f"{path}.first.over", "must be longer than within: nobody would ever be in")
        same = tree.get("same", "")
        if "same" in tree and first.of and then_not.of:
            mine, theirs = SERIES[first.of], SERIES[then_not.of]
            both = [name for name, kind in mine.items() if kind in predicate.SCALARS and theirs.get(name) is kind]
            if same not in both:
                self._fault(f"{path}.same", f"must be a field of both: {', '.join(both) or 'they have none'}")
        return ThenNot(path.rpartition(".")[0], first, then_not, within, str(same))

    def _in_segment(self, segment: object, path: str) -> Rule:
        if not isinstance(segment, str) or not (segment in self.known.segments or segment in CELLS):
            return self._unknown(path, segment, self.known.segments | CELLS.keys(), "segments")
        return InSegment(path.rpartition(".")[0], segment)

    def _in_list(self, name: object, path: str) -> Rule:
        if not isinstance(name, str) or name not in self.known.lists:
            return self._unknown(path, name, self.known.lists, "lists")
        return InList(path.rpartition(".")[0], name)

    def _unknown(self, path: str, name: object, known: frozenset[str], what: str) -> Rule:
        near = get_close_matches(name, sorted(known), NEAR_NAMES) if isinstance(name, str) else []
        hint = f"did you mean {', '.join(near)}?" if near else f"GET /v1/{what} lists them"
        return self._fault(path, f"is unknown: {hint}")

    def _bucket(self, tree: object, path: str) -> Rule:
        if not isinstance(tree, Mapping):
            return self._fault(path, "must say salt, from and to")
        self._only(tree, path, ("salt", "from", "to"))
        salt, low, high = tree.get("salt"), tree.get("from", 0), tree.get("to")
        if not isinstance(salt, str) or not 0 < len(salt) <= predicate.MAX_CHARS:
            self._fault(f"{path}.salt", "must be a text that makes this draw another than others")
        if "to" not in tree:
            missing = "to is" if "from" in tree else "from and to are"
            return self._fault(path, f"{missing} missing: whole numbers, 0 <= from < to <= {LOTS}")
        if not (type(low) is int and type(high) is int and 0 <= low < high <= LOTS):
            return self._fault(f"{path}.to", f"must be whole numbers, 0 <= from < to <= {LOTS}")
        return Bucket(path.rpartition(".")[0], str(salt), low, high)

    def _question(self, tree: Mapping[Any, Any], path: str, about: Fact | Measure, kind: type) -> Rule:
        op, value = tree.get("op"), tree.get("value")
        if isinstance(op, str) and op in BY_AGE:
            if kind is not datetime:
                return self._fault(f"{path}.op", "is for times")
            return Question(path, about, op, self._length(value, f"{path}.value"))
        if isinstance(about, Measure) and about.function in ALWAYS_A_NUMBER and op == "exists":
            return self._fault(f"{path}.op", f"does not go with a {about.function}, which is always there")
        by_day = isinstance(value, date) or _converted(value, Time) is None
        if kind is datetime and op in BY_TIME and "value" in tree and by_day:
            value = self._time(value, f"{path}.value")
        compared = {"field": "found", "op": op} | ({"value": value} if "value" in tree else {})
        read = predicate.parse(compared, {"found": kind}, path)
        if isinstance(read, tuple):
            self.faults.extend(read)
            return NO_RULE
        assert isinstance(read, predicate.Comparison)
        if isinstance(about, Fact) and read.op in BY_WORD:
            values = self.known.groups if about.name == RFM_GROUP else VALUES.get(about.name, ())
            self._one_of(values, read.value, f"{path}.value")
        return Question(path, about, read.op, read.value)

    def _one_of(self, values: tuple[str, ...], asked: object, path: str) -> None:
        for value in asked if isinstance(asked, tuple) else (asked,):
            if values and value not in values:
                self._fault(path, f"must be one of {', '.join(values)}")


def _converted(value: object, to: type[T]) -> T | None:
    """YAML knows days and times, JSON has them as texts."""
    if not isinstance(value, str | date):
        return None
    try:
        return msgspec.convert(value, to)
    except (msgspec.ValidationError, UnicodeEncodeError):  # none; no text even
        return None
