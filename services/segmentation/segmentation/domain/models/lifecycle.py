"""How far a customer has come (lifecycle), how long ago it last bought (activity), and when that next changes."""

from datetime import datetime

from segmentation.domain.lifecycle import Rules, classify, days_passed, next_change_at
from segmentation.domain.model import Model, Modelled
from segmentation.domain.orders import PURCHASE
from segmentation.domain.person import Person
from segmentation.domain.records import NOTHING
from segmentation.domain.state import Purchases

NAME = "lifecycle"


def model(rules: Rules) -> Model:
    """By a shop's thresholds."""

    def answer(person: Person, at: datetime) -> Modelled:
        purchases = _purchases(person)
        lifecycle, activity = classify(purchases, at, rules)
        days = 0 if purchases is None else days_passed(purchases, at, rules)
        return Modelled(
            {"lifecycle": lifecycle} if activity is None else {"lifecycle": lifecycle, "activity": activity},
            next_change_at(purchases, at, rules),
            f"{days} days since the last purchase" if days else "",
        )

    return Model(NAME, frozenset({PURCHASE}), ("lifecycle", "activity"), answer)


def _purchases(person: Person) -> Purchases | None:
    series = person.series.get(PURCHASE, NOTHING)
    times = [record.at for record in series.records]
    count, before = len(times), series.before
    if before is not None:
        times += [before.first_at, before.last_at]
        count += before.count
    return Purchases(count, min(times), max(times), 0) if times else None


__all__ = ["NAME", "Rules", "model"]
