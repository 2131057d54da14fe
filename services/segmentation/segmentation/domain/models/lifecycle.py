"""How far a customer has come (lifecycle), how long ago it last bought (activity), and when that next changes."""

from datetime import datetime, timedelta
from itertools import islice

from segmentation.domain.lifecycle import Fans, Rules, classify, days_passed, next_change_at
from segmentation.domain.model import Model, Modelled
from segmentation.domain.models.bought import bought
from segmentation.domain.orders import PURCHASE
from segmentation.domain.person import Person
from segmentation.domain.records import NOTHING

NAME = "lifecycle"
REVIEW, SHARE = "review.submitted", "share"


def model(rules: Rules) -> Model:
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


__all__ = ["NAME", "Rules", "model"]
