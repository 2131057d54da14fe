"""The database dies and comes back: nobody waits in vain, nothing that was answered is lost, nothing is there twice."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.db.migrate import migrate
from regulars.embedded_postgres import EmbeddedPostgres
from tests.contract.waiting import until
from tests.ingest.conftest import make_keys, open_ingest, rows_of, settings_for, visit

ANSWER_MAX_S = 5.0
SENDERS = 16
EVENTS_EACH = 30


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    """Of a server that is this test's alone, to be killed."""
    made = Path(tempfile.mkdtemp(prefix="regulars-test-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@asynccontextmanager
async def server_on(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    # Not `durable=False`: that may lose with a kill what was just committed.
    server = await EmbeddedPostgres.start(folder, settings={"fsync": "off"})
    try:
        yield server
    finally:
        await server.stop()


async def test_the_database_dies_and_comes_back(folder: Path) -> None:
    async with server_on(folder) as server:
        settings = settings_for(server.dsn())
        await migrate(settings, ("ingest",))
        keys = await make_keys(server.dsn())
        loop = asyncio.get_running_loop()
        answered: set[str] = set()
        refused = 0
        back = asyncio.Event()

        async with open_ingest(settings) as (pool, client, flusher):

            async def send(sender: int) -> None:
                """Each event until it is taken: while the database is away as often as it takes to see that."""
                nonlocal refused
                for number in range(EVENTS_EACH):
                    event = visit(f"{sender}-{number}", f"c{sender}", personal={"name": f"n{number}"})
                    while event["id"] not in answered:
                        began = loop.time()
                        answer = await client.post("/v1/events", json=event, headers=keys["sender"])
                        assert loop.time() - began < ANSWER_MAX_S
                        if answer.status_code == 202:
                            answered.add(event["id"])
                            continue
                        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
                        assert answer.headers["content-type"] == "application/problem+json"
                        refused += 1
                        await back.wait()

            async def some_are_answered() -> bool:
                return len(answered) > SENDERS

            async def is_ready() -> bool:
                return (await client.get("/health/ready")).status_code == 200

            async with asyncio.TaskGroup() as tasks:
                for sender in range(SENDERS):
                    tasks.create_task(send(sender))
                await until(some_are_answered, "answers before the database dies")
                await server.kill()
                before = set(answered)

                async def is_noticed() -> bool:
                    return refused == SENDERS

                await until(is_noticed, "all senders are told that it is away")
                not_ready = await client.get("/health/ready")
                assert not_ready.status_code == 503
                assert not_ready.json()["detail"].startswith("ingest: ")
                assert flusher.ready() is not None

                async with server_on(folder):
                    await until(is_ready, "ingest is ready again by itself")
                    back.set()

                    async def all_are_answered() -> bool:
                        return len(answered) == SENDERS * EVENTS_EACH

                    await until(all_are_answered, "everything is taken in the end")
                    rows = await rows_of(pool)
                    ids = [row.event.id for row in rows]
                    assert len(ids) == len(set(ids)) == SENDERS * EVENTS_EACH
                    assert before <= set(ids)
                    for sender in range(SENDERS):
                        mine = [id_ for id_ in ids if id_.startswith(f"{sender}-")]
                        assert mine == [f"{sender}-{number}" for number in range(EVENTS_EACH)]
                    assert await pool.fetchval("SELECT count(*) FROM vault") == SENDERS
