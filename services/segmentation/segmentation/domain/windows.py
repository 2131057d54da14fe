"""Stretches of time that rules ask about, and when one that moves next loses something by itself.

A window is asked about at an instant, and holds nothing after it. `last` moves with the instant and has lost an event
once its age is the whole length; `calendar` begins at a day, week or month of the shop's zone and is empty at the next.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from segmentation.domain.records import Record

Period = Literal["day", "week", "month"]  # a week begins on Monday (ISO 8601)


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
    match window:
        case Ever():
            return None
        case Last(length):
            return at - length
        case Between(since):
            return since
        case Calendar(period):
            return _first_instant(at, period, zone)


def inside(window: Window, records: Sequence[Record], at: datetime, zone: ZoneInfo) -> list[Record]:
    """The records in the window at `at`, oldest first."""
    since = begins(window, at, zone)
    found = [record for record in records if record.at <= at and (since is None or record.at >= since)]
    if isinstance(window, Last):
        return [record for record in found if record.at > at - window.length]
    if isinstance(window, Between) and window.until is not None:
        return [record for record in found if record.at < window.until]
    return found


def next_loss(window: Window, found: Sequence[Record], at: datetime, zone: ZoneInfo) -> datetime | None:
    """When the first of what is in the window drops out if nothing happens; None: never."""
    if not found:
        return None
    match window:
        case Last(length):
            return found[0].at + length
        case Calendar(period):
            return _first_instant(_later(at, period, zone), period, zone)
        case _:
            return None


def _first_instant(at: datetime, period: Period, zone: ZoneInfo) -> datetime:
    day = at.astimezone(zone).date()
    if period == "week":
        day -= timedelta(days=day.weekday())
    if period == "month":
        day = day.replace(day=1)
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _later(at: datetime, period: Period, zone: ZoneInfo) -> datetime:
    """Some instant of the next period: of a day at noon, which no summer time reaches."""
    day = _first_instant(at, period, zone).astimezone(zone).date()
    days = {"day": 1, "week": 7, "month": 32}[period]  # 32 days from the first lead into every next month
    return datetime.combine(day + timedelta(days=days), time(12), zone).astimezone(UTC)
