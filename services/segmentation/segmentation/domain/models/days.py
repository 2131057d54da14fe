"""A day as models count them, and when something that is done at times of the shop's day was due last."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)  # 24 hours, whatever the clock does


def last_due(times: Sequence[time], zone: ZoneInfo, at: datetime) -> datetime:
    """The latest of these times, today's or yesterday's by the shop's clock, that is not after `at`; in UTC. A time
    that a day skips is due when it would have been, one that a day has twice at the first of them."""
    today = at.astimezone(zone).date()
    instants = (datetime.combine(day, of_day, zone).astimezone(UTC) for day in (today, today - DAY) for of_day in times)
    return max(instant for instant in instants if instant <= at)
