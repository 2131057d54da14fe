"""Static lists on a real PostgreSQL: who stands on one after an erasure, and when an edit is one."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from common.contracts.ingest import CustomerErased, Visit
from segmentation.own import lists
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
