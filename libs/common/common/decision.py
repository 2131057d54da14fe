"""What a pure decision is given and hands back, and how one customer's events and timers follow each other.

Everything here is pure. The pipeline does the same with a database around it, the simulation without.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from msgspec import Struct, structs

from common.contracts.envelope import Data, Event, Rejection
from common.contracts.ingest import CustomerErased, CustomerMerged, CustomerSplit, HistoryEnded
from common.contracts.loyalty import PointsMoved, TierChanged
from common.contracts.notifier import MessageOutcome
from common.contracts.work import StateMoved, TimerDue
from common.ids import derived_id

MAX_TIMERS_PLAYED = 10_000  # at one step of one customer; more means that a decision re-arms what it was woken by
MAX_PASSED_ON = 16  # from one merged customer to the next; more means that they are merged in a circle
MERGED_INTO_ITSELF = "a customer cannot be merged into itself"

BEFORE_ALL = datetime.min.replace(tzinfo=UTC)  # the time of a customer of whom nothing but asides came
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
    occurred_at: datetime  # what the sender claims, never after `at` but of an aside; a timer's own due time
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
    into: str = ""  # the customer that this one was merged into: it has no timers, and its news goes there

    @property
    def wake_at(self) -> datetime | None:
        """When the alarm has to go off if nothing happens before."""
        return min(self.timers).due if self.timers and not self.historic else None


class Poison(Struct, frozen=True):
    """An event (or a timer, as an event) whose decision failed: a bug, kept for a replay after the mend."""

    event: Event[Data]
    reason: Rejection


class Aggregate(Generic[S]):
    """One customer while being decided: takes events in order, plays the timers between them, collects facts.

    `asides` are the types of events that come by a topic of their own, before or after what happened earlier: they are
    decided at the time the customer has come to, and move neither that nor the end of an import.
    """

    def __init__(
        self,
        service: str,
        decide: Decide[S],
        shop_id: str,
        customer_id: str,
        stored: Stored[S] | None,
        asides: frozenset[str] = frozenset(),
    ) -> None:
        self._service = service
        self._source = f"regulars/{service}"
        self._decide = decide
        self._asides = asides
        self.shop_id = shop_id
        self.customer_id = customer_id
        self.stored = stored
        self.facts: list[Event[Data]] = []
        self.sent: list[Event[Data]] = []  # to other customers, by the service's work topic
        self.poison: list[Poison] = []
        self.decided = 0  # occasions whose decision did not fail

    def take(self, event: Event[Data]) -> None:
        """Plays every timer due before the event, then decides the event (at equal times the event goes first)."""
        if self.stored is not None and self.stored.into:
            self._take_merged(event, self.stored.into)
        elif isinstance(event.data, HistoryEnded):
            self._end_history(event.received_at)
        elif not isinstance(event.data, CustomerSplit):  # whose merge was never heard of here
            self._take(event)

    def _take_merged(self, event: Event[Data], into: str) -> None:
        """Of a customer who was merged: what is about this very id is decided here, all else by who lives on."""
        match event.data:
            case CustomerSplit() | CustomerErased() | PointsMoved() | TierChanged():  # an account of its own
                self._take(event)
            case CustomerMerged(into=other):  # told anew, of who the other was merged into: the state is there by then
                self._point(event, other)
            case MessageOutcome():  # kept here too, so that a split takes along what was told of this very id
                self._take(event)
                self._pass_on(event, into)
            case TimerDue():
                pass  # a merged customer has no timers
            case HistoryEnded():
                self._end_history(event.received_at)
                self._pass_on(event, into)
            case StateMoved():
                self._pass_on(event, into)
            case _ if event.source == self._source:  # the service's own work, begun before the merge
                self._take(event)
            case _:
                self._pass_on(event, into)

    def _take(self, event: Event[Data]) -> None:
        is_aside = event.type in self._asides
        at = BEFORE_ALL if self.stored is None else self.stored.at
        if not is_aside:
            at = max(event.received_at, at)
            self._play(at)
        before = self.stored
        was_historic = before is not None and before.historic
        occasion = Occasion(
            shop_id=self.shop_id,
            customer_id=self.customer_id,
            what=_timer(event.data) if isinstance(event.data, TimerDue) else event.data,
            at=at,
            occurred_at=event.occurred_at if is_aside else min(event.occurred_at, at),
            historic=event.historic or (was_historic and isinstance(event.data, StateMoved)),
            cause=derived_id(event.source, event.id),
        )
        if self._step(occasion, was_historic or (event.historic and not is_aside), event):
            if isinstance(event.data, CustomerMerged) and before is not None:
                self._hand_over(event.data.into, before.state, occasion)
            elif isinstance(event.data, CustomerSplit) and before is not None and self.stored is not None:
                self._hand_over(before.into, self.stored.state, occasion, taken_back=True)

    def _hand_over(self, to: str, state: S, occasion: Occasion, *, taken_back: bool = False) -> None:
        """Sends what this customer has, when it is merged as it was before, when it is split off as it is after."""
        event_id = derived_id(self._service, self.shop_id, self.customer_id, occasion.cause, StateMoved.TYPE)
        moved = self._event(occasion, event_id, StateMoved(self.customer_id, state, taken_back))
        # Not historic, since that would silence whom it goes to until an import of its own has ended.
        self.sent.append(structs.replace(moved, customer_id=to, historic=False))

    def _pass_on(self, event: Event[Data], to: str) -> None:
        """The same event for who lives on, so that a repeat of it stays one."""
        if event.passed_on >= MAX_PASSED_ON:
            self.poison.append(Poison(event, Rejection("$.passedon", f"merged in a circle, or {MAX_PASSED_ON} deep")))
            return
        self.decided += 1
        self.sent.append(structs.replace(event, customer_id=to, passed_on=event.passed_on + 1))

    def _point(self, event: Event[Data], to: str) -> None:
        assert self.stored is not None
        if to == self.customer_id:
            self.poison.append(Poison(event, Rejection("$.data.into", MERGED_INTO_ITSELF)))
            return
        self.decided += 1
        self.stored = structs.replace(self.stored, into=to)

    def wake(self, watermark: datetime) -> None:
        """Plays every timer due before the watermark: all news up to then has been decided."""
        self._play(watermark)

    def _end_history(self, received_at: datetime) -> None:
        """All that fell due up to and including now belongs to the past; from here on alarms are armed."""
        if self.stored is None:
            return
        at = max(received_at, self.stored.at)
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

    def _step(self, occasion: Occasion, historic: bool, what: Event[Data] | Timer) -> bool:
        """The one place where a decision's bug is caught: it costs the one event or timer, not the partition."""
        state, into = (self.stored.state, self.stored.into) if self.stored is not None else (None, "")
        try:
            if isinstance(occasion.what, CustomerMerged):
                into = occasion.what.into
                assert into != self.customer_id, MERGED_INTO_ITSELF
            elif isinstance(occasion.what, CustomerSplit):
                into = ""
            decision = self._decide(state, occasion)
        except Exception as error:  # noqa: BLE001 - a pure function fails the same way at every try, so there is one
            self._bury(occasion, what, Rejection("$", f"{type(error).__name__}: {error}"))
            return False
        self.decided += 1
        timers = () if into else decision.timers
        if buried := self.stored.buried if self.stored is not None else ():
            buried = tuple(t for t in timers if t in buried)
            timers = tuple(t for t in timers if t not in buried)
        self.stored = Stored(decision.state, occasion.at, timers, historic, buried, into)
        for number, data in enumerate(decision.facts):
            event_id = derived_id(self._service, self.shop_id, self.customer_id, occasion.cause, str(number))
            self.facts.append(self._event(occasion, event_id, data))
        return True

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
            source=self._source,
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
