"""Group commit: events together, each once, in their order, however many bring them."""

import asyncio
import random
from typing import Any

import asyncpg

from common.settings import Settings
from tests.contract.waiting import until
from tests.ingest.conftest import (
    Ingest,
    Keys,
    open_ingest,
    rows_of,
    settings_for,
    visit,
)
from tests.ingest.flushing import HOLD, accepted, flushing, ids, until_blocked, until_waiting

WAITING_FOR_A_TRANSACTION = """
SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE NOT granted AND locktype = 'transactionid' AND datname = current_database())
"""


async def test_many_requests_share_a_transaction(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as (pool, client, _):

        async def post(number: int) -> int:
            answer = await client.post("/v1/events", json=visit(f"e{number}", f"c{number}"), headers=keys["sender"])
            return answer.status_code

        assert await post(0) == 202
        assert set(await asyncio.gather(*(post(number) for number in range(1, 65)))) == {202}
        rows = await rows_of(pool)
        assert len(rows) == 65
        # One may have begun before the others came; those gathered meanwhile went together.
        assert len({row.xid for row in rows[1:]}) <= 4


async def test_no_flush_is_larger_than_its_bound(pool: asyncpg.Pool, fresh_database: str) -> None:
    settings = settings_for(fresh_database, flush_max_events=10)
    async with pool.acquire() as holder, flushing(pool, settings) as flusher, asyncio.TaskGroup() as tasks:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(HOLD)
        first = tasks.create_task(flusher.submit([accepted("first")], []))
        await until_blocked(holder)
        for place, size in enumerate((4, 4, 4, 25, 1)):
            tasks.create_task(flusher.submit([accepted(f"{place}-{number}") for number in range(size)], []))
        await until_waiting(flusher, 38)
        await transaction.rollback()
        await first
    sizes: dict[int, int] = {}
    for row in await rows_of(pool):
        sizes[row.xid] = sizes.get(row.xid, 0) + 1
    # 4 + 4, then 4 (25 more would be too many), then 25 alone since it waits for no better time, then 1.
    assert list(sizes.values()) == [1, 8, 4, 25, 1]


async def test_the_same_events_from_three_senders_through_two_ingests(settings: Settings, keys: Keys) -> None:
    """In any order, in batches cut anywhere, about people they all name: each event once, nobody stuck."""
    events = [visit(f"e{n}", f"c{n % 40}", personal={"phone": f"+86139{n:08d}"}) for n in range(600)]

    async with open_ingest(settings) as one, open_ingest(settings) as two:

        async def send(sender: int) -> int:
            dice = random.Random(sender)
            mine = dice.sample(events, len(events))
            new = 0
            for start in range(0, len(mine), 40):
                client = dice.choice((one, two)).client
                answer = await client.post("/v1/events", json=mine[start : start + 40], headers=keys["sender"])
                assert answer.status_code == 202, answer.text
                counts = answer.json()
                assert counts["accepted"] + counts["duplicate"] == 40
                new += counts["accepted"]
            return new

        answered_new = sum(await asyncio.gather(*(send(sender) for sender in range(3))))
        rows = await rows_of(one.pool)
    assert answered_new == 600
    assert len(rows) == 600
    assert {row.event.id for row in rows} == {event["id"] for event in events}


async def test_two_at_once_block_nobody(settings: Settings, keys: Keys, admin: asyncpg.Connection) -> None:
    """Two ingests with batches in opposite order: of the same events, about the same new people, about known ones."""

    def about_all(name: str) -> list[dict[str, Any]]:
        return [visit(f"{name}{n}", f"c{n}", personal={"name": f"n{n}"}) for n in range(1_500)]

    async with open_ingest(settings) as one, open_ingest(settings) as two:

        async def send(ingest: Ingest, events: list[dict[str, Any]]) -> int:
            answer = await ingest.client.post("/v1/events", json=events, headers=keys["sender"])
            assert answer.status_code == 202, answer.text
            return int(answer.json()["accepted"])

        async def send_at_once(held: str, first: list[dict[str, Any]], second: list[dict[str, Any]]) -> int:
            async with asyncio.TaskGroup() as tasks, admin.transaction():
                await admin.execute(f"LOCK TABLE ingest.{held} IN ACCESS EXCLUSIVE MODE")
                both = [tasks.create_task(send(one, first)), tasks.create_task(send(two, second[::-1]))]
                await until_blocked(admin, 2)
            return sum(task.result() for task in both)

        assert await send_at_once("seen", about_all("a"), about_all("a")) == 1_500
        await admin.execute("DELETE FROM ingest.vault_keys")
        assert await send_at_once("vault_keys", about_all("b"), about_all("c")) == 3_000
        assert await send_at_once("vault", about_all("d"), about_all("e")) == 3_000
        assert len(set(await ids(one.pool))) == len(await ids(one.pool)) == 7_500


async def test_one_connections_events_keep_their_order(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as (pool, client, _):

        async def send(customer: int) -> None:
            for number in range(0, 30, 3):  # one, then two in a batch
                single = visit(f"{customer}-{number:02d}", f"c{customer}")
                pair = [visit(f"{customer}-{number + n:02d}", f"c{customer}") for n in (1, 2)]
                for body in (single, pair):
                    assert (await client.post("/v1/events", json=body, headers=keys["sender"])).status_code == 202

        await asyncio.gather(*(send(customer) for customer in range(8)))
        rows = await rows_of(pool)
    assert len(rows) == 240
    for customer in range(8):
        told = [row.event for row in rows if row.event.customer_id == f"c{customer}"]
        assert [event.id for event in told] == [f"{customer}-{number:02d}" for number in range(30)]
        times = [event.received_at for event in told]
        assert times == sorted(times)


async def test_a_repeat_in_the_same_flush_is_no_second_event(pool: asyncpg.Pool, settings: Settings) -> None:
    """Of two who brought the same event to one flush, one is told that it was new."""
    async with pool.acquire() as holder, flushing(pool, settings) as flusher, asyncio.TaskGroup() as tasks:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(HOLD)
        tasks.create_task(flusher.submit([accepted("first")], []))
        await until_blocked(holder)
        pair = [tasks.create_task(flusher.submit([accepted("x"), accepted(f"y{n}")], [])) for n in (1, 2)]
        await until_waiting(flusher, 4)
        await transaction.rollback()
    assert await ids(pool) == ["first", "x", "y1", "y2"]
    assert pair[0].result() is pair[1].result()  # who answers first takes the key out of the set


async def test_what_follows_a_repeat_is_never_read_before_it(pool: asyncpg.Pool, settings: Settings) -> None:
    """One flush has its transaction's id and waits; another brings one of its events later, and is done earlier."""
    async with (
        pool.acquire() as holder,
        flushing(pool, settings) as one,
        flushing(pool, settings) as two,
        asyncio.TaskGroup() as tasks,
    ):
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("INSERT INTO seen (shop_id, source, id) VALUES ('shop', 'api', 'b')")
        batch = tasks.create_task(one.submit([accepted(name) for name in ("a", "b", "placed", "z-paid")], []))

        async def waits_for_b() -> bool:
            return bool(await pool.fetchval(WAITING_FOR_A_TRANSACTION))  # in a transaction it would stay as it was

        await until(waits_for_b, "the flush that waits for b")
        await two.submit([accepted("placed")], [])
        await transaction.rollback()
    assert [row.event.id for row in await rows_of(pool)] == ["placed", "a", "b", "z-paid"]
    assert batch.result() == {("shop", "api", name) for name in ("a", "b", "z-paid")}
