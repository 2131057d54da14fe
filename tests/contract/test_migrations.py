"""Migrations: from an empty database to the newest version, again and at once; and who may read what afterwards."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from common.contracts.topics import TOPICS
from common.db.engine import open_pool
from common.db.migrate import migrate
from common.db.tables import view_of
from common.settings import Settings
from regulars.services import NAMES
from tests.contract.schemas import settings_for

ROAD = {"states", "marks", "outbox", "readers", "dead_letters"}
SCHEMA = """
SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = ANY($1) ORDER BY 1, 2, ordinal_position
"""
CLOSED = (  # to journeys
    "SELECT * FROM loyalty.states",
    "SELECT * FROM loyalty.outbox",
    "SELECT * FROM loyalty.marks",
    "SELECT * FROM loyalty.dead_letters",
    "SELECT * FROM loyalty.work_v1",
    "SELECT * FROM ingest.vault",
    "SELECT * FROM ingest.vault_keys",
    "SELECT * FROM ingest.seen",
    "DELETE FROM loyalty.states",
    "DELETE FROM loyalty.readers",
    "INSERT INTO loyalty.accounts_v1 (part, key, body) VALUES (1, '', '')",
    "INSERT INTO access.api_keys SELECT * FROM access.api_keys",
    "CREATE TABLE loyalty.mine (x int)",
)


@pytest.fixture
async def admin(fresh_database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(fresh_database)
    yield connection
    await connection.close()


@pytest.fixture
def settings(fresh_database: str) -> Settings:
    return settings_for(fresh_database)


async def described(admin: asyncpg.Connection) -> Sequence[tuple[object, ...]]:
    return [tuple(row) for row in await admin.fetch(SCHEMA, [*NAMES, "access"])]


def newest(service: str) -> str | None:
    """The last revision in the service's folder; there must be one line of them."""
    config = Config()
    config.set_main_option("script_location", str(files("common.db") / "alembic"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(files(service) / "migrations" / "versions"))
    return ScriptDirectory.from_config(config).get_current_head()


async def test_from_nothing_to_the_newest_version(admin: asyncpg.Connection, settings: Settings) -> None:
    await migrate(settings, NAMES)
    for name in NAMES:
        assert await admin.fetchval(f"SELECT version_num FROM {name}.alembic_version") == newest(name)
        tables = await admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tableowner = $1", name)
        assert {row["tablename"] for row in tables} > ROAD
    views = await admin.fetch(
        "SELECT schemaname || '.' || viewname AS view FROM pg_views WHERE viewowner = ANY($1)", NAMES
    )
    assert {row["view"] for row in views} == {view_of(topic.name) for topic in TOPICS}


async def test_again_is_harmless(admin: asyncpg.Connection, settings: Settings) -> None:
    await migrate(settings, NAMES)
    first = await described(admin)
    await admin.execute("INSERT INTO loyalty.states VALUES ('shop', 'c1', 1, '{}', NULL)")
    await migrate(settings, NAMES)
    assert await described(admin) == first
    assert await admin.fetchval("SELECT count(*) FROM loyalty.states") == 1


async def test_at_once_is_harmless(admin: asyncpg.Connection, settings: Settings) -> None:
    """Five services that start together, each with its own, and one that does all."""
    async with asyncio.TaskGroup() as tasks:
        for names in (*((name,) for name in NAMES), NAMES):
            tasks.create_task(migrate(settings, names))
    found = {row[0] for row in await described(admin)}
    assert found == {*NAMES, "access"}
    for name in NAMES:
        versions = await admin.fetch(f"SELECT version_num FROM {name}.alembic_version")
        assert [row["version_num"] for row in versions] == [newest(name)]


async def test_one_service_alone(admin: asyncpg.Connection, settings: Settings) -> None:
    await migrate(settings, ("loyalty",))
    assert {row[0] for row in await described(admin)} == {"loyalty", "access"}
    await migrate(settings, NAMES)
    assert {row[0] for row in await described(admin)} == {*NAMES, "access"}


@pytest.fixture
async def pools(settings: Settings) -> AsyncIterator[dict[str, asyncpg.Pool]]:
    """Connections as two of the services have them."""
    await migrate(settings, NAMES)
    async with open_pool(settings, "loyalty") as loyalty, open_pool(settings, "journeys") as journeys:
        yield {"loyalty": loyalty, "journeys": journeys}


async def test_what_is_a_services_own_is_closed_to_the_others(pools: dict[str, asyncpg.Pool]) -> None:
    for statement in CLOSED:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pools["journeys"].execute(statement)


async def test_what_is_open_to_a_service(pools: dict[str, asyncpg.Pool]) -> None:
    journeys, loyalty = pools["journeys"], pools["loyalty"]
    for topic in TOPICS:  # every topic, but work that is not its own
        if not topic.work or topic.owner == "journeys":
            assert await journeys.fetch(f"SELECT part, xid, id, key, body FROM {view_of(topic.name)}") == []
    await loyalty.execute("INSERT INTO states VALUES ('shop', 'c1', 1, '{}', NULL)")  # its own, without a schema's name
    assert await loyalty.fetchval("SELECT count(*) FROM loyalty.states") == 1
    assert await journeys.fetchval("SELECT count(*) FROM states") == 0
