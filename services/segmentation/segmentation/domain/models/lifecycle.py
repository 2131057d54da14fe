"""How far a customer has come (lifecycle), how long ago it last bought (activity), and when that next changes."""

from datetime import datetime, timedelta
from itertools import islice

from msgspec import Struct

from common.contracts.segmentation import Activity, Lifecycle
from segmentation.domain.models.bought import bought
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import NOTHING
from segmentation.domain.profile.state import Purchases

NAME = "lifecycle"
REVIEW, SHARE = "review.submitted", "share"


class Fans(Struct, frozen=True):
    """What makes a loyal customer a fan: so many reviews with photos and shares, none older than that."""

    interactions: int
    within: timedelta


class Thresholds(Struct, frozen=True):
    """A shop's thresholds. Each activity lasts from its own up to, not including, the next; a day is 24 hours."""

    currency: str  # ISO 4217; that of every payment
    repeat_from: int  # purchases
    loyal_from: int
    stimulate_from: timedelta  # since the last purchase; before it, a customer is active
    winback_from: timedelta
    lost_from: timedelta
    fans: Fans | None = None  # without, nobody is one


def classify(purchases: Purchases | None, at: datetime, rules: Thresholds) -> tuple[Lifecycle, Activity | None]:
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


def next_change_at(purchases: Purchases | None, at: datetime, rules: Thresholds) -> datetime | None:
    """When `classify` next gives something else if nothing happens: the first threshold after `at`, if there is one."""
    if purchases is None:
        return None
    age = at - purchases.last_at
    for threshold in (rules.stimulate_from, rules.winback_from, rules.lost_from):
        if age < threshold:
            return purchases.last_at + threshold
    return None


def days_passed(purchases: Purchases, at: datetime, rules: Thresholds) -> int:
    """The last threshold passed, in days."""
    age = at - purchases.last_at
    thresholds = (rules.stimulate_from, rules.winback_from, rules.lost_from)
    return max((threshold.days for threshold in thresholds if threshold <= age), default=0)


def model(rules: Thresholds) -> Model:
    """By a shop's thresholds."""
    reads = {PURCHASE} if rules.fans is None else {PURCHASE, REVIEW, SHARE}

    def answer(person: Person, at: datetime) -> Modelled:
        purchases = bought(person)
        lifecycle, activity = classify(purchases, at, rules)
        if purchases is None:
            return Modelled({"lifecycle": lifecycle})
        until = next_change_at(purchases, at, rules)
        days = days_passed(purchases, at, rules)
        reason = f"{days} days since the last purchase" if days else ""
        if rules.fans is not None and lifecycle == "loyal":
            ends = _fan_until(person, rules.fans)
            if ends is not None and ends > at:
                lifecycle, until = "fan", min(ends, until or ends)
            elif ends is not None and ends - purchases.last_at > timedelta(days=days):
                reason = f"fewer than {rules.fans.interactions} interactions in {rules.fans.within.days} days"
        return Modelled({"lifecycle": lifecycle, "activity": activity}, until, reason)

    return Model(NAME, frozenset(reads), ("lifecycle", "activity"), answer)


def _fan_until(person: Person, fans: Fans) -> datetime | None:
    """Until when the newest interactions suffice, or did; None where there never were so many."""
    count = fans.interactions
    times = [record.at for record in person.series.get(SHARE, NOTHING).records[-count:]]
    photos = (record.at for record in reversed(person.series.get(REVIEW, NOTHING).records) if record.about.get("photo"))
    newest = sorted([*times, *islice(photos, count)])[-count:]
    return newest[0] + fans.within if len(newest) == count else None
