"""Value grade: high, mid or low by what a customer spent of late."""

from datetime import datetime, timedelta

from msgspec import Struct

from segmentation.domain.models.bought import AMOUNT, purchases_of
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.models.newest import after
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person

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
        inside = after(purchases_of(person).records, at - grades.window)
        amounts = [record.about.get(AMOUNT, 0) for record in inside]
        spent = sum(amounts)
        now, until = grade(spent), None
        reason = f"spent {spent} within {grades.window.days} days"
        if now != "low":  # no amount is below nothing, so that what is low stays so
            for leaving, amount in zip(inside, amounts, strict=True):
                spent -= amount
                if grade(spent) != now:
                    until = leaving.at + grades.window
                    break
        return Modelled({NAME: now}, until, reason)

    return Model(NAME, frozenset({PURCHASE}), (NAME,), answer)
