"""A real PostgreSQL for tests: one embedded server per worker process, an empty database per test that asks for one.

    async def test_something(fresh_database: str) -> None:
        connection = await asyncpg.connect(fresh_database)

For SQLAlchemy replace the scheme: `fresh_database.replace("postgresql://", "postgresql+asyncpg://", 1)`.
"""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from regulars.embedded_postgres import EmbeddedPostgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """One running server; it belongs to this worker process alone, and forgets everything with the power."""
    # Not pytest's own temporary folder: a second run closes that to PostgreSQL's account while we use it.
    folder = Path(tempfile.mkdtemp(prefix="regulars-test-"))
    server = asyncio.run(EmbeddedPostgres.start(folder, durable=False))
    yield server
    asyncio.run(server.stop())
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: EmbeddedPostgres) -> str:
    """The superuser's address of the server's first, empty database; leave it as it is."""
    return postgres_server.dsn()


@pytest.fixture
async def fresh_database(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The superuser's address of an empty database that is this test's alone."""
    name = f"test_{next(_numbers)}"
    admin = await asyncpg.connect(postgres_server.dsn())
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield postgres_server.dsn(database=name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()
