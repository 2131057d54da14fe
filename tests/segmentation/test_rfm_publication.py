"""Scales of RFM are published when they are due, once, and felt by every customer through the rulebook."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from common.clock import Clock
from segmentation.domain.models.rfm import Named, Plan, RfmModel, groups_of, rfm
from segmentation.domain.rulebook import Rulebook
from segmentation.models.rfm_publication import Publication, scaled
from segmentation.models.rfm_scales import Published, keep, newest
from segmentation.own import store
from segmentation.rulebooks.held import Rulebooks

SHOP = "demo"
EVERYBODY = groups_of([Named("all", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5))])
PLAN = Plan(EVERYBODY, (time(3),), from_customers=5)
BOOKS = {SHOP: Rulebook(SHOP, ZoneInfo("Asia/Shanghai"), "CNY", models=(rfm(PLAN),))}
DUE = datetime(2026, 6, 1, 19, tzinfo=UTC)  # 03:00 of the next day in Shanghai
NOON = DUE + timedelta(hours=9)
DAY = timedelta(days=1)


class Stopped(Clock):
    """Says the time that it was put at."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at


async def bought(pool: asyncpg.Pool, customers: int, at: datetime) -> None:
    async with pool.acquire() as connection:
        await keep(connection, [(SHOP, f"c{number}", at, 1 + number % 3, number) for number in range(customers)])


async def last(pool: asyncpg.Pool) -> Published | None:
    async with pool.acquire() as connection:
        return await newest(connection, SHOP)


async def jobs(pool: asyncpg.Pool) -> list[tuple[int, str]]:
    rows = await pool.fetch("SELECT revision, reason FROM backfills ORDER BY id")
    return [(row["revision"], row["reason"]) for row in rows]


async def test_published_once_a_day_as_soon_as_there_are_enough(pool: asyncpg.Pool) -> None:
    clock = Stopped(NOON)
    publication = Publication(pool, BOOKS, clock)
    await publication.step()
    await bought(pool, 4, NOON - DAY)
    await publication.step()
    assert await last(pool) is None, "too few"
    await bought(pool, 5, NOON - DAY)
    await asyncio.gather(*(Publication(pool, BOOKS, clock).step() for _ in range(3)))
    first = await last(pool)
    assert first is not None
    assert (first.due_at, first.published_at, first.customers) == (DUE, NOON, 5)
    assert await jobs(pool) == [(1, "rfm scale")], "by one of three"

    clock.at = DUE + DAY - timedelta(microseconds=1)
    await bought(pool, 50, clock.at)
    await publication.step()
    assert await last(pool) == first, "not due"
    clock.at = DUE + 3 * DAY + timedelta(hours=1)
    await publication.step()
    later = await last(pool)
    assert later is not None
    assert (later.due_at, later.customers, later.revision) == (DUE + 3 * DAY, 50, 2), "of three that were missed, one"
    assert await jobs(pool) == [(1, "rfm scale"), (2, "rfm scale")]


async def test_the_same_scale_asks_nobody_again(pool: asyncpg.Pool) -> None:
    clock = Stopped(NOON)
    await bought(pool, 9, NOON)
    await Publication(pool, BOOKS, clock).step()
    clock.at = NOON + DAY
    await bought(pool, 9, clock.at)  # everybody as long ago as before
    await Publication(pool, BOOKS, clock).step()
    published = await last(pool)
    assert published is not None
    assert (published.due_at, published.revision) == (DUE + DAY, 1)
    async with pool.acquire() as connection:
        assert await store.revisions(connection) == {SHOP: 1}
    assert len(await jobs(pool)) == 1


async def test_the_rulebook_takes_up_what_was_published(pool: asyncpg.Pool) -> None:
    rulebooks = Rulebooks(pool, BOOKS, scaled)
    await bought(pool, 7, NOON)
    await Publication(pool, BOOKS, Stopped(NOON)).step()
    await rulebooks.refresh()
    (model,) = rulebooks[SHOP].models
    assert isinstance(model, RfmModel)
    assert (model.revision, rulebooks[SHOP].revision) == (1, 1)
    assert model.plan == PLAN
