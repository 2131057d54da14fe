"""Which segments everybody is in, as the table has it after a batch."""

from datetime import datetime, timedelta

import asyncpg
import pytest

from common.contracts.envelope import Data, Event
from common.contracts.segmentation import LifecycleChanged, SegmentEntered, SegmentLeft
from common.decision import Stored
from common.service import Saved
from segmentation.domain.profile.state import Profile
from segmentation.store import project
from tests.laws.streams import SHOP, START, event

HOUR = timedelta(hours=1)
NEW_FACE = LifecycleChanged("new", "active", None, None, "purchase a")


def saved(*told: Data, name: str = "c1", into: str = "") -> Saved[Profile]:
    """One customer after a batch in which these were told, an hour apart."""
    facts: list[Event[Data]] = [event(number, name, each, START + number * HOUR) for number, each in enumerate(told)]
    return Saved(SHOP, name, Stored(Profile(), START, into=into), tuple(facts))


async def rows(pool: asyncpg.Pool) -> set[tuple[str, str, datetime, str]]:
    found = await pool.fetch("SELECT customer_id, segment, since, reason FROM memberships")
    return {tuple(row) for row in found}


@pytest.mark.parametrize("at_once", [True, False])
async def test_where_somebody_ends_up(pool: asyncpg.Pool, *, at_once: bool) -> None:
    """In one batch or one by one: out and in again is since then, in and out again is out."""
    told = (
        NEW_FACE,
        SegmentEntered("looker", "visit"),
        SegmentEntered("masks", "cart.item_added"),
        SegmentLeft("looker", "15d passed"),
        LifecycleChanged("loyal", "active", "new", "active", "purchase b", fan=True),
        SegmentEntered("looker", "visit"),
        SegmentLeft("masks", "order a"),
    )
    whole = saved(*told)
    batches = [[whole]] if at_once else [[Saved(SHOP, "c1", whole.stored, (fact,))] for fact in whole.facts]
    async with pool.acquire() as connection:
        for batch in batches:
            await project(connection, batch)
    assert await rows(pool) == {
        ("c1", "fan-active", START + 4 * HOUR, "purchase b"),
        ("c1", "looker", START + 5 * HOUR, "visit"),
    }


async def test_who_was_a_fan_leaves_that_cell(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await project(connection, [saved(LifecycleChanged("loyal", "active", None, None, "a", fan=True))])
        tired = LifecycleChanged("loyal", "active", "loyal", "active", "fewer interactions", previous_fan=True)
        await project(connection, [saved(tired)])
    assert {segment for _, segment, *_ in await rows(pool)} == {"loyal-active"}


async def test_who_was_merged_is_in_none(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await project(connection, [saved(NEW_FACE, SegmentEntered("vip", "a")), saved(NEW_FACE, name="c2")])
        await project(connection, [saved(SegmentEntered("late", "a"), into="c2")])
    assert {(name, segment) for name, segment, *_ in await rows(pool)} == {("c2", "new-active")}


async def test_a_merge_that_is_known_is_not_written_again(pool: asyncpg.Pool) -> None:
    """Nor is its row locked, which would be a write too."""
    found: list[tuple[object, ...]] = []
    async with pool.acquire() as connection:
        for into in ("c2", "c2", "c3"):
            await project(connection, [saved(into=into)])
            found += [tuple(row) for row in await connection.fetch("SELECT into_id, ctid, xmin, xmax FROM merged")]
    first, again, elsewhere = found
    assert again == first
    assert [into for into, *_ in (first, elsewhere)] == ["c2", "c3"]
