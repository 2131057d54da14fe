"""Loyalty's own schema in a fresh database, its API, and a way to tell it events without a bus."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest

from common.batch import Batch, Codec
from common.bus.port import Mark, Message
from common.clock import FrozenClock
from common.contracts.envelope import Data, Event, encode
from common.contracts.topics import INGEST_EVENTS
from common.db import states
from common.db.engine import open_pool
from common.ids import partition_of
from common.settings import Settings
from common.shops import Shop
from common.web.app import create_app
from common.web.auth import KeyRing, create_key
from loyalty import presets
from loyalty.api import router
from loyalty.app import service
from tests.postgres_fixture import copied

SHOPS: Mapping[str, Shop] = {
    "shop": Shop("shop", "Asia/Shanghai", "CNY", "zh-CN"),
    "other": Shop("other", "America/Sao_Paulo", "BRL", "en", "olist"),
}
RULES = presets.load(SHOPS)
SERVICE = service(RULES)
NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)

Tell = Callable[..., Awaitable[None]]


fresh_database = copied("loyalty")


@pytest.fixture
def settings(fresh_database: str) -> Settings:
    """A migrated database; small batches, so that a few events make many of them."""
    without_role = re.sub("//[^@/]*@", "//", fresh_database)
    return Settings(database=without_role, admin_database=fresh_database, batch_max_messages=7, poll_ms=1_000)


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """Connections under loyalty's role."""
    async with open_pool(settings, "loyalty") as pool:
        yield pool


@pytest.fixture
def tell(pool: asyncpg.Pool) -> Tell:
    """Decides and saves the events as the road does, in one batch and one transaction."""

    async def told(*events: Event[Data]) -> None:
        messages = [
            Message(INGEST_EVENTS.name, partition_of(one.shop_id, one.customer_id), Mark(1, number), "", encode(one))
            for number, one in enumerate(events)
        ]
        batch = Batch(SERVICE, Codec(SERVICE), messages)
        async with pool.acquire() as connection, connection.transaction():
            bodies = await states.load(connection, list(batch.events))
            for key in batch.events:
                batch.decide(key, bodies.get(key))
            await states.save(connection, batch.state_rows())
            await SERVICE.project(connection, batch.saved)
        assert not batch.letters, batch.letters
        if batch.sent:
            await told(*batch.sent)

    return told


@pytest.fixture
async def client(pool: asyncpg.Pool, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    app = create_app("test", [router(pool, RULES, FrozenClock(NOW))], {}, settings.body_max_bytes)
    app.state.key_ring = KeyRing(pool)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


@pytest.fixture
async def keys(fresh_database: str, settings: Settings) -> Mapping[str, dict[str, str]]:
    """Headers of a caller: one that reads each shop, one that may only ingest, one of a shop we do not serve."""
    admin = await asyncpg.connect(fresh_database)
    try:
        made = {
            "shop": await create_key(admin, "shop", ["read"]),
            "other": await create_key(admin, "other", ["read"]),
            "ingest": await create_key(admin, "shop", ["ingest"]),
            "gone": await create_key(admin, "gone", ["read"]),
        }
    finally:
        await admin.close()
    return {name: {"Authorization": f"Bearer {key}"} for name, key in made.items()}
