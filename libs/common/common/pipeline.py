"""The road: every service's one way from the bus to its committed state and facts.

One transaction per batch, in this order:
    1. fence    move the marks from what they were to what this batch reaches, or give up the batch
    2. load     the states of the batch's customers
    3. decide   each customer's events in order, and the timers due between them (pure)
    4. save     states, the service's own rows, facts to the outbox, dead letters
    5. commit   and only then tell the bus
Whatever dies in between, the marks stand where the states stand.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar

import asyncpg
import structlog

from common.alarms import Alarms
from common.batch import Batch, Codec
from common.bus import dead_letters
from common.bus.bell import Bell
from common.bus.dead_letters import DeadLetter
from common.bus.port import Bus, Mark, Message, Slot, Subscription
from common.clock import Clock
from common.contracts.envelope import Rejection
from common.contracts.ingest import Tick
from common.db import marks, outbox, states
from common.db.engine import is_outside
from common.db.marks import Fenced
from common.db.states import Key
from common.ids import partition_of
from common.retry import FAILED, RECONNECT, give_up_if_stopped
from common.service import Service, refusing
from common.settings import Settings
from common.telemetry import metrics

S = TypeVar("S")

log = structlog.get_logger()


class Road(Generic[S]):
    """One service's consumer. `run` until cancelled; `ready` says what is wrong, if anything."""

    def __init__(
        self, service: Service[S], pool: asyncpg.Pool, bus: Bus, clock: Clock, settings: Settings, bell: Bell
    ) -> None:
        self._service, self._pool, self._bus, self._bell = service, pool, bus, bell
        self._clock, self._settings = clock, settings
        self._codec: Codec[S] = Codec(service)
        self._topics = tuple(topic.name for topic in (*service.reads, service.work))
        self._hears_ticks = any(Tick in topic.events for topic in service.reads)
        self._fault: str | None = "not subscribed yet"
        self._dead_in_a_row = 0
        metrics.ROAD_EVENTS.labels(service.name)  # at zero from the start: an alert on its rate then sees a road stand

    def ready(self) -> str | None:
        """None while events are being consumed, else why not."""
        return self._fault

    async def run(self) -> None:
        """Consumes until cancelled. What the outside does wrong (broker or database away) ends one subscription and
        begins the next. When everything becomes a dead letter, the fault is in this deploy: it stops for good."""
        attempt = 0
        while self._dead_in_a_row < self._settings.dead_letters_in_a_row_max:
            try:
                async with self._bus.subscribe(self._service.name, self._topics, self._load_marks) as subscription:
                    await self._consume(subscription)
            except FAILED as error:  # the one seam to broker and database
                give_up_if_stopped(error)
                attempt = 1 if self._fault is None else attempt + 1
                self._fault = f"subscription failed: {type(error).__name__}"  # told to anybody; the text is for the log
                log.warning(self._fault, service=self._service.name, reason=str(error))
                await asyncio.sleep(RECONNECT.next(attempt) or 0)
        self._fault = f"stopped: {self._dead_in_a_row} events in a row became dead letters; see dead-letters list"
        log.error("consumer stopped", service=self._service.name, reason=self._fault)

    async def _consume(self, subscription: Subscription) -> None:
        alarms = Alarms(self._service.name, self._clock, self._settings.watermark_patience_s)
        patience_s = self._settings.poll_ms / 1000
        wait_s = patience_s
        while self._dead_in_a_row < self._settings.dead_letters_in_a_row_max:
            try:
                messages = await subscription.poll(self._settings.batch_max_messages, wait_s)
                alarms.hold({part for _, part in subscription.marks})
                if messages:
                    await self._apply_or_bury(messages, subscription, alarms)
                else:
                    metrics.ROAD_LAG_SECONDS.labels(self._service.name).set(0)
                    if self._hears_ticks:
                        alarms.lose_patience()
                woken = await self._wake(subscription, alarms)
                wait_s = 0 if woken else patience_s  # where some were due, more may be
                self._fault = None
            except Fenced as error:  # a partition went to another member while its batch was in hand
                metrics.ROAD_FENCED.labels(self._service.name).inc()
                log.warning("fenced", service=self._service.name, reason=str(error))
                await subscription.reset()

    async def _apply_or_bury(self, messages: list[Message], subscription: Subscription, alarms: Alarms) -> None:
        """Applies the batch; when the fault is in it, message by message, to bury the one at fault and go on."""
        polled = dict(subscription.marks)  # what they were then: of a slot lost and gained again, the batch is void
        if await self._tried(self._apply(messages, polled, subscription, alarms)) is None:
            return
        for message in messages:
            if self._dead_in_a_row >= self._settings.dead_letters_in_a_row_max:
                return
            if fault := await self._tried(self._apply([message], polled, subscription, alarms)):
                batch = Batch(self._service, self._codec, ())
                batch.reached[message.slot] = message.mark
                batch.letters.append(DeadLetter(message.topic, message.key, message.body, fault))
                await self._commit(batch, polled, {}, subscription, alarms)

    @staticmethod
    async def _tried(work: Awaitable[None]) -> Rejection | None:
        """Does the work; a fault of what is in it comes back, one of the outside is raised."""
        try:
            await work
        except Exception as error:
            if isinstance(error, Fenced) or is_outside(error):
                raise
            return Rejection("$", f"{type(error).__name__}: {error}")
        return None

    async def _apply(
        self, messages: Sequence[Message], polled: dict[Slot, Mark], subscription: Subscription, alarms: Alarms
    ) -> None:
        batch = Batch(self._service, self._codec, messages)
        await self._commit(batch, polled, dict.fromkeys(batch.events), subscription, alarms)
        alarms.hear(batch.watermarks)

    async def _wake(self, subscription: Subscription, alarms: Alarms) -> int:
        """Wakes at most one batch of customers whose alarms the watermarks have passed; customer by customer when
        what comes of it cannot be saved, to bury the timers at fault and go on. Returns how many there were."""
        if not (windows := alarms.windows()):
            return 0
        async with self._pool.acquire() as connection:
            found = await states.due(connection, windows, self._settings.batch_max_messages)
        if found:
            wakes = {key: windows[part][1] for key, part, _ in found}
            if await self._tried(self._wake_up(self._service, wakes, subscription, alarms)) is not None:
                for key, watermark in wakes.items():
                    alone = {key: watermark}
                    if fault := await self._tried(self._wake_up(self._service, alone, subscription, alarms)):
                        await self._wake_up(refusing(self._service, fault.reason), alone, subscription, alarms)
            self._count_alarms([wake_at for *_, wake_at in found])
        alarms.claimed(windows, {part: wake_at for _, part, wake_at in found})
        return len(found)

    async def _wake_up(
        self, service: Service[S], wakes: Mapping[Key, datetime], subscription: Subscription, alarms: Alarms
    ) -> None:
        batch = Batch(service, self._codec, ())
        for key in wakes:
            slot = self._topics[0], partition_of(*key)  # held, not moved: only their owner may wake
            batch.reached[slot] = subscription.marks.get(slot, Mark(0, 0))
        await self._commit(batch, dict(batch.reached), wakes, subscription, alarms)

    async def _commit(
        self,
        batch: Batch[S],
        polled: dict[Slot, Mark],
        customers: Mapping[Key, datetime | None],
        subscription: Subscription,
        alarms: Alarms,
    ) -> None:
        """The one transaction. `polled` are the marks it starts from, and afterwards those it has reached; `customers`
        are those to decide, each with the watermark to wake it at, if any."""
        began = time.perf_counter()
        if lost := batch.reached.keys() - subscription.marks.keys():
            raise Fenced(f"{len(lost)} partitions were given to another member")
        async with self._pool.acquire() as connection, connection.transaction():
            await marks.move(connection, {slot: (polled[slot], mark) for slot, mark in batch.reached.items()})
            bodies = await states.load(connection, list(customers))
            for key, wake_before in customers.items():
                batch.decide(key, bodies.get(key), wake_before)
            now = self._clock.now()
            rows = batch.state_rows()
            letters = [dead_letters.announce(letter, now) for letter in batch.letters]
            facts = [outbox.row(self._service.writes.name, fact) for saved in batch.saved for fact in saved.facts]
            sent = [outbox.row(self._service.work.name, event) for event in batch.sent]
            await states.save(connection, rows)
            if batch.saved:
                await batch.service.project(connection, batch.saved)
            await outbox.write(connection, facts + sent + letters)
            await dead_letters.keep(connection, batch.letters, now)
        polled |= batch.reached
        subscription.advance(batch.reached)
        for *_, part, _, wake_at in rows:
            alarms.armed(part, wake_at)
        if facts:
            self._bell.ring(self._service.writes.name)
        if sent:
            self._bell.ring(self._service.work.name)
        self._count(batch, time.perf_counter() - began)

    def _count(self, batch: Batch[S], seconds: float) -> None:
        name = self._service.name
        metrics.ROAD_BATCH_SECONDS.labels(name).observe(seconds)
        metrics.ROAD_BATCH_EVENTS.labels(name).observe(batch.read)
        metrics.ROAD_EVENTS.labels(name).inc(batch.read)
        for kind, count in Counter(fact.type for saved in batch.saved for fact in saved.facts).items():
            metrics.ROAD_FACTS.labels(name, kind).inc(count)
        for letter in batch.letters:
            metrics.ROAD_DEAD_LETTERS.labels(name, letter.topic).inc()
        if batch.newest is not None:
            metrics.ROAD_LAG_SECONDS.labels(name).set((self._clock.now() - batch.newest).total_seconds())
        self._dead_in_a_row = 0 if batch.decided else self._dead_in_a_row + len(batch.letters)

    def _count_alarms(self, due: Sequence[datetime]) -> None:
        now = self._clock.now()
        metrics.ROAD_TIMERS.labels(self._service.name).inc(len(due))
        for wake_at in due:
            metrics.ROAD_TIMER_SECONDS.labels(self._service.name).observe(max(0.0, (now - wake_at).total_seconds()))

    async def _load_marks(self, slots: Collection[Slot]) -> dict[Slot, Mark]:
        async with self._pool.acquire() as connection:
            return await marks.load(connection, slots)
