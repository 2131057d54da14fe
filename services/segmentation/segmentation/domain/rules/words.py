"""A rule's questions in one line each, in the words that rules are written in."""

from datetime import UTC, datetime, timedelta
from typing import Any

from common import predicate
from segmentation.domain.rules.rule import (
    Bucket,
    Events,
    Fact,
    Group,
    InList,
    InSegment,
    Measure,
    Question,
    Rule,
    ThenNot,
)
from segmentation.domain.rules.windows import Between, Calendar, Ever, Last, Window

_UNITS = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "m"), (timedelta(seconds=1), "s"))


def words(rule: Rule) -> str:
    """Of a group its kind alone: its parts are told by themselves."""
    match rule:
        case Group(kind=kind):
            return kind
        case Question(about=about, op=op, value=value):
            return f"{_subject(about)} {op} {_value(value)}"
        case ThenNot(first=first, then_not=then_not, within=within, same=same):
            with_same = f" of the same {same}" if same else ""
            return f"{_events(first)}, then not {_events(then_not)}{with_same} within {length_in_words(within)}"
        case InSegment(segment=segment):
            return f"segment {segment}"
        case InList(list_name=name):
            return f"list {name}"
        case Bucket(salt=salt, low=low, high=high):
            return f"bucket {salt} from {low} to {high}"


def _subject(about: Fact | Measure) -> str:
    if isinstance(about, Fact):
        return about.name
    field = f"{about.field} of " if about.field else ""
    return f"{about.function} {field}{_events(about.events)}"


def _events(events: Events) -> str:
    where = "" if events.where is None else f" where {_predicate(events.where)}"
    return f"{events.of}{_window(events.window)}{where}"


def _window(window: Window) -> str:
    match window:
        case Ever():
            return ""
        case Last(length):
            return f" over {length_in_words(length)}"
        case Between(since, None):
            return f" since {_value(since)}"
        case Between(since, until):
            return f" between {_value(since)} and {_value(until)}"
        case Calendar(period):
            return f" this {period}"


def _predicate(tree: predicate.Predicate) -> str:
    if isinstance(tree, predicate.Comparison):
        return f"{'.'.join(tree.path)} {tree.op} {_value(tree.value)}"
    return f"{tree.kind} ({', '.join(_predicate(part) for part in tree.parts)})"


def length_in_words(length: timedelta) -> str:
    """As rules are written: in the greatest unit that it is a whole number of; parts of a second are left out."""
    unit, sign = next((each for each in _UNITS if length % each[0] == timedelta()), _UNITS[-1])
    return f"{length // unit}{sign}"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, timedelta):
        return length_in_words(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value).lower() if isinstance(value, bool) else str(value)
