"""What is remembered of a customer's events: the newest one by one, those before them only as sums.

A series holds the records of one kind in the order of their times, however late they came. It is bounded: what falls
off at the old end is added to the sums, so whatever is asked of all time stays exact where no filter is asked for, and
`exact_from` says from when on everything else is.
"""

from bisect import insort
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

MAX_RECORDS = 200  # of one kind and customer; Olist's busiest customer has 17 orders, a busy visitor a view a day

About = dict[str, Any]  # what a filter may ask of an event: texts, integers, booleans, lists of texts


class Record(Struct, frozen=True, array_like=True, order=True):
    """One event: when it occurred (UTC), its name among those of its kind, and what a filter may ask of it."""

    at: datetime
    name: str
    about: About = {}


class Sums(Struct, frozen=True, array_like=True):
    """Records that are no longer there one by one."""

    count: int
    first_at: datetime
    last_at: datetime
    totals: dict[str, int] = {}  # of their integers, by field


class Series(Struct, frozen=True, array_like=True):
    """Records of one kind, oldest first, and the sums of those before."""

    records: tuple[Record, ...] = ()
    before: Sums | None = None

    @property
    def exact_from(self) -> datetime | None:
        """After when everything is there one by one; None where nothing was ever dropped."""
        return None if self.before is None else self.before.last_at


NOTHING = Series()


def remember(series: Series, record: Record, most: int = MAX_RECORDS) -> Series:
    """The series with the record at its own place. One with a name that stands there already changes nothing, but a
    repeat of a record that was dropped counts again."""
    for known in series.records:
        if known.name == record.name:
            return series
    records = [*series.records, record]
    if len(records) > 1 and _place(record) < _place(records[-2]):
        records.pop()
        insort(records, record, key=_place)
    return bounded(records, series.before, most)


def bounded(records: list[Record], before: Sums | None, most: int = MAX_RECORDS) -> Series:
    """The series of these records, which stand in their order; more than `most` go into the sums."""
    excess = max(0, len(records) - most)
    for record in records[:excess]:
        before = added(before, record)
    return Series(tuple(records[excess:]), before)


def forget(series: Series, name: str) -> Series:
    """The series without the record of that name; what was dropped stays in the sums."""
    return replace(series, records=tuple(known for known in series.records if known.name != name))


def added(sums: Sums | None, record: Record) -> Sums:
    """The sums with one record more."""
    mine = {field: value for field, value in record.about.items() if type(value) is int}
    return plus(sums, Sums(1, record.at, record.at, mine))


def plus(one: Sums | None, other: Sums) -> Sums:
    """Both together."""
    if one is None:
        return other
    totals = {field: one.totals.get(field, 0) + other.totals.get(field, 0) for field in one.totals | other.totals}
    return Sums(one.count + other.count, min(one.first_at, other.first_at), max(one.last_at, other.last_at), totals)


def minus(one: Sums | None, other: Sums | None) -> Sums | None:
    """What is left without the other; when the first and the last of that were, nobody knows, and they stay."""
    if one is None or other is None:
        return one
    if one.count <= other.count:
        return None
    totals = {field: max(0, total - other.totals.get(field, 0)) for field, total in one.totals.items()}
    return replace(one, count=one.count - other.count, totals=totals)


def in_order(records: Iterable[Record]) -> list[Record]:
    """Oldest first; at one time, by name."""
    return sorted(records, key=_place)


def _place(record: Record) -> tuple[datetime, str]:
    return record.at, record.name
