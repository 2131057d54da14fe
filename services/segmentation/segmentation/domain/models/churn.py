"""Churn early warning: a customer who is silent for longer than its own rhythm lets expect, and what came of it.

The rhythm is the customer's own: the usual gap is the median of the newest gaps between its purchases. Silence counts
by how many usual gaps it lasts; that purchases came further apart lately, or were smaller, makes the warning earlier.
Everything is reckoned from the purchases as they stand, past warnings too: whoever bought again in time was kept. So
late news corrects it, and nothing but silence and the time to win somebody back changes by itself.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from msgspec import Struct

from segmentation.domain.model import Model, Modelled
from segmentation.domain.models.newest import DAY
from segmentation.domain.orders import PURCHASE
from segmentation.domain.person import Person
from segmentation.domain.records import NOTHING, Record

SENT = "message.sent"
SILENCE, FREQUENCY, SPEND = "silence", "frequency", "spend"
PENDING, KEPT, LOST = "pending", "kept", "lost"
FIELDS = ("churn.score", "churn.reasons", "churn.warned_at", "churn.outcome", "churn.offers")
PER_CENT = 100
BEFORE_MIN = 2  # gaps or purchases that the newest are compared with, at the least
LOOKED_BACK = 12  # purchases; a warning that so many followed is over and done with
OFFERS_MAX = 10  # journeys, those since the warning that spoke first


class Silence(Struct, frozen=True):
    """From so many per cent of the usual gap on, so many points."""

    percent: int
    points: int


class Fall(Struct, frozen=True):
    """How far the `newest` have to be from those before, in per cent of them, and for how many points."""

    newest: int
    percent: int
    points: int


class ChurnPreset(Struct, frozen=True):
    """A rhythm takes at least so many `purchases`, is made of the newest `gaps`, and is never taken for shorter than
    `least_gap_days`. Silence rises. A customer is warned of from `warn_at` points on, which no customer reaches
    without silence, and is kept who buys within `keep_days`."""

    purchases: int
    gaps: int
    least_gap_days: int
    silence: tuple[Silence, ...]
    frequency: Fall
    spend: Fall
    warn_at: int
    keep_days: int


class _Outlook(Struct, frozen=True):
    """What is to be expected after a purchase: when silence counts how much, besides what has fallen already."""

    silent: tuple[tuple[datetime, int], ...]
    fallen: tuple[tuple[str, int], ...]
    warned_at: datetime


class _Warning(Struct, frozen=True):
    """The latest, its outcome, and from when on nothing is part of it any more."""

    at: datetime
    outcome: str
    over_at: datetime


def churn(preset: ChurnPreset) -> Model:
    """The model of a shop."""

    def answer(person: Person, at: datetime) -> Modelled:
        bought = person.series.get(PURCHASE, NOTHING).records
        if len(bought) < preset.purchases:
            return Modelled({})
        outlook = _outlook(bought, preset)
        silence = max((points for since, points in outlook.silent if since <= at), default=0)
        counted = ([(SILENCE, silence)] if silence else []) + list(outlook.fallen)
        facts: dict[str, Any] = {"churn.score": sum(points for _, points in counted)}
        if counted:
            facts["churn.reasons"] = tuple(name for name, _ in counted)
        changes = [since for since, _ in outlook.silent if since > at]
        if (warning := _latest(bought, outlook, at, preset)) is not None:
            facts["churn.warned_at"], facts["churn.outcome"] = warning.at.isoformat(), warning.outcome
            if offers := _offers(person, warning):
                facts["churn.offers"] = offers
            if warning.outcome == PENDING:
                changes.append(warning.over_at)
        return Modelled(facts, min(changes, default=None), ", ".join(f"{name} {points}" for name, points in counted))

    return Model("churn", frozenset({PURCHASE, SENT}), FIELDS, answer)


def warns(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a warning began between two answers: it is told then, once, with the reasons of the later one."""
    return after.get("churn.outcome") == PENDING != before.get("churn.outcome")


def _outlook(bought: Sequence[Record], preset: ChurnPreset) -> _Outlook:
    """After the last of these purchases."""
    gaps = [later.at - earlier.at for earlier, later in pairwise(bought[-preset.gaps - 1 :])]
    gap = max(_median(gaps), preset.least_gap_days * DAY)
    last_at = bought[-1].at
    silent = tuple((last_at + gap * one.percent // PER_CENT, one.points) for one in preset.silence)
    fallen = []
    if _further_apart(gaps, preset.frequency):
        fallen.append((FREQUENCY, preset.frequency.points))
    if _smaller([one.about["amount"] for one in bought[-preset.gaps - 1 :]], preset.spend):
        fallen.append((SPEND, preset.spend.points))
    missing = preset.warn_at - sum(points for _, points in fallen)
    warned_at = next(since for since, points in silent if points >= missing)  # the preset sees to it that there is one
    return _Outlook(silent, tuple(fallen), warned_at)


def _further_apart(gaps: Sequence[timedelta], fall: Fall) -> bool:
    before, newest = gaps[: -fall.newest], gaps[-fall.newest :]
    return (
        len(before) >= BEFORE_MIN
        and sum(newest, timedelta()) * PER_CENT >= _median(before) * len(newest) * fall.percent
    )


def _smaller(amounts: Sequence[int], fall: Fall) -> bool:
    before, newest = amounts[: -fall.newest], amounts[-fall.newest :]
    enough = len(before) >= BEFORE_MIN
    return enough and sum(newest) * len(before) * PER_CENT <= sum(before) * len(newest) * fall.percent


def _median(gaps: Sequence[timedelta]) -> timedelta:
    """Of two in the middle the mean, to the microsecond below."""
    ranked, middle = sorted(gaps), len(gaps) // 2
    return ranked[middle] if len(gaps) % 2 else (ranked[middle - 1] + ranked[middle]) // 2


def _latest(bought: Sequence[Record], outlook: _Outlook, at: datetime, preset: ChurnPreset) -> _Warning | None:
    """The latest warning: of the silence now, or of one before that a purchase ended."""
    keep = preset.keep_days * DAY
    if (warned_at := outlook.warned_at) <= at:
        lost_at = warned_at + keep
        return _Warning(warned_at, LOST if lost_at <= at else PENDING, lost_at)
    for count in range(len(bought) - 1, max(preset.purchases, len(bought) - LOOKED_BACK) - 1, -1):
        warned_at, again_at = _outlook(bought[:count], preset).warned_at, bought[count].at
        if warned_at < again_at:
            lost_at = warned_at + keep
            return _Warning(warned_at, KEPT if again_at < lost_at else LOST, min(again_at, lost_at))
    return None


def _offers(person: Person, warning: _Warning) -> tuple[str, ...]:
    """The journeys that sent something since the warning, as long as it was open."""
    sent = person.series.get(SENT, NOTHING).records
    journeys = (one.about.get("journey") for one in sent if warning.at <= one.at < warning.over_at)
    return tuple(dict.fromkeys(journey for journey in journeys if journey))[:OFFERS_MAX]
