"""A flusher at work without routes around it, and ways to see what it does and to hold it up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg

from common.bus.bell import Bell
from common.clock import Clock, RealClock
from common.contracts.envelope import Event
from common.contracts.ingest import Visit
from common.db.engine import Connection
from common.settings import Settings
from ingest.domain.accept import Accepted, Personal
from ingest.flusher import Flusher
from ingest.people import rules as identity_rules
from ingest.people.naming import Naming
from ingest.people.settling import People
from ingest.people.whose import Whose
from ingest.vault import Vault
from tests.contract.waiting import until
from tests.ingest.conftest import (
    MASTER_KEY,
    rows_of,
)

HOLD = "LOCK TABLE ingest.seen IN ACCESS EXCLUSIVE MODE"  # whoever holds it, no flush goes on
BLOCKED = """
SELECT count(*) FROM pg_locks
WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
RULES = identity_rules.load()


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


def flusher_of(pool: asyncpg.Pool, vault: Vault, settings: Settings, clock: Clock | None = None) -> Flusher:
    """One that knows people by the house's rules, and shops without a region."""
    naming = Naming(vault, RULES, {})
    return Flusher(pool, vault, clock or RealClock(), settings, Bell(), People(naming), Whose(naming))


@asynccontextmanager
async def flushing(pool: asyncpg.Pool, settings: Settings, clock: Clock | None = None) -> AsyncIterator[Flusher]:
    """A flusher at work."""
    vault = Vault(MASTER_KEY)
    async with pool.acquire() as connection:
        await vault.check(connection)
    flusher = flusher_of(pool, vault, settings, clock)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(flusher.run())
        yield flusher
        running.cancel()


async def until_blocked(connection: Connection, flushes: int = 1) -> None:
    """Until so many flushes wait for what the connection holds."""

    async def so_many_wait() -> bool:
        return int(await connection.fetchval(BLOCKED)) == flushes

    await until(so_many_wait, f"{flushes} flushes that wait for the lock")


async def until_behind_another(flusher: Flusher) -> None:
    """Until a flush waits for the one before it."""

    async def one_waits() -> bool:
        return bool(flusher._beginning._waiters)

    await until(one_waits, "a flush behind another")


async def until_waiting(flusher: Flusher, events: int) -> None:
    async def so_many_wait() -> bool:
        return flusher._waiting_events == events

    await until(so_many_wait, f"{events} events that wait")


async def ids(pool: asyncpg.Pool) -> list[str]:
    return [row.event.id for row in await rows_of(pool)]
