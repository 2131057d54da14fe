"""Group commit: events together, once, in order; watermarks; and what fails when something does."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from common.bus.bell import Bell
from common.bus.dead_letters import DeadLetter
from common.clock import Clock, RealClock
from common.contracts.envelope import Event, Rejection
from common.contracts.ingest import Visit
from common.db.engine import Connection
from common.ids import PARTITIONS
from common.settings import Settings
from ingest.domain.accept import Accepted, Personal
from ingest.flusher import EDGE, Flusher
from ingest.vault import Vault
from tests.contract.waiting import until
from tests.ingest.conftest import MASTER_KEY, TICKS, Ingest, Keys, open_ingest, rows_of, settings_for, visit, watermarks

HOLD = "LOCK TABLE ingest.seen IN ACCESS EXCLUSIVE MODE"  # whoever holds it, no flush goes on
BLOCKED = """
SELECT count(*) FROM pg_locks
WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
LONG_S = 30.0
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class HandClock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


def accepted(id_: str, customer_id: str = "ann", personal: Personal | None = None) -> Accepted:
    """A visit as accept() hands it on, even one that it would never take."""
    event = Event(
        specversion="1.0",
        id=id_,
        source="api",
        type=Visit.TYPE,
        shop_id="shop",
        customer_id=customer_id,
        occurred_at=NOW,
        received_at=NOW,
        data=Visit(),
    )
    return Accepted(event, personal)


@asynccontextmanager
async def flushing(pool: asyncpg.Pool, settings: Settings, clock: Clock | None = None) -> AsyncIterator[Flusher]:
    """A flusher at work."""
    flusher = Flusher(pool, Vault(MASTER_KEY), clock or RealClock(), settings, Bell())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(flusher.run())
        yield flusher
        running.cancel()


async def until_blocked(connection: Connection, flushes: int = 1) -> None:
    """Until so many flushes wait for what the connection holds."""

    async def so_many_wait() -> bool:
        return int(await connection.fetchval(BLOCKED)) == flushes

    await until(so_many_wait, f"{flushes} flushes that wait for the lock")


async def until_waiting(flusher: Flusher, events: int) -> None:
    async def so_many_wait() -> bool:
        return flusher._waiting_events == events

    await until(so_many_wait, f"{events} events that wait")


async def ids(pool: asyncpg.Pool) -> list[str]:
    return [row.event.id for row in await rows_of(pool)]


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


async def test_what_is_full_says_so(fresh_database: str, keys: Keys, admin: asyncpg.Connection) -> None:
    small = settings_for(fresh_database, queue_max_events=10)
    async with open_ingest(small) as (pool, client, flusher), asyncio.TaskGroup() as tasks:

        async def post(name: str, size: int) -> Any:
            batch = [visit(f"{name}{number}") for number in range(size)]
            return await client.post("/v1/events", json=batch, headers=keys["sender"])

        await post("warm", 1)
        transaction = admin.transaction()
        await transaction.start()
        await admin.execute(HOLD)
        under_way = tasks.create_task(post("under-way", 1))
        await until_blocked(admin)
        waiting = tasks.create_task(post("waiting", 8))
        await until_waiting(flusher, 8)
        refused = await post("refused", 3)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["detail"] == "too many events are waiting to be written"
        fits = tasks.create_task(post("fits", 2))
        await until_waiting(flusher, 10)
        await transaction.rollback()
        assert {(await sent).status_code for sent in (under_way, waiting, fits)} == {202}
        # More than the whole queue holds goes through when nothing else waits: it could never be sent otherwise.
        assert (await post("large", 25)).json()["accepted"] == 25
        assert (await post("refused", 3)).status_code == 202
        assert flusher.ready() is None
        assert len(await ids(pool)) == 1 + 1 + 8 + 2 + 25 + 3


async def test_a_sender_that_goes_away_wedges_nobody(pool: asyncpg.Pool, settings: Settings) -> None:
    async with pool.acquire() as holder, flushing(pool, settings) as flusher, asyncio.TaskGroup() as tasks:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(HOLD)
        under_way = tasks.create_task(flusher.submit([accepted("left-while-written")], []))
        await until_blocked(holder)
        waiting = tasks.create_task(flusher.submit([accepted("left-while-waiting")], []))
        stays = tasks.create_task(flusher.submit([accepted("stays")], []))
        await until_waiting(flusher, 2)
        under_way.cancel()
        waiting.cancel()
        await transaction.rollback()
        assert await stays == {("shop", "api", "left-while-waiting"), ("shop", "api", "stays")}
        assert await flusher.submit([accepted("later")], []) == {("shop", "api", "later")}
    # Who left is told nothing, and finds it known when it comes again.
    assert await ids(pool) == ["left-while-written", "left-while-waiting", "stays", "later"]
    assert flusher.ready() is None


async def test_an_event_the_database_refuses_costs_nobody_else(pool: asyncpg.Pool, settings: Settings) -> None:
    """Nothing that accept() takes is like that; should it ever be, only its own request fails."""
    poison: Sequence[tuple[Accepted | None, DeadLetter | None]] = [
        (accepted("\x00"), None),
        (accepted("e", customer_id="\x00"), None),
        (accepted("\ud800"), None),
        (accepted("p", customer_id="\x00", personal=Personal(phone="1")), None),
        (None, DeadLetter(EDGE, "shop/", b"", Rejection("\x00", ""))),
    ]
    with capture_logs() as logged:
        async with pool.acquire() as holder, flushing(pool, settings) as flusher, asyncio.TaskGroup() as tasks:
            transaction = holder.transaction()
            await transaction.start()
            await holder.execute(HOLD)
            tasks.create_task(flusher.submit([accepted("first")], []))
            await until_blocked(holder)
            good, bad = [], []
            for number, (event, letter) in enumerate(poison):
                good.append(tasks.create_task(flusher.submit([accepted(f"g{number}")], [])))
                events, letters = [event] if event else [], [letter] if letter else []
                bad.append(tasks.create_task(failure(flusher, events, letters)))
            await until_waiting(flusher, 10)
            await transaction.rollback()
            for number, task in enumerate(good):
                assert await task == {("shop", "api", f"g{number}")}
            assert [type(await task).__name__ for task in bad] == [
                "CharacterNotInRepertoireError",
                "CharacterNotInRepertoireError",
                "DataError",
                "CharacterNotInRepertoireError",
                "CharacterNotInRepertoireError",
            ]
            assert await flusher.submit([accepted("later")], []) == {("shop", "api", "later")}
            assert flusher.ready() is None
            assert [entry["event"] for entry in logged] == ["flush failed"] * 5
    assert await ids(pool) == ["first", "g0", "g1", "g2", "g3", "g4", "later"]
    assert await pool.fetchval("SELECT count(*) FROM vault_keys") == 0


async def failure(flusher: Flusher, events: Sequence[Accepted], letters: Sequence[DeadLetter]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which it is, is what the test compares
        await flusher.submit(events, letters)
    return caught.value


async def test_at_rest_and_under_load_watermarks_are_told_so_often(pool: asyncpg.Pool, fresh_database: str) -> None:
    settings = settings_for(fresh_database, tick_ms=50, tick_idle_ms=150)
    loop = asyncio.get_running_loop()
    async with flushing(pool, settings) as flusher:

        async def ticks_in(pause_s: float, wanted: int, load: bool) -> None:
            """Never more than one for each pause that has passed."""
            began, before = loop.time(), await count()
            while (found := await count() - before) < wanted:
                assert found <= (loop.time() - began) / pause_s + 1
                assert loop.time() - began < LONG_S
                if load:
                    await flusher.submit([accepted(f"{loop.time()}")], [])

        async def count() -> int:
            return len({row.xid for row in await rows_of(pool, TICKS)})

        await ticks_in(0.150, 4, load=False)
        await ticks_in(0.050, 10, load=True)
    ticks = await rows_of(pool, TICKS)
    rows = await rows_of(pool)
    assert len({row.xid for row in rows}) > len({row.xid for row in ticks}) - 10
    for part in range(PARTITIONS):
        told = watermarks(ticks, part)
        assert told == watermarks(ticks)
        assert told == sorted(set(told))
        assert told[-1] <= RealClock().now()
    for tick in ticks:
        late = [row for row in rows if row.xid > tick.xid and row.event.received_at < tick.event.received_at]
        assert late == []


async def test_old_watermarks_do_not_pile_up(
    pool: asyncpg.Pool, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.flusher.TICKS_KEPT", 3)
    settings, clock = settings_for(fresh_database, tick_ms=10, tick_idle_ms=10), HandClock()
    async with flushing(pool, settings, clock):
        for number in range(8):
            clock.at = NOW + timedelta(minutes=number)
            newest = clock.at

            async def is_told(newest: datetime = newest) -> bool:
                return newest in watermarks(await rows_of(pool, TICKS))

            await until(is_told, "the newest watermark")
            assert len(await rows_of(pool, TICKS)) <= 3 * PARTITIONS
    for part in range(PARTITIONS):
        assert watermarks(await rows_of(pool, TICKS), part)[-1] == NOW + timedelta(minutes=7)


async def test_time_never_runs_backwards_though_the_clock_may(pool: asyncpg.Pool, fresh_database: str) -> None:
    settings, clock = settings_for(fresh_database, tick_ms=10, tick_idle_ms=10), HandClock()
    async with flushing(pool, settings, clock) as flusher:

        async def after(step: timedelta, name: str) -> None:
            """Sets the clock, sends an event, and waits until a watermark stands behind it."""
            clock.at += step
            await flusher.submit([accepted(name)], [])
            seen = len(await rows_of(pool, TICKS))

            async def told() -> bool:
                return len(await rows_of(pool, TICKS)) >= seen + 2 * PARTITIONS

            await until(told, "two more watermarks")

        await after(timedelta(0), "first")
        await after(timedelta(minutes=5), "on")
        await after(timedelta(minutes=-3), "back")
        await after(timedelta(minutes=1), "on-again")
        await after(timedelta(minutes=7), "beyond")
    times = {row.event.id: row.event.received_at for row in await rows_of(pool)}
    peak = NOW + timedelta(minutes=5)
    assert times == {"first": NOW, "on": peak, "back": peak, "on-again": peak, "beyond": NOW + timedelta(minutes=10)}
    told = watermarks(await rows_of(pool, TICKS))
    assert told == sorted(told)
    assert set(told) == {NOW, peak, NOW + timedelta(minutes=10)}


async def test_it_stops_at_once_whatever_it_is_doing(pool: asyncpg.Pool, settings: Settings) -> None:
    """A cancellation that comes together with an arrival is not lost."""
    for turns in range(12):
        flusher = Flusher(pool, Vault(MASTER_KEY), RealClock(), settings, Bell())
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(flusher.run())
            await flusher.submit([accepted(f"warm{turns}")], [])
            sender = tasks.create_task(flusher.submit([accepted(f"e{turns}")], []))
            for _ in range(turns):
                await asyncio.sleep(0)  # waits: for one turn of the loop, to cancel in every one of them
            running.cancel()
            async with asyncio.timeout(LONG_S):
                await asyncio.wait([running])
            sender.cancel()
