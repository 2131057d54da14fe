"""A real PostgreSQL for tests: one embedded server per worker process, an empty database per test that asks for one.

    async def test_something(fresh_database: str) -> None:
        connection = await asyncpg.connect(fresh_database)

For SQLAlchemy replace the scheme: `fresh_database.replace("postgresql://", "postgresql+asyncpg://", 1)`.

Where every test needs the tables of the same services, its conftest asks for copies of one database that has them:

    fresh_database = copied("ingest", "journeys")
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from common.db.migrate import migrate
from common.settings import Settings
from regulars.embedded_postgres import EmbeddedPostgres
from tests.memory import temporary

# A copy of files: pages through the log, which is the default, take seven times as long where nothing need last.
CREATE = "CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
# What a role has set in a database stands outside of it, so a copy of the database lacks it.
OF_ROLES = """
SELECT format('ALTER ROLE %I IN DATABASE {name} SET %s = %s', r.rolname, split_part(c, '=', 1), split_part(c, '=', 2))
FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase,
    unnest(s.setconfig) AS c
WHERE d.datname = $1
"""

_numbers = itertools.count(1)


class Copies:
    """Migrated databases, each copied from one that was: to migrate them all would take longer than most tests do."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._originals: dict[tuple[str, ...], str] = {}

    @asynccontextmanager
    async def of(self, *services: str) -> AsyncIterator[str]:
        """The superuser's address of a database with the schemas of these services, for as long as the context."""
        if services not in self._originals:
            self._originals[services] = await self._migrated(services)
        original = self._originals[services]
        async with _database(self._server, original) as (name, admin):
            for row in await admin.fetch(OF_ROLES.format(name=name), original):
                await admin.execute(row[0])
            yield self._server.dsn(database=name)

    async def _migrated(self, services: tuple[str, ...]) -> str:
        """The name of a new one, which stays to the end of the server."""
        name = f"original_{len(self._originals)}"
        admin = await asyncpg.connect(self._server.dsn())
        await admin.execute(CREATE.format(name=name, template="template0"))
        await admin.close()
        dsn = self._server.dsn(database=name)
        await migrate(Settings(database=dsn.replace("postgres@", "", 1), admin_database=dsn), services)
        return name


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """One running server; it belongs to this worker process alone, and forgets everything with the power."""
    with temporary() as folder:
        server = asyncio.run(EmbeddedPostgres.start(folder, durable=False))
        yield server
        asyncio.run(server.stop())


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: EmbeddedPostgres) -> str:
    """The superuser's address of the server's first, empty database; leave it as it is."""
    return postgres_server.dsn()


@pytest.fixture(scope="session")
def copies(postgres_server: EmbeddedPostgres) -> Copies:
    """The originals are made when somebody asks for the first copy."""
    return Copies(postgres_server)


def copied(*services: str) -> Any:
    """The fixture `fresh_database` of a folder whose every test needs the tables of these services."""

    @pytest.fixture(name="fresh_database")
    async def database(copies: Copies) -> AsyncIterator[str]:
        """In place of an empty one: a migrated one."""
        async with copies.of(*services) as address:
            yield address

    return database


@pytest.fixture
async def fresh_database(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The superuser's address of an empty database that is this test's alone."""
    async with _database(postgres_server, "template0") as (name, _):
        yield postgres_server.dsn(database=name)


@asynccontextmanager
async def _database(server: EmbeddedPostgres, template: str) -> AsyncIterator[tuple[str, asyncpg.Connection]]:
    """The name of a database that is gone afterwards, and the superuser's connection to the server's first."""
    name = f"test_{next(_numbers)}"
    admin = await asyncpg.connect(server.dsn())
    try:
        await admin.execute(CREATE.format(name=name, template=template))
        yield name, admin
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()
