"""Journeys' own schema in a fresh database."""

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from common.db.engine import open_pool
from common.settings import Settings
from tests.postgres_fixture import copied

fresh_database = copied("journeys")


@pytest.fixture
def settings(fresh_database: str) -> Settings:
    """A migrated database; small batches, so that a few events make many of them."""
    without_role = re.sub("//[^@/]*@", "//", fresh_database)
    return Settings(database=without_role, admin_database=fresh_database, batch_max_messages=7, poll_ms=1_000)


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """Connections under journeys' role."""
    async with open_pool(settings, "journeys") as pool:
        yield pool
