"""What an undisturbed run came to is compared with a copy of it in which one row of one table was tampered with."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.chaos.run import Plan, undisturbed
from tests.chaos.schedule import Mode
from tests.chaos.sender import AS_IT_WAS
from tests.chaos.tables import compare_all
from tests.chaos.traffic import DAY, Size, acts

SMALL = Size(orders=None, invented=1, live=1, customers=12, acts=2, pauses=(31 * DAY,))
PLAN = Plan(Mode.ONE_PROCESS, 1, SMALL, 0, AS_IT_WAS, None, calm_s=60.0)
ANY = "ctid = (SELECT min(ctid) FROM {table} WHERE {which})"
COLUMNS = "topic, part, key, body"
FACTS = "key <> ''"
UNHEARD = "body = (body::jsonb #- '{state,series,message.sent}')::json"

# Table, statement, and what it is to be told as: how many lost, doubled, different, in which table of the report.
TAMPERINGS = [
    ("ingest.seen", "DELETE", "", "ingest: seen", (1, 0, 0)),
    ("ingest.vault", "DELETE", "", "ingest: vault", (1, 0, 0)),
    ("ingest.orders", "UPDATE", "customer_id = 'x'", "ingest: orders", (0, 0, 1)),
    ("ingest.identities", "UPDATE", "links = links + 1", "ingest: names of people", (0, 0, 1)),
    *((f"{name}.outbox", "DELETE", "", f"{name}: facts", (1, 0, 0)) for name in ("ingest", "journeys", "notifier")),
    *((f"{name}.outbox", "COPY", "", f"{name}: facts", (0, 1, 0)) for name in ("segmentation", "loyalty", "notifier")),
    ("loyalty.outbox", "UPDATE", "key = key || 'x'", "loyalty: facts", (1, 1, 0)),
    ("segmentation.states", "DELETE", "", "segmentation: states and timers", (1, 0, 0)),
    ("segmentation.states", "UPDATE", "wake_at = '2100-01-01Z'", "segmentation: states and timers", (0, 0, 1)),
    ("segmentation.states", "UPDATE", UNHEARD, "segmentation: states and timers", (0, 0, 1)),
    ("journeys.states", "UPDATE", "body = '{}'", "journeys: states and timers", (0, 0, 1)),
    ("notifier.states", "DELETE", "", "notifier: states", (1, 0, 0)),
    ("segmentation.memberships", "UPDATE", "segment = 'x'", "segmentation: memberships", (1, 1, 0)),
    ("segmentation.memberships", "UPDATE", "since = since + interval '1 s'", "segmentation: memberships", (0, 0, 1)),
    ("segmentation.segment_counts", "UPDATE", "members = members + 1", "segmentation: numbers of members", (0, 0, 1)),
    ("journeys.enrollments", "DELETE", "", "journeys: enrollments", (1, 0, 0)),
    ("journeys.enrollments", "UPDATE", "enrollment = 'x'", "journeys: enrollments", (1, 1, 0)),
    ("loyalty.postings", "UPDATE", "points = points + 1", "loyalty: postings", (0, 0, 1)),
    ("loyalty.accounts", "UPDATE", "balance = balance + 1", "loyalty: accounts", (0, 0, 1)),
    ("notifier.messages", "DELETE", "", "notifier: messages", (1, 0, 0)),
    ("notifier.messages", "UPDATE", "step = 'x'", "notifier: messages", (0, 0, 1)),
    ("notifier.mailbox", "UPDATE", "body = 'x'", "notifier: mailbox", (0, 0, 1)),
]
WHICH = {
    "notifier.mailbox": "channel = 'sms'",
    "segmentation.states": "body #> '{state,series,message.sent}' IS NOT NULL",
}

Databases = tuple[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins() -> AsyncIterator[Databases]:
    """Addresses of what a run came to, and of a copy."""
    async with undisturbed(acts(SMALL, PLAN.seed, None), PLAN, lambda _: None) as database:
        copy = database.replace("/regulars?", "/tampered?")
        admin = await asyncpg.connect(database.replace("/regulars?", "/postgres?"))
        await admin.execute("CREATE DATABASE tampered TEMPLATE regulars")
        await admin.close()
        yield copy, database


@pytest.mark.asyncio(loop_scope="module")
async def test_twins_are_the_same(twins: Databases) -> None:
    got, wanted = [await asyncpg.connect(database) for database in twins]
    found = await compare_all(got, wanted)
    assert [one.examples for one in found if not one.none] == []
    empty = {one.table for one in found if not one.rows}
    assert empty == {one.table for one in found if one.table.endswith("dead letters")}
    await got.close()
    await wanted.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("table", "how", "what", "told_as", "counts"), TAMPERINGS)
async def test_one_row_is_found(
    twins: Databases, table: str, how: str, what: str, told_as: str, counts: tuple[int, int, int]
) -> None:
    got, wanted = [await asyncpg.connect(database) for database in twins]
    try:
        tampering = got.transaction()
        await tampering.start()
        which = WHICH.get(table, FACTS if table.endswith("outbox") else "true")
        one = ANY.format(table=table, which=which)
        statement = {
            "DELETE": f"DELETE FROM {table} WHERE {one}",
            "UPDATE": f"UPDATE {table} SET {what} WHERE {one}",
            "COPY": f"INSERT INTO {table} ({COLUMNS}) SELECT {COLUMNS} FROM {table} WHERE {one}",
        }[how]
        assert (await got.execute(statement)).endswith(" 1")
        found = {one.table: one for one in await compare_all(got, wanted) if not one.none}
        assert {name: (one.lost, one.doubled, one.different) for name, one in found.items()} == {told_as: counts}
        assert found[told_as].examples
        await tampering.rollback()
    finally:
        await got.close()
        await wanted.close()
