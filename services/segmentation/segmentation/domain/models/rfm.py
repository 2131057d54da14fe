"""RFM by quintiles: scores of 1 to 5 against the shop's other customers, and the named group that everybody knows."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time

from msgspec import Struct

from segmentation.domain.models.bought import bought
from segmentation.domain.models.days import DAY
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.models.rfm_scale import FIFTHS, Purchaser, Scale, score
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person

NAME = "rfm"
SCORES = range(1, FIFTHS + 1)

Groups = Mapping[tuple[int, int], str]  # by recency and frequency; money decides nothing in them


class Named(Struct, frozen=True):
    """A group: its name and the scores of recency and of frequency whose customers are in it."""

    group: str
    r: tuple[int, ...]
    f: tuple[int, ...]


def groups_of(named: Sequence[Named]) -> Groups:
    """By cell, of 25: the first group that fits. What none fits is not there."""
    return {(r, f): one.group for one in reversed(named) for r in one.r for f in one.f}


class Plan(Struct, frozen=True):
    """A shop's: the groups, and when new scales are published."""

    groups: Groups
    times: tuple[time, ...]  # of the day, by the shop's clock
    from_customers: int  # buyers; of fewer no scale is made


class RfmModel(Model, frozen=True, kw_only=True):
    """The model, and the plan that it is made anew by with every scale."""

    plan: Plan


def rfm(plan: Plan, scale: Scale | None = None, revision: int = 0) -> RfmModel:
    """The model by the scale that was published last, at that revision of the shop's rulebook. Before the first, and of
    who never bought, nothing is known."""

    def answer(person: Person, at: datetime) -> Modelled:
        of = purchaser(person)
        if of is None or scale is None:
            return Modelled({})
        scores = score(of, at, scale)
        group = plan.groups[scores.r, scores.f]
        facts = {"rfm.r": scores.r, "rfm.f": scores.f, "rfm.m": scores.m, "rfm.group": group}
        return Modelled(facts, scores.until, f"{(at - of.last_at) // DAY} days since the last purchase")

    return RfmModel(
        name=NAME,
        reads=frozenset({PURCHASE}),
        fields=("rfm.r", "rfm.f", "rfm.m", "rfm.group"),
        answer=answer,
        revision=revision,
        plan=plan,
    )


def purchaser(person: Person) -> Purchaser | None:
    """The customer among the others; None for who never bought."""
    of = bought(person)
    return None if of is None else Purchaser(person.customer_id, of.last_at, of.count, of.amount_minor)
