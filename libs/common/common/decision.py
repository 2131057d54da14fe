"""What a pure decision is given and hands back, and how one customer's events and timers follow each other.

Everything here is pure. The pipeline does the same with a database around it, the simulation without.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from msgspec import Struct, structs

from common.contracts.envelope import Data, Event, Rejection
from common.contracts.ingest import HistoryEnded
from common.contracts.work import TimerDue
from common.ids import derived_id

MAX_TIMERS_PLAYED = 10_000  # at one step of one customer; more means that a decision re-arms what it was woken by

AN_INSTANT = timedelta(microseconds=1)  # the smallest step of our time

S = TypeVar("S")


class Timer(Struct, frozen=True, order=True, tag=False):
    """A moment at which a customer's state changes by itself. `kind` and `key` tell the decision what it is for."""

    due: datetime
    kind: str
    key: str = ""


class Occasion(Struct, frozen=True):
    """One thing to decide: an event or a due timer of one customer, at the one time that counts."""

    shop_id: str
    customer_id: str
    what: Data | Timer
    at: datetime  # decision time, UTC; never runs backwards for a customer
    occurred_at: datetime  # what the sender claims, never after `at`; a timer's own due time
    historic: bool  # an import: change the state, tell and reward nobody
    cause: str  # id of the event or timer


class Decision(Struct, Generic[S], frozen=True):
    """The state after, what is to be said about it, and *all* timers pending after it."""

    state: S
    facts: tuple[Data, ...] = ()
    timers: tuple[Timer, ...] = ()


Decide = Callable[[S | None, Occasion], Decision[S]]


class Stored(Struct, Generic[S], frozen=True, omit_defaults=True):
    """What is kept of a customer: the state, its pending timers, and the time it was last decided at."""

    state: S
    at: datetime
    timers: tuple[Timer, ...] = ()
    historic: bool = False  # inside an import: alarms are not armed until history.ended
    buried: tuple[Timer, ...] = ()  # dead letters by now: however long the state wants them, they do not go off again

    @property
    def wake_at(self) -> datetime | None:
        """When the alarm has to go off if nothing happens before."""
        return min(self.timers).due if self.timers and not self.historic else None


class Poison(Struct, frozen=True):
    """An event (or a timer, as an event) whose decision failed: a bug, kept for a replay after the mend."""

    event: Event[Data]
    reason: Rejection


class Aggregate(Generic[S]):
    """One customer while being decided: takes events in order, plays the timers between them, collects facts."""

    def __init__(
        self, service: str, decide: Decide[S], shop_id: str, customer_id: str, stored: Stored[S] | None
    ) -> None:
        self._service = service
        self._decide = decide
        self.shop_id = shop_id
        self.customer_id = customer_id
        self.stored = stored
        self.facts: list[Event[Data]] = []
        self.poison: list[Poison] = []
        self.decided = 0  # occasions whose decision did not fail

    def take(self, event: Event[Data]) -> None:
        """Plays every timer due before the event, then decides the event (at equal times the event goes first)."""
        at = event.received_at if self.stored is None else max(event.received_at, self.stored.at)
        if isinstance(event.data, HistoryEnded):
            self._end_history(at)
            return
        self._play(at)
        occasion = Occasion(
            shop_id=self.shop_id,
            customer_id=self.customer_id,
            what=_timer(event.data) if isinstance(event.data, TimerDue) else event.data,
            at=at,
            occurred_at=min(event.occurred_at, at),
            historic=event.historic,
            cause=derived_id(event.source, event.id),
        )
        was_historic = self.stored is not None and self.stored.historic
        self._step(occasion, event.historic or was_historic, event)

    def wake(self, watermark: datetime) -> None:
        """Plays every timer due before the watermark: all news up to then has been decided."""
        self._play(watermark)

    def _end_history(self, at: datetime) -> None:
        """All that fell due up to and including now belongs to the past; from here on alarms are armed."""
        if self.stored is None:
            return
        self._play(at + AN_INSTANT)
        self.stored = structs.replace(self.stored, at=at, historic=False)

    def _play(self, before: datetime) -> None:
        for _ in range(MAX_TIMERS_PLAYED):
            if self.stored is None or not self.stored.timers:
                return
            timer = min(self.stored.timers)
            if timer.due >= before:
                return
            occasion = Occasion(
                shop_id=self.shop_id,
                customer_id=self.customer_id,
                what=timer,
                at=max(timer.due, self.stored.at),
                occurred_at=timer.due,
                historic=self.stored.historic,
                cause=derived_id(timer.kind, timer.key, timer.due.isoformat()),
            )
            others = tuple(t for t in self.stored.timers if t != timer)  # a decision re-arms what it still wants
            self.stored = structs.replace(self.stored, timers=others)
            self._step(occasion, self.stored.historic, timer)
        raise AssertionError(f"{self._service}: more than {MAX_TIMERS_PLAYED} timers at one step")

    def _step(self, occasion: Occasion, historic: bool, what: Event[Data] | Timer) -> None:
        """The one place where a decision's bug is caught: it costs the one event or timer, not the partition."""
        state = self.stored.state if self.stored is not None else None
        try:
            decision = self._decide(state, occasion)
        except Exception as error:  # noqa: BLE001 - a pure function fails the same way at every try, so there is one
            self._bury(occasion, what, Rejection("$", f"{type(error).__name__}: {error}"))
            return
        self.decided += 1
        timers = decision.timers
        if buried := self.stored.buried if self.stored is not None else ():
            buried = tuple(t for t in timers if t in buried)
            timers = tuple(t for t in timers if t not in buried)
        self.stored = Stored(decision.state, occasion.at, timers, historic, buried)
        for number, data in enumerate(decision.facts):
            event_id = derived_id(self._service, self.shop_id, self.customer_id, occasion.cause, str(number))
            self.facts.append(self._event(occasion, event_id, data))

    def _bury(self, occasion: Occasion, what: Event[Data] | Timer, reason: Rejection) -> None:
        if isinstance(what, Timer):
            assert self.stored is not None
            self.stored = structs.replace(self.stored, buried=(*self.stored.buried, what))
            what = self._event(occasion, occasion.cause, TimerDue(what.due, what.kind, what.key))
        self.poison.append(Poison(what, reason))

    def _event(self, occasion: Occasion, event_id: str, data: Data) -> Event[Data]:
        return Event(
            specversion="1.0",
            id=event_id,
            source=f"regulars/{self._service}",
            type=data.TYPE,
            shop_id=self.shop_id,
            customer_id=self.customer_id,
            occurred_at=occasion.at,
            received_at=occasion.at,
            causation_id=occasion.cause,
            historic=occasion.historic,
            data=data,
        )


def _timer(data: TimerDue) -> Timer:
    return Timer(data.due, data.kind, data.key)
