"""The buses, and the road, each in schemas of its own."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from regulars.embedded_postgres import EmbeddedPostgres
from tests.contract.bus_backends import (
    Backend,
    KafkaBackend,
    MemoryBackend,
    PostgresBackend,
    open_kafka,
    open_postgres,
)
from tests.contract.mortal_postgres import MortalPostgres
from tests.contract.road_stage import Stage, open_stage

SHARE_OUT_EVERY_S = 0.05  # else a second of waiting at every change of members

SHARED = "buses_and_roads"


@pytest.fixture(scope="session")
def shared_database(postgres_server: EmbeddedPostgres) -> str:
    """One for all tests whose schemas have names of their own: to make one for each would take as long as the test."""

    async def make() -> None:
        admin = await asyncpg.connect(postgres_server.dsn())
        await admin.execute(f"CREATE DATABASE {SHARED}")
        await admin.close()

    asyncio.run(make())
    return postgres_server.dsn(database=SHARED)


@pytest.fixture
def quick_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members on PostgreSQL look at once whether others came or went."""
    monkeypatch.setattr("common.bus.postgres.SHARE_OUT_EVERY_S", SHARE_OUT_EVERY_S)


@pytest.fixture
def memory() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
async def postgres(shared_database: str, quick_shares: None) -> AsyncIterator[PostgresBackend]:
    async with open_postgres(shared_database) as backend:
        yield backend


@pytest.fixture
async def kafka(shared_database: str, kafka_bootstrap: str) -> AsyncIterator[KafkaBackend]:
    async with open_kafka(shared_database, kafka_bootstrap) as backend:
        yield backend


@pytest.fixture(params=["memory", "postgres", "kafka"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every bus."""
    found: Backend = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["postgres", "kafka"])
def outboxed(request: pytest.FixtureRequest) -> PostgresBackend:
    """The buses that are written in transactions."""
    found: PostgresBackend = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def stage(shared_database: str) -> AsyncIterator[Stage]:
    async with open_stage(shared_database) as stage:
        yield stage


@pytest.fixture
async def mortal_postgres() -> AsyncIterator[MortalPostgres]:
    server = await MortalPostgres.born()
    yield server
    await server.bury()
