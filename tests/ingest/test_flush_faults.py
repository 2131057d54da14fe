"""What fails when something does: the request at fault, or nobody; and it stops when it is told to."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from common.bus.dead_letters import DeadLetter
from common.contracts.envelope import Rejection
from common.db.engine import Connection
from common.retry import Retry
from common.settings import Settings
from ingest import edge, store
from ingest.domain.accept import Accepted, Personal
from ingest.flusher import EDGE, LANES, Away, Flusher
from ingest.people.settling import People
from ingest.vault import Vault
from tests.ingest.conftest import (
    MASTER_KEY,
    Keys,
    open_ingest,
    settings_for,
    visit,
)
from tests.ingest.flushing import (
    HOLD,
    accepted,
    flusher_of,
    flushing,
    ids,
    until_behind_another,
    until_blocked,
    until_waiting,
)

LONG_S = 30.0


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
        under_way = [tasks.create_task(post("under-way0", 1))]
        await until_blocked(admin)
        under_way.append(tasks.create_task(post("under-way1", 1)))
        await until_behind_another(flusher)
        assert len(under_way) == LANES
        waiting = tasks.create_task(post("waiting", 8))
        await until_waiting(flusher, 8)
        refused = await post("refused", 3)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["detail"] == "too many events are waiting to be written"
        fits = tasks.create_task(post("fits", 2))
        await until_waiting(flusher, 10)
        await transaction.rollback()
        assert {(await sent).status_code for sent in (*under_way, waiting, fits)} == {202}
        # More than the whole queue holds goes through when nothing else waits: it could never be sent otherwise.
        assert (await post("large", 25)).json()["accepted"] == 25
        assert (await post("refused", 3)).status_code == 202
        assert flusher.ready() is None
        assert len(await ids(pool)) == 1 + LANES + 8 + 2 + 25 + 3


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


async def test_who_is_overtaken_each_time_is_told_to_come_again(
    pool: asyncpg.Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And costs nobody else: after some tries together, each request has some of its own."""
    settle, tries = edge.settle, list[list[str]]()

    async def overtaken(
        connection: Connection, vault: Vault, people: People, called: Any, at: datetime
    ) -> edge.Decided:
        if "unlucky" in (names := [each.event.id for each, _ in called]):
            tries.append(names)
            raise store.Overtaken
        return await settle(connection, vault, people, called, at)

    monkeypatch.setattr(edge, "settle", overtaken)
    monkeypatch.setattr("ingest.flusher.IN_TURN", Retry(first_ms=1, factor=1.0, max_ms=1, max_tries=3))
    async with pool.acquire() as holder, flushing(pool, settings) as flusher, asyncio.TaskGroup() as tasks:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(HOLD)
        first = tasks.create_task(flusher.submit([accepted("first")], []))
        await until_blocked(holder)
        unlucky = tasks.create_task(failure(flusher, [accepted("unlucky")], []))
        lucky = tasks.create_task(flusher.submit([accepted("lucky")], []))
        await until_waiting(flusher, 2)
        await transaction.rollback()
        assert (await first, await lucky) == ({("shop", "api", "first")}, {("shop", "api", "lucky")})
        assert isinstance(await unlucky, Away)
        assert flusher.ready() is None
    assert tries == [["unlucky", "lucky"]] * 3 + [["unlucky"]] * 3
    assert await ids(pool) == ["first", "lucky"]


async def failure(flusher: Flusher, events: Sequence[Accepted], letters: Sequence[DeadLetter]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which it is, is what the test compares
        await flusher.submit(events, letters)
    return caught.value


async def test_it_stops_at_once_whatever_it_is_doing(pool: asyncpg.Pool, settings: Settings) -> None:
    """A cancellation that comes together with an arrival is not lost."""
    for turns in range(12):
        flusher = flusher_of(pool, Vault(MASTER_KEY, index_key=MASTER_KEY), settings)
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
