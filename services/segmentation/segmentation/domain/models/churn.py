"""Churn early warning: a customer who is silent for longer than its own rhythm lets expect, and what came of it.

The rhythm is the customer's own: the usual gap is the median of the newest gaps between its purchases. Silence counts
by how many usual gaps it lasts; that purchases came further apart lately, or were smaller, makes the warning earlier.
Everything is reckoned from the purchases as they stand, past warnings too: whoever bought again in time was kept. So
late news corrects it, and nothing but silence and the time to win somebody back changes by itself.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import Any

from msgspec import Struct

from segmentation.domain.models.days import DAY
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import NOTHING, Record

SENT = "message.sent"
SILENCE, FREQUENCY, SPEND = "silence", "frequency", "spend"
PENDING, KEPT, LOST = "pending", "kept", "lost"
FIELDS = ("churn.score", "churn.reasons", "churn.warned_at", "churn.outcome", "churn.offers")
PER_CENT = 100
BEFORE_MIN = 2  # gaps or purchases that the newest are compared with, at the least
LOOKED_BACK = 12  # purchases; a warning that so many followed is over and done with
OFFERS_MAX = 10  # journeys, those since the warning that spoke first

_AT = attrgetter("at")


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
        told = _Told(bought, preset)
        usual, fallen = told.usual(told.count), told.fallen(told.count)
        silent = [(bought[-1].at + usual * one.percent // PER_CENT, one.points) for one in preset.silence]
        silence = max([points for since, points in silent if since <= at], default=0)
        counted = [(SILENCE, silence), *fallen] if silence else fallen
        facts: dict[str, Any] = {"churn.score": sum([points for _, points in counted])}
        if counted:
            facts["churn.reasons"] = tuple([name for name, _ in counted])
        changes = [since for since, _ in silent if since > at]
        if (warning := told.latest(told.warned_at(told.count, usual, fallen), at)) is not None:
            facts["churn.warned_at"], facts["churn.outcome"] = warning.at, warning.outcome
            if offers := _offers(person, warning):
                facts["churn.offers"] = offers
            if warning.outcome == PENDING:
                changes.append(warning.over_at)
        return Modelled(facts, min(changes, default=None), ", ".join([f"{name} {points}" for name, points in counted]))

    return Model("churn", frozenset({PURCHASE, SENT}), FIELDS, answer)


def warns(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a warning began between two answers: it is told then, once, with the reasons of the later one."""
    return after.get("churn.outcome") == PENDING != before.get("churn.outcome")


class _Told:
    """The purchases that a rhythm or a warning may be made of. Whatever is asked after a `count` of purchases, is asked
    of the oldest ones."""

    def __init__(self, bought: Sequence[Record], preset: ChurnPreset) -> None:
        known = bought[-LOOKED_BACK - preset.gaps - 1 :]
        self._preset, self._least, self.count = preset, preset.least_gap_days * DAY, len(known)
        self._times = [one.at for one in known]
        self._gaps = [later - earlier for earlier, later in pairwise(self._times)]
        self._amounts: list[int] = [one.about["amount"] for one in known]
        self._first = max(preset.purchases, len(bought) - LOOKED_BACK) - len(bought) + len(known)

    def usual(self, count: int) -> timedelta:
        """The usual gap."""
        return max(_median(self._newest_gaps(count)), self._least)

    def fallen(self, count: int) -> list[tuple[str, int]]:
        """What besides silence counts, and for how many points."""
        fallen, preset = [], self._preset
        if _further_apart(self._newest_gaps(count), preset.frequency):
            fallen.append((FREQUENCY, preset.frequency.points))
        if _smaller(self._amounts[max(0, count - preset.gaps - 1) : count], preset.spend):
            fallen.append((SPEND, preset.spend.points))
        return fallen

    def warned_at(self, count: int, usual: timedelta, fallen: Sequence[tuple[str, int]]) -> datetime:
        """When silence suffices for a warning; the preset sees to it that it does some time."""
        missing = self._preset.warn_at - sum([points for _, points in fallen])
        percent = next(one.percent for one in self._preset.silence if one.points >= missing)
        return self._times[count - 1] + usual * percent // PER_CENT

    def latest(self, warned_at: datetime, at: datetime) -> _Warning | None:
        """The latest warning: of the silence now, or of one before that a purchase ended."""
        keep = self._preset.keep_days * DAY
        if warned_at <= at:
            lost_at = warned_at + keep
            return _Warning(warned_at, LOST if lost_at <= at else PENDING, lost_at)
        soonest = self._preset.silence[0].percent
        least = self._least * soonest
        for count in range(self.count - 1, self._first - 1, -1):
            silence = self._gaps[count - 1] * PER_CENT
            if silence <= least:
                continue  # too short to be warned of, whatever is usual
            usual = self.usual(count)
            if silence <= usual * soonest:
                continue  # too short, whatever fell
            warned_at, again_at = self.warned_at(count, usual, self.fallen(count)), self._times[count]
            if warned_at < again_at:
                lost_at = warned_at + keep
                return _Warning(warned_at, KEPT if again_at < lost_at else LOST, min(again_at, lost_at))
        return None

    def _newest_gaps(self, count: int) -> Sequence[timedelta]:
        return self._gaps[max(0, count - 1 - self._preset.gaps) : count - 1]


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


def _offers(person: Person, warning: _Warning) -> tuple[str, ...]:
    """The journeys that sent something since the warning, as long as it was open."""
    sent = person.series.get(SENT, NOTHING).records
    since, over = (bisect_left(sent, moment, key=_AT) for moment in (warning.at, warning.over_at))
    journeys = [one.about.get("journey") for one in sent[since:over]]
    return tuple(dict.fromkeys(journey for journey in journeys if journey))[:OFFERS_MAX]
