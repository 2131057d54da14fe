"""What is remembered of a customer's events: the newest one by one, those before them only as sums.

A series holds the records of one kind in the order of their times, however late they came. It is bounded: what falls
off at the old end is added to the sums, so whatever is asked of all time stays exact where no filter is asked for, and
`exact_from` says from when on everything else is.
"""

from bisect import insort
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

MAX_RECORDS = 500  # of one kind and customer; Olist's busiest customer has 17 orders, a visitor a few hundred views

About = Mapping[str, Any]  # what a filter may ask of an event: texts, integers, booleans, lists of texts


class Record(Struct, frozen=True, array_like=True, order=True):
    """One event: when it occurred (UTC), its name among those of its kind, and what a filter may ask of it."""

    at: datetime
    name: str
    about: dict[str, Any] = {}


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


def remember(series: Series, record: Record, most: int = MAX_RECORDS) -> Series:
    """The series with the record at its own place. One with a name that stands there already changes nothing, but a
    repeat of a record that was dropped counts again."""
    if any(known.name == record.name for known in series.records):
        return series
    records = list(series.records)
    insort(records, record, key=lambda known: (known.at, known.name))
    before = series.before
    while len(records) > most:
        before = added(before, records.pop(0))
    return Series(tuple(records), before)


def forget(series: Series, name: str) -> Series:
    """The series without the record of that name; what was dropped stays in the sums."""
    return replace(series, records=tuple(known for known in series.records if known.name != name))


def added(sums: Sums | None, record: Record) -> Sums:
    """The sums with one record more."""
    mine = {field: value for field, value in record.about.items() if type(value) is int}
    if sums is None:
        return Sums(1, record.at, record.at, mine)
    totals = {field: sums.totals.get(field, 0) + mine.get(field, 0) for field in sums.totals | mine}
    return Sums(sums.count + 1, min(sums.first_at, record.at), max(sums.last_at, record.at), totals)
