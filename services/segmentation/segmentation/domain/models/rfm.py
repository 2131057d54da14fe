"""RFM by quintiles: scores of 1 to 5 against the shop's other customers, and the named group that everybody knows."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from segmentation.domain.model import Model, Modelled
from segmentation.domain.models.bought import PURCHASE, bought
from segmentation.domain.person import Person
from segmentation.domain.rfm import FIFTHS, Purchaser, Scale, score

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


def rfm(scale: Scale | None, groups: Groups) -> Model:
    """The model by the scale that was published last; before the first, and of who never bought, nothing is known."""

    def answer(person: Person, at: datetime) -> Modelled:
        of = purchaser(person)
        if of is None or scale is None:
            return Modelled({})
        scores = score(of, at, scale)
        facts = {"rfm.r": scores.r, "rfm.f": scores.f, "rfm.m": scores.m, "rfm.group": groups[scores.r, scores.f]}
        return Modelled(facts, scores.until, f"last bought {of.last_at:%Y-%m-%d}, {of.orders} purchases")

    return Model(NAME, frozenset({PURCHASE}), ("rfm.r", "rfm.f", "rfm.m", "rfm.group"), answer)


def purchaser(person: Person) -> Purchaser | None:
    """The customer among the others; None for who never bought."""
    of = bought(person)
    return None if of is None else Purchaser(person.customer_id, of.last_at, of.count, of.amount_minor)
