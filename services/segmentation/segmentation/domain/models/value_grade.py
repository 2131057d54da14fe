"""Value grade: high, mid or low by what a customer spent of late."""

from datetime import datetime, timedelta

from msgspec import Struct

from segmentation.domain.model import Model, Modelled
from segmentation.domain.models.bought import AMOUNT, purchases_of
from segmentation.domain.orders import PURCHASE
from segmentation.domain.person import Person

NAME = "value_grade"


class Grades(Struct, frozen=True):
    """A shop's. Who spent less than `mid_from_minor` within the window, or nothing, is low."""

    window: timedelta
    mid_from_minor: int
    high_from_minor: int


def value_grade(grades: Grades) -> Model:
    """The model. A purchase leaves the window once it is as old as the window is long. Older purchases than those
    known one by one do not count, however young."""

    def grade(spent: int) -> str:
        if spent >= grades.high_from_minor:
            return "high"
        return "mid" if spent >= grades.mid_from_minor else "low"

    def answer(person: Person, at: datetime) -> Modelled:
        inside = [record for record in purchases_of(person).records if record.at > at - grades.window]
        spent = sum(record.about.get(AMOUNT, 0) for record in inside)
        now, until = grade(spent), None
        reason = f"spent {spent} within {grades.window.days} days"
        for leaving in inside:
            spent -= leaving.about.get(AMOUNT, 0)
            if grade(spent) != now:
                until = leaving.at + grades.window
                break
        return Modelled({NAME: now}, until, reason)

    return Model(NAME, frozenset({PURCHASE}), (NAME,), answer)
