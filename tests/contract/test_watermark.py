"""The watermark: what a tick says is behind us is behind us, whichever ingest process is slow and in whatever way."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from time import monotonic

import asyncpg
import pytest

from common.bus.bell import Bell
from common.bus.port import Message
from common.bus.postgres import PostgresBus
from common.contracts.envelope import Data, Decoder, Event
from common.contracts.ingest import Tick, Visit
from common.contracts.topics import INGEST_EVENTS
from common.db.engine import open_pool
from common.db.migrate import migrate
from common.ids import PARTITIONS
from ingest import store
from ingest.domain.accept import Accepted
from ingest.flusher import Flusher
from ingest.vault import Vault
from tests.contract.bus_backends import MemoryStore, step
from tests.contract.schemas import settings_for
from tests.contract.waiting import until
from tests.ingest.flushing import flusher_of

CUSTOMERS = 30
ROUNDS = 3
TICK_MS = 10
HOLD = "INSERT INTO seen (shop_id, source, id) VALUES ('shop', 'test', $1)"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
NEWEST = "SELECT coalesce(max(id), 0) FROM outbox"
TICKS = "SELECT count(DISTINCT xid) FROM outbox WHERE key = '' AND id > $1"


class Edge:
    """Two ingest processes on one database, and a reader of what they write."""

    def __init__(self, pools: Sequence[asyncpg.Pool], flushers: Sequence[Flusher], readers: asyncpg.Pool) -> None:
        self.pools, self.flushers, self.readers = pools, flushers, readers
        self.store = MemoryStore()
        self.bus = PostgresBus(readers, Bell())
        self._number = 0

    def event(self) -> Accepted:
        """One more."""
        self._number += 1
        now = datetime.now(UTC)
        event: Event[Data] = Event(
            specversion="1.0",
            id=f"e{self._number}",
            source="test",
            type=Visit.TYPE,
            shop_id="shop",
            customer_id=f"c{self._number % CUSTOMERS}",
            occurred_at=now,
            received_at=now,
            data=Visit(),
        )
        return Accepted(event, None)

    async def ticks(self, more: int) -> None:
        """Until so many more ticks are committed."""
        newest = await self.readers.fetchval(NEWEST)

        async def ticked() -> object:
            return await self.readers.fetchval(TICKS, newest) >= more

        await until(ticked, f"{more} ticks")

    async def waits(self) -> None:
        """Until somebody waits for a lock."""

        async def blocked() -> bool:
            return bool(await self.readers.fetchval(WAITING))

        await until(blocked, "a flush waits for the transaction that is held open")


@pytest.fixture
async def edge(fresh_database: str) -> AsyncIterator[Edge]:
    settings = settings_for(fresh_database, pool_max_connections=2, tick_ms=TICK_MS)
    await migrate(settings, ("ingest",))
    async with AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(open_pool(settings, "ingest")) for _ in range(2)]
        readers = await stack.enter_async_context(open_pool(settings_for(fresh_database), "ingest"))
        flushers = [flusher_of(pool, Vault(b"k" * 32, index_key=b"i" * 32), settings) for pool in pools]
        yield Edge(pools, flushers, readers)


@asynccontextmanager
async def running(*loops: Callable[[], Awaitable[object]]) -> AsyncIterator[asyncio.TaskGroup]:
    """The loops, until the context ends."""

    async def forever(loop: Callable[[], Awaitable[object]]) -> None:
        await loop()

    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(forever(loop)) for loop in loops]
        yield tasks
        for task in started:
            task.cancel()


async def due_for_a_tick(flusher: Flusher) -> None:
    """Until its next flush will tick too."""

    async def due() -> bool:
        return monotonic() > flusher._ticked_at + TICK_MS / 1000

    await until(due, "a tick is due")


def prove(messages: Sequence[Message]) -> tuple[int, int]:
    """Whatever comes after a tick in its partition was received at or after it; gives the numbers of events, ticks."""
    decoder = Decoder(INGEST_EVENTS.events)
    watermarks: dict[int, datetime] = {}
    events = ticks = 0
    for message in messages:
        event = decoder.decode(message.body)
        assert isinstance(event, Event)
        if isinstance(event.data, Tick):
            watermarks[message.part] = max(watermarks.get(message.part, event.data.watermark), event.data.watermark)
            ticks += 1
        else:
            assert event.received_at >= watermarks.get(message.part, event.received_at)
            events += 1
    return events, ticks


async def read_all(edge: Edge) -> list[Message]:
    async with edge.bus.subscribe("readers", (INGEST_EVENTS.name,), edge.store.load) as reader:

        async def complete() -> object:
            await step(edge.store, reader)
            return len(await edge.store.applied()) >= await edge.readers.fetchval("SELECT count(*) FROM outbox")

        await until(complete, "all is read")
    return await edge.store.applied()


async def test_a_flush_that_is_slow_after_its_stamp(edge: Edge) -> None:
    """The one process has stamped its events and waits for a lock, while the other ticks and takes events."""
    slow, other = edge.flushers
    async with running(slow.run, other.run) as tasks:
        for _ in range(ROUNDS):
            held = edge.event()
            async with edge.pools[1].acquire() as connection:
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute(HOLD, held.event.id)
                await due_for_a_tick(slow)
                late = tasks.create_task(slow.submit([held, edge.event()], []))
                await edge.waits()
                await other.submit([edge.event() for _ in range(CUSTOMERS)], [])
                await edge.ticks(2)
                await transaction.rollback()
            assert len(await late) == 2
            await slow.submit([edge.event() for _ in range(CUSTOMERS)], [])
    events, ticks = prove(await read_all(edge))
    assert events == ROUNDS * (2 * CUSTOMERS + 2)
    assert ticks >= ROUNDS * 2 * PARTITIONS


async def test_a_flush_that_is_slow_before_it_begins(edge: Edge) -> None:
    """The one process has events in hand and no connection, while the other ticks."""
    slow, other = edge.flushers
    async with running(slow.run, other.run) as tasks:
        for _ in range(ROUNDS):
            async with edge.pools[0].acquire(), edge.pools[0].acquire():
                late = tasks.create_task(slow.submit([edge.event() for _ in range(CUSTOMERS)], []))
                await edge.ticks(2)
            await late
    events, _ = prove(await read_all(edge))
    assert events == ROUNDS * CUSTOMERS


async def test_any_traffic_beside_transactions_that_stay_open(edge: Edge) -> None:
    dice = random.Random(3)
    left = 3

    async def send(flusher: Flusher) -> None:
        nonlocal left
        for _ in range(40):
            await flusher.submit([edge.event() for _ in range(dice.randint(1, 10))], [])
        left -= 1

    async def hold() -> None:
        """A transaction with an id, over a tick or two."""
        nonlocal left
        for _ in range(6):
            async with edge.readers.acquire() as connection, connection.transaction():
                await connection.execute(store.TAKE_TRANSACTION_ID)
                await edge.ticks(dice.randint(1, 2))
        left -= 1

    async def read_meanwhile() -> None:
        async with edge.bus.subscribe("readers", (INGEST_EVENTS.name,), edge.store.load) as reader:

            async def finished() -> bool:
                await step(edge.store, reader, timeout_s=0.01)
                return left == 0

            await until(finished, "all is sent")

    async with running(*(flusher.run for flusher in edge.flushers)), asyncio.TaskGroup() as tasks:
        for flusher in edge.flushers:
            tasks.create_task(send(flusher))
        tasks.create_task(hold())
        tasks.create_task(read_meanwhile())
    events, ticks = prove(await read_all(edge))
    assert events >= 80
    assert ticks > 6 * PARTITIONS
