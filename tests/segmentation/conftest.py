"""Segmentation's schema in a fresh database, beside those it is told by and tells."""

import re
from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest

from common.db.engine import open_pool
from common.settings import Settings
from common.web.auth import create_key
from regulars.services import NAMES
from tests.postgres_fixture import copied

fresh_database = copied(*NAMES)


@pytest.fixture
def settings(fresh_database: str) -> Settings:
    """A migrated database; small batches, so that a few events make many of them."""
    without_role = re.sub("//[^@/]*@", "//", fresh_database)
    return Settings(database=without_role, admin_database=fresh_database, batch_max_messages=7, poll_ms=1_000)


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """Connections under segmentation's role."""
    async with open_pool(settings, "segmentation") as pool:
        yield pool


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
