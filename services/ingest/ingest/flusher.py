"""Group commit: what concurrent requests bring is written in one transaction, and answered when it is durable.

The watermark rests on one order. A flush first takes its transaction id X (with its first write) and only then stamps
`received_at`; a tick reads its time W first and takes its id Y after. The outbox is read in the order of ids, below the
oldest open one. So when a tick is read, everything with a lower id has been read, and whatever has a higher id was
stamped after W: nothing received before W can still come. No ingest process needs to know of another, nor one lane of
the other.

What is known of a person, a cart or an order is read, decided on and written in the transaction of its events, and two
flushes would often want the same rows. So in one process they go one behind the other: while the first settles and
commits, the second takes its id and notes its events, but settles only when the first is committed. Two processes may
still meet. Who then finds what a later transaction wrote is overtaken (store.py), who waits in a circle is told so by
the server, and both try again with a later id: some times, then each request alone, and at last its sender has to.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from time import monotonic

import asyncpg
import structlog
from msgspec import structs

from common.bus import dead_letters
from common.bus.bell import Bell, wait
from common.bus.dead_letters import DeadLetter
from common.clock import Clock
from common.contracts import ingest
from common.contracts.envelope import Data, Event, encode
from common.contracts.topics import INGEST_EVENTS
from common.db import outbox
from common.db.engine import Connection, is_outside
from common.ids import PARTITIONS, derived_id
from common.retry import Retry
from common.settings import Settings
from common.telemetry import metrics
from common.web.problems import unavailable
from ingest import consents, deliveries, edge, store
from ingest.deliveries import Raw
from ingest.domain.accept import Accepted
from ingest.people.settling import People
from ingest.people.whose import Whose
from ingest.vault import Vault

log = structlog.get_logger()

LANES = 2  # more make the flushes smaller and win nothing
TICKS_KEPT = 300  # of one process; a reader needs the newest alone
EDGE = "edge"  # the source of ticks, and where the dead letters of refused events stand
EDGE_SEGMENT = "edge.segment"  # of refused messages in Segment's form, which have a door of their own
EDGE_HISTORIC = "edge.historic"  # of those that an import brought: they must never come back as news


# What passes by itself: who was overtaken, or stopped for another in a circle, comes again with a later id.
OTHERS = (store.Overtaken, asyncpg.DeadlockDetectedError)
IN_TURN = Retry(first_ms=2, factor=2.0, max_ms=100, max_tries=10)


class Full(Exception):
    """More waits to be written than may wait: the sender has to come again."""


class Away(Exception):
    """The database does not answer. What was sent may be written or not: the sender has to send the same again."""


class Submission:
    """What one request brought: events to write, refused ones and deliveries to keep; `done` gives the new keys."""

    def __init__(self, accepted: Sequence[Accepted], letters: Sequence[DeadLetter], raws: Sequence[Raw] = ()) -> None:
        self.accepted, self.letters, self.raws = accepted, letters, raws
        self.done: asyncio.Future[set[store.EventKey]] = asyncio.get_running_loop().create_future()

    @property
    def size(self) -> int:
        """How much it is to write."""
        return len(self.accepted) + len(self.letters) + len(self.raws)


class Flusher:
    """Lanes with a flush at a time in each: while one waits for the disk, another writes, and the next one gathers."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        vault: Vault,
        clock: Clock,
        settings: Settings,
        bell: Bell,
        people: People,
        whose: Whose,
    ) -> None:
        self._pool, self._vault, self._clock, self._settings, self._bell = pool, vault, clock, settings, bell
        self._people, self._whose = people, whose
        self._waiting: list[Submission] = []
        self._waiting_events = 0
        self._arrived = asyncio.Event()
        self._beginning, self._settling = asyncio.Lock(), asyncio.Lock()
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._ticked_at = 0.0
        self._ticks: list[str] = []  # transactions that wrote those still standing, oldest first
        self._fault: str | None = None

    def ready(self) -> str | None:
        """None while flushes succeed, else why the last one did not."""
        return self._fault

    async def submit(
        self, accepted: Sequence[Accepted], letters: Sequence[DeadLetter], raws: Sequence[Raw] = ()
    ) -> set[store.EventKey]:
        """Returns when all is durable, with the keys of those events that were new. Raises Full or Away."""
        submission = Submission(accepted, letters, raws)
        size = submission.size
        # What is larger than the whole queue is taken when nothing else waits: else it could never be sent.
        if self._waiting and self._waiting_events + size > self._settings.queue_max_events:
            raise Full
        self._waiting.append(submission)
        self._waiting_events += size
        self._arrived.set()
        return await submission.done

    async def run(self) -> None:
        """One lane: flushes until cancelled; a failed flush fails its requests, and their senders send them again."""
        while True:
            busy = bool(self._waiting)
            wait_ms = self._settings.tick_ms if busy else self._settings.tick_idle_ms
            left_s = self._ticked_at + wait_ms / 1000 - monotonic()
            if not busy and left_s > 0:
                await wait(self._arrived, left_s)
                continue
            if tick := left_s <= 0:
                self._ticked_at = monotonic()
            await self._settle(self._take(), tick)
            if self._fault is not None:
                await wait(self._arrived, self._settings.tick_ms / 1000)

    async def _settle(self, batch: Sequence[Submission], tick: bool) -> None:
        """Flushes the batch; when the fault is in it, request by request, so that one costs the others nothing."""
        try:
            fresh = await self._flush_in_turn(batch, tick)
        except Exception as error:  # the one seam to the database
            if is_outside(error):
                self._fault = f"the database does not answer: {type(error).__name__}"
                self._fail(batch, Away(f"the database does not answer: {type(error).__name__}"))
            elif len(batch) > 1:
                for submission in batch:
                    await self._settle([submission], tick=False)
            elif isinstance(error, OTHERS):
                log.warning("flush was overtaken each time", events=sum(submission.size for submission in batch))
                self._fail(batch, Away("others write about the same all the time"))
            else:
                log.exception("flush failed")
                self._fault = f"{type(error).__name__}: see the log"  # its text may show what was to be written
                self._fail(batch, error)
            return
        self._fault = None
        for submission in batch:
            if not submission.done.cancelled():  # its sender has gone
                submission.done.set_result(fresh)

    async def _flush_in_turn(self, batch: Sequence[Submission], tick: bool) -> set[store.EventKey]:
        """Flushes the batch, again while others are in the way; raises as they last did once that was often enough."""
        attempt = 1
        while True:
            try:
                return await self._flush(batch, tick)
            except OTHERS:
                if (pause_s := IN_TURN.next(attempt)) is None:
                    raise
            attempt += 1
            await asyncio.sleep(pause_s)

    def _take(self) -> list[Submission]:
        """As many waiting submissions as one flush may hold, at least one if any waits."""
        size = count = 0
        for submission in self._waiting:
            size += submission.size
            if count and size > self._settings.flush_max_events:
                break
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_events -= sum(submission.size for submission in taken)
        return taken

    @staticmethod
    def _fail(batch: Sequence[Submission], error: Exception) -> None:
        for submission in batch:
            if not submission.done.cancelled():
                submission.done.set_exception(error)

    async def _flush(self, batch: Sequence[Submission], tick: bool) -> set[store.EventKey]:
        began = monotonic()
        watermark = self._latest = max(self._clock.now(), self._latest)  # the machine's clock may be set back
        by_key: dict[store.EventKey, Accepted] = {}  # in order of arrival; of a repeat the first
        for submission in batch:
            for accepted in submission.accepted:
                by_key.setdefault(store.key_of(accepted.event), accepted)
        letters = [letter for submission in batch for letter in submission.letters]
        raws = [raw for submission in batch for raw in submission.raws]
        async with self._pool.acquire() as connection, AsyncExitStack() as committed, connection.transaction():
            async with self._beginning:  # in the order of ids
                xid = await connection.fetchval(store.TAKE_TRANSACTION_ID) if tick else None
                fresh = await store.remember(connection, list(by_key))  # none of them without a transaction id
                received_at = self._latest = max(self._clock.now(), self._latest)
                called = self._people.naming([by_key[key] for key in by_key if key in fresh], received_at)
                await committed.enter_async_context(self._settling)
            decided = await edge.settle(connection, self._vault, self._people, called, received_at)
            owned = await deliveries.owned(connection, self._whose, raws, decided.known)
            await self._write(connection, decided, owned, received_at, watermark if tick else None)
            await dead_letters.keep(connection, letters, received_at)
            forgotten = self._ticks[: -TICKS_KEPT + 1] if tick else []
            if forgotten:
                await connection.execute(store.FORGET_TICKS, INGEST_EVENTS.name, list(range(PARTITIONS)), forgotten)
        self._bell.ring(INGEST_EVENTS.name)
        if xid is not None:  # committed: only now those forgotten drop out
            self._ticks = [*(tick for tick in self._ticks if tick not in forgotten), xid]
        metrics.INGEST_FLUSH_EVENTS.observe(len(by_key))
        metrics.INGEST_FLUSH_SECONDS.observe(monotonic() - began)
        return fresh

    async def _write(
        self,
        connection: Connection,
        decided: edge.Decided,
        owned: Sequence[deliveries.Owned],
        received_at: datetime,
        watermark: datetime | None,
    ) -> None:
        stamped = [_stamp(accepted, received_at) for accepted in decided.told]
        stale = await consents.note(connection, stamped)
        rows = [outbox.row(INGEST_EVENTS.name, event) for event in stamped if store.key_of(event) not in stale]
        if watermark is not None:
            body = encode(_tick(watermark))
            rows += [(INGEST_EVENTS.name, part, "", body) for part in range(PARTITIONS)]
        await outbox.write(connection, rows)
        personal = [
            ((a.event.shop_id, a.event.customer_id), (a.event.source, a.event.id), a.personal)
            for a in decided.known
            if a.personal
        ]
        opened = await self._vault.put(connection, personal, [owner for _, owner in owned if owner is not None])
        await deliveries.keep(connection, self._vault, owned, opened)


async def written(
    flusher: Flusher, accepted: Sequence[Accepted], letters: Sequence[DeadLetter] = (), raws: Sequence[Raw] = ()
) -> set[store.EventKey]:
    """For a request: returns when all is durable, with the keys that were new; a 503 when that cannot be."""
    try:
        return await flusher.submit(accepted, letters, raws)
    except Full:
        raise unavailable("too many events are waiting to be written") from None
    except Away as away:
        raise unavailable(str(away)) from away


def _stamp(accepted: Accepted, received_at: datetime) -> Event[Data]:
    """Live events are received now; history was received when it happened."""
    event = accepted.event
    if event.historic:
        return event
    occurred_at = event.occurred_at if accepted.timed else received_at
    return structs.replace(event, received_at=received_at, occurred_at=occurred_at)


def _tick(watermark: datetime) -> Event[Data]:
    return Event(
        specversion="1.0",
        id=derived_id(EDGE, watermark.isoformat()),
        source=EDGE,
        type=ingest.Tick.TYPE,
        shop_id="*",
        customer_id="*",
        occurred_at=watermark,
        received_at=watermark,
        data=ingest.Tick(watermark),
    )
