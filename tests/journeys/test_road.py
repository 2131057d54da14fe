"""Journeys on the road: what stands in the database is what its bare decide says, and timers outlive the process."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import asyncpg
import msgspec

from common.bus.bell import Bell, wait
from common.clock import FrozenClock
from common.contracts.envelope import Data, Decoder, Event, encode
from common.contracts.ingest import OrderCancelled, OrderPaid, OrderPlaced, ShipmentDispatched, Tick
from common.contracts.journeys import JourneyEntered, JourneyLeft, MessageRequested
from common.contracts.topics import INGEST_EVENTS, REQUESTS
from common.decision import Aggregate, Stored
from common.ids import PARTITIONS, partition_of
from common.money import Money
from common.pipeline import Road
from common.settings import Settings
from common.shops import Shop
from journeys.app import service
from journeys.domain.enrollment import State
from journeys.presets import load
from tests.contract.memory_bus import MemoryBus
from tests.laws.streams import CURRENCY, SHOP, START, event

SERVICE = service(load({SHOP: Shop(SHOP, "Asia/Shanghai", CURRENCY, "zh-CN")}))
PRICE = Money(100, CURRENCY)
PATIENCE_S = 30  # until a test says that what it waits for does not come
LOOK_AGAIN_S = 0.05  # for what is decided without a fact
AN_INSTANT = timedelta(microseconds=1)


class Stage:
    """A bus in memory before a real database; every `play` is a new process on both."""

    def __init__(self, pool: asyncpg.Pool, settings: Settings) -> None:
        self._pool, self._settings, self._bus = pool, settings, MemoryBus()
        self._published = 0

    def publish(self, one: Event[Data]) -> None:
        part = partition_of(one.shop_id, one.customer_id)
        self._bus.publish(INGEST_EVENTS.name, part, f"{one.shop_id}/{one.customer_id}", encode(one))
        self._published += 1

    def tick(self, watermark: datetime) -> None:
        """All partitions are told that everything before the watermark stands before this."""
        for part in range(PARTITIONS):
            told = event(0, "-", Tick(watermark), watermark, shop_id="-")
            self._bus.publish(INGEST_EVENTS.name, part, "", encode(told))
            self._published += 1

    async def play(self, facts: int) -> list[Event[Data]]:
        """Runs the road until all is decided and so many facts have come of it in all; gives them."""
        bell = Bell()
        road = Road(SERVICE, self._pool, self._bus, FrozenClock(START), self._settings, bell)
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(PATIENCE_S):
            running = tasks.create_task(road.run())
            with bell.listen((REQUESTS.name,)) as rung:
                while await self._applied() < self._published or len(await self._facts()) < facts:
                    await wait(rung, LOOK_AGAIN_S)
            running.cancel()
        return await self._facts()

    async def _applied(self) -> int:
        """On the bus in memory a mark's xid is how many messages of the partition were read."""
        return int(await self._pool.fetchval("SELECT coalesce(sum(xid::text::bigint), 0) FROM marks"))

    async def _facts(self) -> list[Event[Data]]:
        decoder = Decoder(REQUESTS.events)
        rows = await self._pool.fetch("SELECT body FROM outbox WHERE topic = $1 ORDER BY xid, id", REQUESTS.name)
        decoded = [decoder.decode(row["body"]) for row in rows]
        return [one for one in decoded if isinstance(one, Event)]


def told(facts: Sequence[Event[Data]]) -> list[tuple[timedelta, str]]:
    return [(one.received_at - START, one.data.message_key) for one in facts if isinstance(one.data, MessageRequested)]


async def test_a_reminder_outlives_the_process_and_waits_for_the_news(pool: asyncpg.Pool, settings: Settings) -> None:
    stage = Stage(pool, settings)
    stage.publish(event(1, "c1", OrderPlaced("a", PRICE), START))
    assert len(await stage.play(facts=1)) == 1
    assert await pool.fetchval("SELECT wake_at FROM states") == START + timedelta(minutes=5)

    stage.tick(START + timedelta(minutes=5))  # there may be more news of this very instant
    assert told(await stage.play(facts=1)) == []
    stage.tick(START + timedelta(minutes=5) + AN_INSTANT)
    first = (timedelta(minutes=5), "payment_reminder:a:5m")
    assert told(await stage.play(facts=2)) == [first]

    stage.publish(event(2, "c1", OrderPaid("a", PRICE), START + timedelta(minutes=59)))
    stage.tick(START + timedelta(days=2))
    assert told(await stage.play(facts=4)) == [first]
    rows = await pool.fetch("SELECT journey, left_at, reason FROM enrollments ORDER BY journey")
    assert [tuple(row) for row in rows] == [
        ("gift_30d", None, None),
        ("payment_reminder", START + timedelta(minutes=59), "order.paid"),
    ]


def some_months(seed: int) -> Iterator[Event[Data]]:
    """Events of twenty customers' orders, disordered, repeated and some of them late."""
    dice = random.Random(seed)
    now = START
    for number in range(400):
        now += timedelta(minutes=dice.choice([0, 1, 5, 60, 1_440, 3_000]))
        order = f"o{dice.randrange(6)}"
        data: Data = dice.choice(
            [OrderPlaced(order, PRICE), OrderPaid(order, PRICE), OrderCancelled(order), ShipmentDispatched(order)]
        )
        yield event(number, f"c{dice.randrange(20)}", data, now, now - timedelta(minutes=dice.choice([0, 0, 30])))


async def test_the_database_holds_what_the_bare_decide_says(pool: asyncpg.Pool, settings: Settings) -> None:
    stream = list(some_months(seed=11))
    end = stream[-1].received_at + timedelta(days=10)
    bare: dict[str, Aggregate[State]] = {}
    for one in stream:
        name = one.customer_id
        bare.setdefault(name, Aggregate(SERVICE.name, SERVICE.decide, SHOP, name, None)).take(one)
    for customer in bare.values():
        customer.wake(end)
    expected = {fact.id: fact for customer in bare.values() for fact in customer.facts}
    assert len(told(list(expected.values()))) > 50

    stage = Stage(pool, settings)
    for number, one in enumerate(stream):
        if number % 50 == 0:
            stage.tick(one.received_at)
        stage.publish(one)
    stage.tick(end)
    facts = await stage.play(len(expected))

    assert len(facts) == len(expected)
    assert {fact.id: fact for fact in facts} == expected
    decoder = msgspec.json.Decoder(Stored[State])
    states = await pool.fetch("SELECT customer_id, body FROM states")
    assert {row["customer_id"]: decoder.decode(row["body"]) for row in states} == {
        name: customer.stored for name, customer in bare.items()
    }
    rows = await pool.fetch("SELECT customer_id, journey, enrollment, entered_at, left_at, reason FROM enrollments")
    assert sorted(tuple(row) for row in rows) == sorted(enrollments_after(list(expected.values())))


def enrollments_after(facts: Sequence[Event[Data]]) -> list[tuple[object, ...]]:
    left = {
        (one.customer_id, one.data.journey, one.data.enrollment): (one.received_at, one.data.reason)
        for one in facts
        if isinstance(one.data, JourneyLeft)
    }
    entered = [
        ((one.customer_id, one.data.journey, one.data.enrollment), one.received_at)
        for one in facts
        if isinstance(one.data, JourneyEntered)
    ]
    return [(*key, at, *left.get(key, (None, None))) for key, at in entered]
