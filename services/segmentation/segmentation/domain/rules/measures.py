"""What is measured of a customer's events, now and as time alone goes on: counts, sums, first and last times.

While nothing happens a window only loses what is in it, oldest first. So a measure has a value from now on, another
from the first loss on, and so forth; `course` tells them all, each with the instant it begins at.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record, Series, Sums
from segmentation.domain.rules.rule import Events, Measure
from segmentation.domain.rules.windows import Between, Calendar, Ever, Last, Window, inside, period_after

# Integers that every event of its kind has, so that an average of events known as sums alone is exact.
ALWAYS_THERE = frozenset({"amount", "rating"})

Step = tuple[datetime, Any]  # from when on, and what is found then


def found_in(events: Events, series: Series, at: datetime, since: datetime | None) -> Sequence[Record]:
    """The records in the window that the filter holds for, oldest first."""
    found = inside(events.window, series.records, at, since)
    where = events.where
    return found if where is None else [record for record in found if where.matches(record.about)]


def next_unseen(series: Series, at: datetime) -> datetime | None:
    """When the first record after `at` comes into view: what was merged with may be ahead of us."""
    records = series.records
    if not records or records[-1].at <= at:
        return None
    return next(record.at for record in records if record.at > at)


def known_from(about: Measure, series: Series, since: datetime | None) -> tuple[datetime | None, Sums | None]:
    """From when on the events that the measure is made of are known one by one (None: all are), and the sums of those
    before that, where they belong to it whole."""
    before = series.before
    window = about.events.window
    if before is None or (since is not None and since > before.last_at):
        return None, None
    summed = about.events.where is None and about.function != "distinct"
    whole = isinstance(window, Ever) or (
        isinstance(window, Between)
        and window.since <= before.first_at
        and (window.until is None or window.until > before.last_at)
    )
    if not (summed and whole):
        return before.last_at, None
    guessed = about.function == "average" and about.field not in ALWAYS_THERE
    return before.last_at if guessed else None, before


def course(
    about: Measure, found: Sequence[Record], before: Sums | None, at: datetime, person: Person
) -> Iterator[Step]:
    """The measure's value at `at` and at each instant after that at which it may be another by time alone."""
    window = about.events.window
    match about.function:
        case "count":
            count = len(found) + (before.count if before else 0)
            return _falling(found, window, at, person, (count - lost for lost in range(len(found) + 1)))
        case "sum":
            return _falling(found, window, at, person, _sums(found, about.field, before))
        case "average":
            return _falling(found, window, at, person, _averages(found, about.field, before))
        case "distinct":
            return _falling(found, window, at, person, _distinct(found, about.field))
        case "first":
            if before is None:
                return _falling(found, window, at, person, chain((record.at for record in found), (None,)))
            first = min([before.first_at, *(record.at for record in found[:1])])
            return _falling(found, window, at, person, iter((first,)))
        case "last":
            last = found[-1].at if found else None
            if before is not None:
                last = before.last_at if last is None else max(last, before.last_at)
            # Those before it may go: it is the last until it goes itself.
            return _falling(found[-1:], window, at, person, iter((last, None)))


def _falling(
    found: Sequence[Record], window: Window, at: datetime, person: Person, values: Iterator[Any]
) -> Iterator[Step]:
    """`values`: with everything found, without the first, without the first two and so on to nothing at all."""
    yield at, next(values)
    if not found:
        return
    if isinstance(window, Last):
        last = len(found) - 1
        for number, value in enumerate(values):
            # What has the same time goes at the same time.
            if number == last or found[number + 1].at != found[number].at:
                yield found[number].at + window.length, value
    elif isinstance(window, Calendar):
        *_, nothing = values
        yield period_after(at, window.period, person.zone), nothing


def _sums(found: Sequence[Record], field: str, before: Sums | None) -> Iterator[int]:
    amounts = [_number(record, field) or 0 for record in found]
    total = sum(amounts) + (before.totals.get(field, 0) if before else 0)
    yield total
    for amount in amounts:
        total -= amount
        yield total


def _averages(found: Sequence[Record], field: str, before: Sums | None) -> Iterator[int | None]:
    """Of the events that have the field, rounded down."""
    amounts = [_number(record, field) for record in found]
    there = [amount for amount in amounts if amount is not None]
    total = sum(there) + (before.totals.get(field, 0) if before else 0)
    count = len(there) + (before.count if before else 0)
    yield total // count if count else None
    for amount in amounts:
        if amount is not None:
            total, count = total - amount, count - 1
        yield total // count if count else None


def _distinct(found: Sequence[Record], field: str) -> Iterator[int]:
    each = [_each(record.about.get(field)) for record in found]
    seen = Counter(value for values in each for value in values)
    yield len(seen)
    for values in each:
        for value in values:
            seen[value] -= 1
            if not seen[value]:
                del seen[value]
        yield len(seen)


def _number(record: Record, field: str) -> int | None:
    value = record.about.get(field)
    return value if type(value) is int else None


def _each(value: Any) -> Sequence[Any]:
    """What is told apart: a list's members one by one, what is absent not at all."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)
