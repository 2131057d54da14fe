"""What was begun and not followed up in time: an order placed and not paid within the hour.

Each event of the first kind that nothing followed has a stretch in which it counts: from the moment at which the time
allowed is over until it drops out of its window. The customer is in while any of these stretches lasts.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from msgspec import Struct

from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import NOTHING, Record
from segmentation.domain.rules.measures import found_in, next_unseen
from segmentation.domain.rules.rule import ThenNot
from segmentation.domain.rules.windows import begins, lost_at

_AT = attrgetter("at")


class Unfollowed(Struct, frozen=True):
    """`over`: those in whose stretch the instant lies, oldest first. `until` and `turns` as of an Answer."""

    over: Sequence[Record]
    until: datetime | None
    turns: bool
    exact_from: datetime | None


def unfollowed(rule: ThenNot, person: Person, at: datetime) -> Unfollowed:
    """Who began and did not follow up in time, and when that is next otherwise."""
    begun = person.series.get(rule.first.of, NOTHING)
    since = begins(rule.first.window, at, person.zone)
    exact_from = begun.exact_from
    if exact_from is not None and since is not None and since > exact_from:
        exact_from = None
    firsts = found_in(rule.first, begun, at, since)
    over: list[Record] = []
    to_come: list[Record] = []
    if firsts:
        followers = person.series.get(rule.then_not.of, NOTHING)
        forgotten = followers.exact_from
        following = _by_value(rule, followers.records, firsts[0].at)
        for first in firsts:
            if forgotten is not None and first.at <= forgotten:
                # What followed may be among what was dropped: nothing is claimed that is not known.
                exact_from = forgotten if exact_from is None else max(exact_from, forgotten)
            elif not _followed(rule, first, following):
                (over if first.at + rule.within <= at else to_come).append(first)
    until = _until(rule, over, to_come, person)
    unseen = next_unseen(begun, at)
    if unseen is not None and (until is None or unseen <= until):
        return Unfollowed(over, unseen, turns=False, exact_from=exact_from)
    return Unfollowed(over, until, turns=True, exact_from=exact_from)


def _until(rule: ThenNot, over: Sequence[Record], to_come: Sequence[Record], person: Person) -> datetime | None:
    """When the stretches that join each other end, or, out of any, when the next one begins; both are oldest first."""
    joined = None
    if over:
        joined = _latest([lost_at(rule.first.window, first, person.zone) for first in over])
    for first in to_come:
        begin, end = first.at + rule.within, lost_at(rule.first.window, first, person.zone)
        if end is not None and end <= begin:
            continue  # a day, week or month that is over sooner than the time allowed
        if not over:
            return begin
        if joined is None or begin > joined:
            break
        joined = _latest([joined, end])
    return joined


def _latest(ends: Sequence[datetime | None]) -> datetime | None:
    return None if None in ends else max(end for end in ends if end is not None)


def _by_value(rule: ThenNot, records: Sequence[Record], since: datetime) -> Mapping[Any, Sequence[Record]]:
    """What may have followed, by what it must have in common with what it follows."""
    found = records[bisect_left(records, since, key=_AT) :]
    if (where := rule.then_not.where) is not None:
        found = [record for record in found if where.matches(record.about)]
    if not rule.same:
        return {None: found}
    by_value: dict[Any, list[Record]] = {}
    for record in found:
        by_value.setdefault(record.about.get(rule.same), []).append(record)
    return by_value


def _followed(rule: ThenNot, first: Record, following: Mapping[Any, Sequence[Record]]) -> bool:
    """Whether it was, at the same instant at the earliest and at the very end of the time at the latest; or whether
    nobody can say, since it lacks what both must have in common."""
    value = first.about.get(rule.same) if rule.same else None
    if rule.same and value is None:
        return True
    records = following.get(value, ())
    number = bisect_left(records, first.at, key=_AT)
    if rule.first.of == rule.then_not.of:  # nothing follows itself
        while number < len(records) and records[number].at == first.at and records[number].name == first.name:
            number += 1
    return number < len(records) and records[number].at <= first.at + rule.within
