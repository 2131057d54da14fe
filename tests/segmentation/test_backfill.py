"""Back-fills that go wrong: somebody who cannot be asked, and an older process that decides by its own presets."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from common.contracts.ingest import HistoryEnded, OrderPaid
from common.money import Money
from segmentation.domain.rules.rule import Events, Measure, Question, Segment
from segmentation.own.answers import backfill_out
from segmentation.rulebooks import backfill, jobs
from tests.contract.waiting import until
from tests.laws.streams import CURRENCY, SHOP
from tests.segmentation.own_stage import Process, Stage, books, open_stage
from tests.segmentation.test_own_segments import OFTEN, make

BUYERS = Question("$", Measure("count", Events("purchase")), "gte", 1)
NO_WAIT = "UPDATE backfills SET not_before = clock_timestamp()"


@pytest.fixture
async def stage(fresh_database: str) -> AsyncIterator[Stage]:
    async with open_stage(fresh_database) as stage:
        yield stage


def paid(stage: Stage, *names: str) -> list[Any]:
    return [stage.event(name, OrderPaid(name, Money(100, CURRENCY))) for name in names]


async def test_who_can_never_be_asked_ends_it_all_the_same(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "PASSES_MAX", 3)
    late = Process(stage)  # of the edit it never hears
    await late.rulebooks.refresh()
    async with late.running():
        await stage.publish(*paid(stage, "ann", "bob"))
        await stage.decided()
        await stage.admin.execute(NO_WAIT)
        await stage.filled()
        made = await make(stage.one, "often", OFTEN)
        await stage.filled()
    async with stage.pool.acquire() as connection:
        progress = await jobs.progress(connection, SHOP, made.revision)
    out = backfill_out(progress)
    assert out is not None
    assert (out.ended, out.round, out.asked, out.behind) == (True, 3, 6, 2)


async def test_nobody_waits_for_the_end_of_an_import(stage: Stage) -> None:
    async with stage.one.running():
        long_ago = stage.event("ann", OrderPaid("ann", Money(100, CURRENCY)), stage.clock.at - timedelta(days=9))
        await stage.publish(replace(long_ago, historic=True), *paid(stage, "bob"))
        await stage.decided()
        made = await make(stage.one, "buyers", {"count": "purchase", "op": "gte", "value": 1})
        await stage.filled()
        async with stage.pool.acquire() as connection:
            progress = await jobs.progress(connection, SHOP, made.revision)
        assert progress is not None
        assert (progress.pass_, progress.behind) == (2, 0)
        await stage.publish(stage.event("ann", HistoryEnded()))
        await stage.decided()

        async def both_are_in() -> bool:
            await stage.tick()
            return await stage.inside("buyers") == ["ann", "bob"]

        await until(both_are_in, "who was inside an import is asked once that has ended")


async def test_new_presets_reach_the_quiet_whom_an_older_process_answered(stage: Stage) -> None:
    old = stage.one
    newer = {
        shop_id: replace(
            each, segments=(*each.segments, Segment("payers", BUYERS, frozenset({"purchase"}))), edition="2"
        )
        for shop_id, each in books().items()
    }
    new = Process(stage, newer)
    async with old.running():
        await stage.publish(*paid(stage, "ann", "bob"))
        await stage.decided()
        stage.clock.at += timedelta(days=1)
        await new.rulebooks.load(stage.clock.at)
        await old.rulebooks.refresh()
        assert old.rulebooks[SHOP].revision == new.rulebooks[SHOP].revision
        await stage.admin.execute(NO_WAIT)

        async def answered() -> bool:
            await new.backfill.step()
            await stage.tick()
            return bool(await stage.admin.fetchval("SELECT count(*) FROM backfills WHERE revision = 2 AND pass = 3"))

        await until(answered, "the older process answered all that it was told")
        assert await stage.inside("payers") == []
    async with new.running():
        await stage.filled(new)
        assert await stage.inside("payers") == ["ann", "bob"]
