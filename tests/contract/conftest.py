"""The buses, each before an empty database of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.bus_backends import (
    Backend,
    KafkaBackend,
    MemoryBackend,
    PostgresBackend,
    open_kafka,
    open_postgres,
)
from tests.contract.road_stage import Stage, open_stage

SHARE_OUT_EVERY_S = 0.05  # else a second of waiting at every change of members


@pytest.fixture
def quick_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members on PostgreSQL look at once whether others came or went."""
    monkeypatch.setattr("common.bus.postgres.SHARE_OUT_EVERY_S", SHARE_OUT_EVERY_S)


@pytest.fixture
def memory() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
async def postgres(fresh_database: str, quick_shares: None) -> AsyncIterator[PostgresBackend]:
    async with open_postgres(fresh_database) as backend:
        yield backend


@pytest.fixture
async def kafka(fresh_database: str, kafka_bootstrap: str) -> AsyncIterator[KafkaBackend]:
    async with open_kafka(fresh_database, kafka_bootstrap) as backend:
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
async def stage(fresh_database: str) -> AsyncIterator[Stage]:
    async with open_stage(fresh_database) as stage:
        yield stage
