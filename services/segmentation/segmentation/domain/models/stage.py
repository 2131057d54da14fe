"""Stage of the relation with the shop: novice, growth, mature, decline."""

from datetime import datetime, timedelta

from msgspec import Struct

from segmentation.domain.models.bought import bought
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.state import Purchases

NAME = "stage"


class Stages(Struct, frozen=True):
    """A shop's. Decline is asked first, then mature, then growth; all others are novices."""

    growth_from: int  # purchases
    mature_from: int  # purchases, and
    mature_after: timedelta  # since the first of them
    decline_after: timedelta  # since the last purchase


def stage(stages: Stages) -> Model:
    """The model. Who never bought is a novice, who bought and stays away long enough in decline."""

    def of(customer: Purchases | None, at: datetime) -> str:
        if customer is None:
            return "novice"
        if at - customer.last_at >= stages.decline_after:
            return "decline"
        if customer.count >= stages.mature_from and at - customer.first_at >= stages.mature_after:
            return "mature"
        return "growth" if customer.count >= stages.growth_from else "novice"

    def answer(person: Person, at: datetime) -> Modelled:
        customer = bought(person)
        now = of(customer, at)
        if customer is None:
            return Modelled({NAME: now}, None, "never bought")
        turns = sorted((customer.first_at + stages.mature_after, customer.last_at + stages.decline_after))
        until = next((turn for turn in turns if turn > at and of(customer, turn) != now), None)
        return Modelled({NAME: now}, until, f"{customer.count} purchases, the last {customer.last_at.date()}")

    return Model(NAME, frozenset({PURCHASE}), (NAME,), answer)
