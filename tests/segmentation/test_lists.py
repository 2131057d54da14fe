"""Static lists on a real PostgreSQL: who stands on one after an erasure, and when an edit is one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from common.contracts.ingest import CustomerErased, Visit
from common.db.engine import Connection
from segmentation.domain.models.model import Model
from segmentation.domain.rulebook import Rulebook
from segmentation.lists import store as lists
from segmentation.own.editing import Conflict, Unknown, Wording
from segmentation.segments.counting import Counting
from tests.laws.streams import SHOP
from tests.segmentation.own_stage import OPERATOR, Stage, open_stage

HOUR = timedelta(hours=1)


@pytest.fixture
async def stage(fresh_database: str) -> AsyncIterator[Stage]:
    async with open_stage(fresh_database) as stage:
        yield stage


async def standing(stage: Stage, name: str) -> list[str]:
    async with stage.pool.acquire() as connection:
        return await lists.members(connection, SHOP, name, "", 100)


async def test_who_was_erased_stands_on_no_list_until_put_on_one_anew(stage: Stage) -> None:
    async with stage.one.running() as one:
        await stage.publish(*(stage.event(name, Visit()) for name in ("ann", "bob")))
        await stage.decided()
        stage.clock.at += HOUR
        await one.editing.put_list(OPERATOR, "fair", ["ann", "bob"])
        await one.rulebooks.refresh()
        await stage.filled()
        stage.clock.at += HOUR
        await stage.publish(stage.event("ann", CustomerErased()))
        await stage.decided()
        assert await standing(stage, "fair") == ["bob"]
        stage.clock.at += HOUR
        await one.editing.put_list(OPERATOR, "fair", ["bob", "ann"])
        await one.rulebooks.refresh()
        await stage.publish(stage.event("ann", Visit()))  # before the back-fill told of it
        await stage.decided()
        await stage.filled()
        assert await standing(stage, "fair") == ["ann", "bob"]
        known = "SELECT body #>> '{state,lists}' FROM states WHERE customer_id = 'ann'"
        assert await stage.pool.fetchval(known) == '["fair"]'


async def test_an_edit_that_changes_nothing_begins_nothing(stage: Stage) -> None:
    editing = stage.one.editing

    async def edits() -> tuple[int, int]:
        revision = await stage.pool.fetchval("SELECT revision FROM rulebooks WHERE shop_id = $1", SHOP)
        return revision, await stage.pool.fetchval("SELECT count(*) FROM backfills")

    await editing.put_list(OPERATOR, "fair", ["bob", "ann"])
    before = await edits()
    assert await editing.put_list(OPERATOR, "fair", ["ann", "bob"]) == lists.Changes(0, 0)
    assert await edits() == before
    for people in (["ann"], ["ann", "cid"], []):
        await editing.put_list(OPERATOR, "fair", people)
        assert await standing(stage, "fair") == people
    revision, jobs = await edits()
    assert (revision, jobs) == (before[0] + 3, before[1] + 3)
    await editing.create(OPERATOR, "s", Wording({}, {"list": "fair"}))
    archived = await editing.archive(OPERATOR, "s")
    before = await edits()
    assert await editing.archive(OPERATOR, "s") == archived
    assert await edits() == before


async def test_a_slower_reading_puts_no_older_rulebook_over_a_newer_one(stage: Stage) -> None:
    rulebooks = stage.one.rulebooks
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_connection: Connection, presets: Rulebook) -> tuple[Model, ...]:
        if not begun.is_set():
            begun.set()
            await go_on.wait()
        return presets.models

    rulebooks._models = slow
    await stage.one.editing.put_list(OPERATOR, "a", ["ann"])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(rulebooks.refresh())
        await begun.wait()
        await stage.one.editing.put_list(OPERATOR, "b", ["ann"])
        await rulebooks.refresh()
        newest = rulebooks[SHOP].revision
        go_on.set()
    assert rulebooks[SHOP].revision == newest


async def test_a_deleted_list_leaves_nobody_on_it_and_no_rows(stage: Stage) -> None:
    async with stage.one.running() as one:
        await stage.admin.execute("UPDATE backfills SET not_before = clock_timestamp()")
        await stage.publish(*(stage.event(name, Visit()) for name in ("ann", "bob")))
        await stage.decided()
        stage.clock.at += HOUR
        await one.editing.put_list(OPERATOR, "fair", ["ann", "bob"])
        await one.editing.create(OPERATOR, "s", Wording({}, {"list": "fair"}))
        with pytest.raises(Conflict, match="asked about by s"):
            await one.editing.delete_list(OPERATOR, "fair")
        await one.rulebooks.refresh()
        await stage.filled()
        assert await stage.inside("s") == ["ann", "bob"]
        await one.editing.archive(OPERATOR, "s")
        await one.editing.delete_list(OPERATOR, "fair")
        await one.rulebooks.refresh()
        await stage.filled()
    assert await stage.pool.fetchval("SELECT count(*) FROM list_members") == 0
    assert await stage.pool.fetchval("SELECT count(*) FROM states WHERE body->'state'->'lists' IS NOT NULL") == 0
    with pytest.raises(Unknown):
        await stage.one.editing.delete_list(OPERATOR, "fair")


async def test_what_ended_long_ago_is_forgotten(stage: Stage) -> None:
    counting = Counting(stage.pool, stage.clock)
    editing = stage.one.editing
    await editing.create(OPERATOR, "s", Wording({}, {"count": "visit", "op": "gte", "value": 1}))
    await stage.admin.execute("UPDATE backfills SET ended_at = clock_timestamp() - interval '36 days'")
    await editing.archive(OPERATOR, "s")
    assert await stage.pool.fetchval("SELECT count(*) FROM backfills") == 1
    await stage.pool.execute("INSERT INTO segment_moves VALUES ($1, 's', 1, 1), ($1, 'live', 1, 1)", SHOP)
    left = {}
    for days in (0, 34, 2):
        stage.clock.at += days * 24 * HOUR
        await counting.step()
        rows = await stage.pool.fetch("SELECT segment, count(*) FROM segment_samples GROUP BY 1")
        left[days] = {row["segment"] for row in rows}
    assert left == {0: {"s", "live"}, 34: {"s", "live"}, 2: {"live"}}
