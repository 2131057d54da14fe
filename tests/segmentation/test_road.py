"""Segmentation on the road: what stands in the database is what its bare decide says, and on time."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from common.bus.bell import Bell, wait
from common.clock import FrozenClock
from common.contracts.envelope import Data, Decoder, Event, encode
from common.contracts.ingest import OrderCancelled, OrderPaid, OrderPlaced, Tick, Visit
from common.contracts.segmentation import LifecycleChanged
from common.contracts.topics import INGEST_EVENTS, MEMBERSHIPS
from common.decision import Aggregate, Stored
from common.ids import PARTITIONS, partition_of
from common.money import Money
from common.pipeline import Road
from common.settings import Settings
from segmentation.app import service
from segmentation.domain.models.lifecycle import Thresholds
from segmentation.domain.profile.state import Profile
from segmentation.domain.rules.grid import segment_id
from tests.books import book
from tests.contract.memory_bus import MemoryBus
from tests.laws.streams import CURRENCY, SHOP, START, event

THRESHOLDS = Thresholds(
    currency=CURRENCY,
    repeat_from=2,
    loyal_from=3,
    stimulate_from=timedelta(days=15),
    winback_from=timedelta(days=60),
    lost_from=timedelta(days=180),
)
SERVICE = service({SHOP: book(SHOP, THRESHOLDS)})
PATIENCE_S = 30  # until a test says that what it waits for does not come
LOOK_AGAIN_S = 0.05  # for what is decided without a fact
TICK = timedelta(microseconds=1)


class Running:
    """The road between a bus in memory and a real database, while a test goes on."""

    def __init__(self, pool: asyncpg.Pool, settings: Settings) -> None:
        self.pool, self.bus, self._bell = pool, MemoryBus(), Bell()
        self._published = 0
        self.road = Road(SERVICE, pool, self.bus, FrozenClock(START), settings, self._bell)

    def publish(self, one: Event[Data]) -> None:
        part = partition_of(one.shop_id, one.customer_id)
        self.bus.publish(INGEST_EVENTS.name, part, f"{one.shop_id}/{one.customer_id}", encode(one))
        self._published += 1

    def tick(self, watermark: datetime) -> None:
        """All partitions are told that everything before the watermark stands before this."""
        for part in range(PARTITIONS):
            told = event(0, "-", Tick(watermark), watermark, shop_id="-")
            self.bus.publish(INGEST_EVENTS.name, part, "", encode(told))
            self._published += 1

    async def until_told(self, facts: int) -> None:
        """Until everything published is decided and so many facts in all have come of it and of alarms."""
        async with asyncio.timeout(PATIENCE_S):
            with self._bell.listen((MEMBERSHIPS.name,)) as rung:
                while await self._applied() < self._published or len(await self.facts()) < facts:
                    await wait(rung, LOOK_AGAIN_S)

    async def _applied(self) -> int:
        """On the bus in memory a mark's xid is how many messages of the partition were read."""
        return int(await self.pool.fetchval("SELECT coalesce(sum(xid::text::bigint), 0) FROM marks"))

    async def facts(self) -> list[Event[Data]]:
        decoder = Decoder(MEMBERSHIPS.events)
        rows = await self.pool.fetch("SELECT body FROM outbox WHERE topic = $1 ORDER BY xid, id", MEMBERSHIPS.name)
        decoded = [decoder.decode(row["body"]) for row in rows]
        return [one for one in decoded if isinstance(one, Event)]


async def test_a_customer_changes_on_time_without_any_event(pool: asyncpg.Pool, settings: Settings) -> None:
    running = Running(pool, settings)
    running.publish(event(1, "c1", OrderPaid("a", Money(100, CURRENCY)), START))

    async def membership() -> tuple[object, ...]:
        row = await pool.fetchrow("SELECT segment, since, reason FROM memberships WHERE customer_id = 'c1'")
        assert row is not None
        return tuple(row)

    async with asyncio.TaskGroup() as tasks:
        road = tasks.create_task(running.road.run())
        await running.until_told(facts=1)
        assert await membership() == ("new-active", START, "purchase a")

        # At its very instant it is too early: there may be more news of that instant.
        running.tick(START + timedelta(days=15))
        await running.until_told(facts=1)
        running.publish(event(2, "c2", Visit(), START + timedelta(days=15)))  # a turn of the road later
        await running.until_told(facts=2)
        assert await membership() == ("new-active", START, "purchase a")

        running.tick(START + timedelta(days=15) + TICK)
        await running.until_told(facts=3)
        since = datetime(2017, 4, 4, 12, tzinfo=UTC)
        assert await membership() == ("new-stimulate", since, "15 days since the last purchase")

        # However late the next tick, every change is told, with the time it was due at.
        running.tick(START + timedelta(days=1_000))
        await running.until_told(facts=5)
        since = datetime(2017, 9, 16, 12, tzinfo=UTC)
        assert await membership() == ("new-lost", since, "180 days since the last purchase")
        road.cancel()
    facts = [one for one in await running.facts() if one.customer_id == "c1"]
    assert [one.received_at for one in facts] == [
        START,
        datetime(2017, 4, 4, 12, tzinfo=UTC),
        datetime(2017, 5, 19, 12, tzinfo=UTC),
        datetime(2017, 9, 16, 12, tzinfo=UTC),
    ]


def a_year(seed: int) -> Iterator[Event[Data]]:
    """Events of thirty customers, some late."""
    dice = random.Random(seed)
    now = START
    for number in range(400):
        now += timedelta(hours=dice.randrange(48))
        name, order = f"c{dice.randrange(30)}", f"o{dice.randrange(5)}"
        data: Data = dice.choice(
            [
                OrderPlaced(order, Money(100, CURRENCY)),
                OrderPaid(order, Money(100, CURRENCY)),
                OrderPaid(order, Money(100, CURRENCY)),
                OrderCancelled(order),
                Visit(),
            ]
        )
        yield event(number, name, data, now, now - timedelta(days=dice.choice([0, 0, 20])))


async def test_the_database_holds_what_the_bare_decide_says(pool: asyncpg.Pool, settings: Settings) -> None:
    stream = list(a_year(seed=7))
    end = stream[-1].received_at + timedelta(days=40)
    bare: dict[str, Aggregate[Profile]] = {}
    for one in stream:
        name = one.customer_id
        bare.setdefault(name, Aggregate("segmentation", SERVICE.decide, SHOP, name, None)).take(one)
    for customer in bare.values():
        customer.wake(end)
    expected_facts = {fact.id: fact for customer in bare.values() for fact in customer.facts}

    running = Running(pool, settings)
    for number, one in enumerate(stream):
        if number % 50 == 0:
            running.tick(one.received_at)
        running.publish(one)
    running.tick(end)

    async with asyncio.TaskGroup() as tasks:
        road = tasks.create_task(running.road.run())
        await running.until_told(facts=len(expected_facts))
        road.cancel()

    facts = await running.facts()
    assert len(facts) == len(expected_facts)
    assert {fact.id: fact for fact in facts} == expected_facts
    states = await pool.fetch("SELECT customer_id, body, wake_at FROM states")
    decoder = msgspec.json.Decoder(Stored[Profile])
    assert {row["customer_id"]: decoder.decode(row["body"]) for row in states} == {
        name: customer.stored for name, customer in bare.items()
    }
    memberships = await pool.fetch("SELECT * FROM memberships")
    assert {row["customer_id"]: tuple(row) for row in memberships} == {
        name: membership_after(customer) for name, customer in bare.items()
    }


def membership_after(customer: Aggregate[Profile]) -> tuple[object, ...]:
    last = customer.facts[-1]
    assert isinstance(last.data, LifecycleChanged)
    segment = segment_id(last.data.lifecycle, last.data.activity)
    return SHOP, customer.customer_id, segment, last.received_at, last.data.reason
