"""Loyalty on the road: the ledger in the database is what the bare decide says, whatever fails on the way."""

import asyncio
import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import asyncpg
import msgspec
import pytest

from common.bus.bell import Bell, wait
from common.bus.port import Mark
from common.clock import FrozenClock
from common.contracts.envelope import Data, Event, encode
from common.contracts.ingest import OrderCancelled, OrderCompleted, OrderRefunded, Tick, Visit
from common.contracts.loyalty import PointsMoved
from common.contracts.topics import ACCOUNTS, INGEST_EVENTS
from common.decision import Aggregate, Stored
from common.ids import PARTITIONS, partition_of
from common.money import Money
from common.pipeline import Road
from common.service import Saved
from common.settings import Settings
from loyalty import queries
from loyalty.domain.account import Account
from loyalty.store import project
from tests.contract.memory_bus import MemoryBus
from tests.laws.streams import CURRENCY, SHOP, START, event
from tests.loyalty.conftest import SERVICE, Tell

PATIENCE_S = 30  # until a test says that what it waits for does not come
LOOK_AGAIN_S = 0.05
NOTHING_READ = Mark(0, 0)  # on the bus in memory a mark counts the messages of a partition that were read


def two_years(seed: int) -> Iterator[Event[Data]]:
    """Events of twenty customers, some told late."""
    dice = random.Random(seed)
    now = START
    for number in range(500):
        now += timedelta(hours=dice.randrange(72))
        name, order = f"c{dice.randrange(20)}", f"o{dice.randrange(8)}"
        amount = Money(dice.choice([50, 9_999, 60_000, 250_000]), CURRENCY)
        data: Data = dice.choice(
            [
                OrderCompleted(order, amount),
                OrderCompleted(order, amount),
                OrderRefunded(order, f"r{dice.randrange(3)}", amount),
                OrderCancelled(order) if dice.random() < 0.3 else Visit(),
                Visit(),
            ]
        )
        yield event(number, name, data, now, now - timedelta(days=dice.choice([0, 0, 20])))


async def test_the_database_holds_what_the_bare_decide_says(pool: asyncpg.Pool, settings: Settings) -> None:
    stream = list(two_years(seed=11))
    end = stream[-1].received_at + timedelta(days=100)
    bare: dict[str, Aggregate[Account]] = {}
    for one in stream:
        name = one.customer_id
        if not SERVICE.is_heeded(one.type):
            continue
        bare.setdefault(name, Aggregate("loyalty", SERVICE.decide, SHOP, name, None)).take(one)
    for customer in bare.values():
        customer.wake(end)

    bus = MemoryBus()
    for number, one in enumerate(stream):
        if number % 50 == 0:
            tick(bus, one.received_at)
        bus.publish(INGEST_EVENTS.name, partition_of(SHOP, one.customer_id), f"{SHOP}/{one.customer_id}", encode(one))
    tick(bus, end)
    expected = {fact.id: encode(fact) for customer in bare.values() for fact in customer.facts}
    await run_until(pool, settings, bus, facts=len(expected))

    rows = await pool.fetch("SELECT body FROM outbox WHERE topic = $1", ACCOUNTS.name)
    assert sorted(row["body"] for row in rows) == sorted(expected.values())
    decoder = msgspec.json.Decoder(Stored[Account])
    states = await pool.fetch("SELECT customer_id, body FROM states")
    assert {row["customer_id"]: decoder.decode(row["body"]) for row in states} == {
        name: customer.stored for name, customer in bare.items()
    }
    accounts = await pool.fetch("SELECT customer_id, balance, tier, opened_at FROM accounts")
    assert {tuple(row) for row in accounts} == {
        (name, account.balance, account.tier, account.opened_at)
        for name, customer in bare.items()
        if (account := state(customer)).opened_at is not None
    }
    postings = await pool.fetch("SELECT customer_id, posting_id, kind, points, balance, order_id, at FROM postings")
    assert {tuple(row) for row in postings} == {
        (fact.customer_id, moved.posting_id, moved.TYPE, moved.points, moved.balance, moved.order_id, fact.occurred_at)
        for customer in bare.values()
        for fact in customer.facts
        if isinstance(moved := fact.data, PointsMoved)
    }
    async with pool.acquire() as connection:
        totals, differences = await queries.audit(connection, SHOP)
    assert totals.postings == len(postings)
    assert totals.points_issued - totals.points_reversed == totals.balances
    assert totals.balances == sum(state(customer).balance for customer in bare.values())
    assert differences == []


async def test_a_tier_falls_on_time_without_any_event(pool: asyncpg.Pool, settings: Settings, tell: Tell) -> None:
    """00:00 of 1 April 2018 in Shanghai, when the spend of March 2017 is over a year old."""
    review = datetime.fromisoformat("2018-03-31T16:00:00Z")
    await tell(event(1, "c1", OrderCompleted("o1", Money(60_000, CURRENCY)), START))
    bus = MemoryBus()
    tick(bus, review + timedelta(microseconds=1))
    await run_until(pool, settings, bus, facts=1)
    rows = await pool.fetch("SELECT tier, balance, updated_at FROM accounts")
    assert [tuple(row) for row in rows] == [("ordinary", 600, review)]
    assert await pool.fetchval("SELECT wake_at FROM states") is None


async def test_a_posting_twice_is_refused(pool: asyncpg.Pool, tell: Tell) -> None:
    bare = Aggregate("loyalty", SERVICE.decide, SHOP, "c1", None)
    once = event(1, "c1", OrderCompleted("o1", Money(700, CURRENCY)), START)
    bare.take(once)
    await tell(once)
    assert bare.stored is not None
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.UniqueViolationError):
            await project(connection, [Saved(SHOP, "c1", bare.stored, tuple(bare.facts))])


async def test_events_of_no_account_do_not_touch_the_rows(pool: asyncpg.Pool, tell: Tell) -> None:
    await tell(event(1, "c1", OrderCompleted("o1", Money(700, CURRENCY)), START))
    await tell(event(2, "c1", Visit(), START + timedelta(days=1)), event(3, "c2", Visit(), START))
    rows = await pool.fetch("SELECT customer_id, updated_at FROM accounts")
    assert [tuple(row) for row in rows] == [("c1", START)]


def state(customer: Aggregate[Account]) -> Account:
    assert not customer.poison
    assert customer.stored is not None
    return customer.stored.state


def tick(bus: MemoryBus, watermark: datetime) -> None:
    """All partitions are told that everything before the watermark stands before this."""
    for part in range(PARTITIONS):
        bus.publish(INGEST_EVENTS.name, part, "", encode(event(0, "-", Tick(watermark), watermark, shop_id="-")))


async def run_until(pool: asyncpg.Pool, settings: Settings, bus: MemoryBus, *, facts: int) -> None:
    """Runs the road until all that was published is decided and so many facts have come of it."""
    published = sum(len(bus.after((INGEST_EVENTS.name, part), NOTHING_READ)) for part in range(PARTITIONS))
    bell = Bell()
    road = Road(SERVICE, pool, bus, FrozenClock(START), settings, bell)
    done = """
        SELECT (SELECT sum(xid::text::bigint) FROM marks) >= $1 AND (SELECT count(*) FROM outbox WHERE topic = $2) >= $3
    """
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(PATIENCE_S):
        running = tasks.create_task(road.run())
        with bell.listen((ACCOUNTS.name,)) as rung:
            while not await pool.fetchval(done, published, ACCOUNTS.name, facts):
                await wait(rung, LOOK_AGAIN_S)
        running.cancel()
