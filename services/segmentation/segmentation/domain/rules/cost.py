"""What a rule costs at most, and what it reads.

A step is a look at one event of a customer who has as many as are kept one by one; it takes a microsecond or so. An
ordinary customer costs a hundredth of that.
"""

from collections.abc import Iterator

from common.predicate import Comparison, Predicate
from segmentation.domain.profile.catalogue import OF_LIST, OF_SEGMENT
from segmentation.domain.profile.records import MAX_RECORDS
from segmentation.domain.rules.rule import (
    Bucket,
    Events,
    Fact,
    Group,
    InList,
    InSegment,
    Question,
    Rule,
    ThenNot,
)

MAX_COST = 10_000  # steps of one rule: some ten milliseconds for the busiest customer
SEARCH = 10  # steps to find where a window begins, and for whatever is looked up at once
FOLLOW = 4  # steps to find whether one event was followed by another
BY_ENDS = ("count", "first", "last")  # measures that look at no event in between, where there is no filter


def cost(rule: Rule) -> int:
    """The steps that one answer takes at most."""
    match rule:
        case Group(parts=parts):
            return 1 + sum(cost(part) for part in parts)
        case Question(about=about):
            if isinstance(about, Fact):
                return 1
            events = _cost_of(about.events)
            return events if about.function in BY_ENDS else events + MAX_RECORDS
        case ThenNot(first=first, then_not=then_not):
            return _cost_of(first) + _cost_of(then_not) + FOLLOW * MAX_RECORDS
        case InSegment() | InList() | Bucket():
            return SEARCH


def reads(rule: Rule) -> frozenset[str]:
    """The kinds of events, facts, other segments (`segment:<name>`) and lists (`list:<name>`) it is answered by."""
    return frozenset(_reads(rule))


def _cost_of(events: Events) -> int:
    return SEARCH + MAX_RECORDS * (0 if events.where is None else _comparisons(events.where))


def _comparisons(where: Predicate) -> int:
    return 1 if isinstance(where, Comparison) else 1 + sum(_comparisons(part) for part in where.parts)


def _reads(rule: Rule) -> Iterator[str]:
    match rule:
        case Group(parts=parts):
            for part in parts:
                yield from _reads(part)
        case Question(about=about):
            yield about.name if isinstance(about, Fact) else about.events.of
        case ThenNot(first=first, then_not=then_not):
            yield first.of
            yield then_not.of
        case InSegment(segment=segment):
            yield f"{OF_SEGMENT}{segment}"
        case InList(list_name=name):
            yield f"{OF_LIST}{name}"
        case Bucket():
            return
