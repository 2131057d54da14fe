"""How far a customer has come (lifecycle), how long ago it last bought (activity), and when that next changes."""

from datetime import datetime, timedelta

from msgspec import Struct

from common.contracts.segmentation import Activity, Lifecycle
from segmentation.domain.state import Purchases


class Fans(Struct, frozen=True):
    """What makes a loyal customer a fan: so many reviews with photos and shares, none older than that."""

    interactions: int
    within: timedelta


class Rules(Struct, frozen=True):
    """A shop's thresholds. Each activity lasts from its own up to, not including, the next; a day is 24 hours."""

    currency: str  # ISO 4217; that of every payment
    repeat_from: int  # purchases
    loyal_from: int
    stimulate_from: timedelta  # since the last purchase; before it, a customer is active
    winback_from: timedelta
    lost_from: timedelta
    fans: Fans | None = None  # without, nobody is one


def classify(purchases: Purchases | None, at: datetime, rules: Rules) -> tuple[Lifecycle, Activity | None]:
    """Lifecycle and activity at an instant; who never bought is a prospect and has no activity."""
    if purchases is None:
        return "prospect", None
    age = at - purchases.last_at
    activity: Activity
    if age < rules.stimulate_from:
        activity = "active"
    elif age < rules.winback_from:
        activity = "stimulate"
    elif age < rules.lost_from:
        activity = "winback"
    else:
        activity = "lost"
    if purchases.count >= rules.loyal_from:
        return "loyal", activity
    return ("repeat" if purchases.count >= rules.repeat_from else "new"), activity


def next_change_at(purchases: Purchases | None, at: datetime, rules: Rules) -> datetime | None:
    """When `classify` next gives something else if nothing happens: the first threshold after `at`, if there is one."""
    if purchases is None:
        return None
    age = at - purchases.last_at
    for threshold in (rules.stimulate_from, rules.winback_from, rules.lost_from):
        if age < threshold:
            return purchases.last_at + threshold
    return None


def days_passed(purchases: Purchases, at: datetime, rules: Rules) -> int:
    """The last threshold passed, in days."""
    age = at - purchases.last_at
    thresholds = (rules.stimulate_from, rules.winback_from, rules.lost_from)
    return max((threshold.days for threshold in thresholds if threshold <= age), default=0)
