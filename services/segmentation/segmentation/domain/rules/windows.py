"""Stretches of time that rules ask about: which records lie in one, and what drops out of it next by itself.

A window is asked about at an instant, and holds nothing after it. `last` moves with the instant and has lost an event
once its age is the whole length; `calendar` begins at a day, week or month of the shop's zone and is empty at the next.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from operator import attrgetter
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from segmentation.domain.profile.records import Record

Period = Literal["day", "week", "month"]  # a week begins on Monday (ISO 8601)

_AT = attrgetter("at")
_DAYS_ON: dict[Period, int] = {"day": 1, "week": 7, "month": 32}  # 32 days from the first lead into every next month
# With the hour that summer time adds.
_LONGEST: dict[Period, timedelta] = {
    "day": timedelta(hours=25),
    "week": timedelta(days=7, hours=1),
    "month": timedelta(days=31, hours=1),
}
_NOON = time(12)  # which no summer time reaches


class Ever(Struct, frozen=True, tag=True):
    """All that ever happened."""


class Last(Struct, frozen=True, tag=True):
    """The last so many hours or days, of 24 hours each."""

    length: timedelta


class Between(Struct, frozen=True, tag=True):
    """From an instant on, up to but without another."""

    since: datetime
    until: datetime | None = None


class Calendar(Struct, frozen=True, tag=True):
    """The day, week or month that the instant is in, by the shop's clock."""

    period: Period


Window = Ever | Last | Between | Calendar


def begins(window: Window, at: datetime, zone: ZoneInfo) -> datetime | None:
    """What is in the window at `at` is not before this; None: it has no beginning. Of `Last` the beginning itself is
    out, of the others in."""
    if isinstance(window, Last):  # first those that are asked about all day
        return at - window.length
    if isinstance(window, Ever):
        return None
    return window.since if isinstance(window, Between) else period_of(at, window.period, zone)


def length_of(window: Window) -> timedelta | None:
    """How long an event can be in the window at the most; None: for ever."""
    match window:
        case Last(length):
            return length
        case Calendar(period):
            return _LONGEST[period]
        case _:
            return None


def inside(window: Window, records: Sequence[Record], at: datetime, since: datetime | None) -> Sequence[Record]:
    """The records in the window at `at`, oldest first; `since` is when it begins."""
    low, high = 0, len(records)
    if high and records[-1].at > at:
        high = bisect_right(records, at, key=_AT)
    if since is not None:
        low = (bisect_right if isinstance(window, Last) else bisect_left)(records, since, hi=high, key=_AT)
        if isinstance(window, Between) and window.until is not None:
            high = bisect_left(records, window.until, lo=low, hi=high, key=_AT)
    return records if high - low == len(records) else records[low:high]


def lost_at(window: Window, record: Record, zone: ZoneInfo) -> datetime | None:
    """When a record that is in the window at its own time drops out; None: never."""
    match window:
        case Last(length):
            return record.at + length
        case Calendar(period):
            return period_after(record.at, period, zone)
        case _:
            return None


def period_of(at: datetime, period: Period, zone: ZoneInfo) -> datetime:
    """The first instant of the day, week or month that the instant is in, in UTC. Where a day has no midnight, since
    summer time begins there, it is the moment at which the clock is put on."""
    day = at.astimezone(zone).date()
    if period == "week":
        day -= timedelta(days=day.weekday())
    elif period == "month":
        day = day.replace(day=1)
    return datetime.combine(day, time(), zone).astimezone(UTC)


def period_after(at: datetime, period: Period, zone: ZoneInfo) -> datetime:
    """The first instant of the next day, week or month."""
    day = period_of(at, period, zone).astimezone(zone).date() + timedelta(days=_DAYS_ON[period])
    return period_of(datetime.combine(day, _NOON, zone).astimezone(UTC), period, zone)
