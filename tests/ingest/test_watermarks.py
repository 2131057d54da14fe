"""Watermarks: told so often and no more, true, never backwards, and not kept for ever."""

import asyncio
from datetime import datetime, timedelta

import asyncpg
import pytest

from common.clock import RealClock
from common.ids import PARTITIONS
from tests.contract.waiting import until
from tests.ingest.conftest import (
    TICKS,
    rows_of,
    settings_for,
    watermarks,
)
from tests.ingest.flushing import NOW, accepted, flushing

LONG_S = 30.0


class HandClock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


async def test_at_rest_and_under_load_watermarks_are_told_so_often(pool: asyncpg.Pool, fresh_database: str) -> None:
    settings = settings_for(fresh_database, tick_ms=50, tick_idle_ms=150)
    loop = asyncio.get_running_loop()
    async with flushing(pool, settings) as flusher:

        async def ticks_in(pause_s: float, wanted: int, load: bool) -> None:
            """Never more than one for each pause that has passed."""
            began, before = loop.time(), await count()
            while (found := await count() - before) < wanted:
                assert found <= (loop.time() - began) / pause_s + 1
                assert loop.time() - began < LONG_S
                if load:
                    await flusher.submit([accepted(f"{loop.time()}")], [])

        async def count() -> int:
            return len({row.xid for row in await rows_of(pool, TICKS)})

        await ticks_in(0.150, 4, load=False)
        await ticks_in(0.050, 10, load=True)
    ticks = await rows_of(pool, TICKS)
    rows = await rows_of(pool)
    assert len({row.xid for row in rows}) > len({row.xid for row in ticks}) - 10
    for part in range(PARTITIONS):
        told = watermarks(ticks, part)
        assert told == watermarks(ticks)
        assert told == sorted(set(told))
        assert told[-1] <= RealClock().now()
    for tick in ticks:
        late = [row for row in rows if row.xid > tick.xid and row.event.received_at < tick.event.received_at]
        assert late == []


async def test_old_watermarks_do_not_pile_up(
    pool: asyncpg.Pool, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.flusher.TICKS_KEPT", 3)
    settings, clock = settings_for(fresh_database, tick_ms=10, tick_idle_ms=10), HandClock()
    async with flushing(pool, settings, clock):
        for number in range(8):
            clock.at = NOW + timedelta(minutes=number)
            newest = clock.at

            async def is_told(newest: datetime = newest) -> bool:
                return newest in watermarks(await rows_of(pool, TICKS))

            await until(is_told, "the newest watermark")
            assert len(await rows_of(pool, TICKS)) <= 3 * PARTITIONS
    for part in range(PARTITIONS):
        assert watermarks(await rows_of(pool, TICKS), part)[-1] == NOW + timedelta(minutes=7)


async def test_time_never_runs_backwards_though_the_clock_may(pool: asyncpg.Pool, fresh_database: str) -> None:
    settings, clock = settings_for(fresh_database, tick_ms=10, tick_idle_ms=10), HandClock()
    async with flushing(pool, settings, clock) as flusher:

        async def after(step: timedelta, name: str) -> None:
            """Sets the clock, sends an event, and waits until a watermark stands behind it."""
            clock.at += step
            await flusher.submit([accepted(name)], [])
            seen = len(await rows_of(pool, TICKS))

            async def told() -> bool:
                return len(await rows_of(pool, TICKS)) >= seen + 2 * PARTITIONS

            await until(told, "two more watermarks")

        await after(timedelta(0), "first")
        await after(timedelta(minutes=5), "on")
        await after(timedelta(minutes=-3), "back")
        await after(timedelta(minutes=1), "on-again")
        await after(timedelta(minutes=7), "beyond")
    times = {row.event.id: row.event.received_at for row in await rows_of(pool)}
    peak = NOW + timedelta(minutes=5)
    assert times == {"first": NOW, "on": peak, "back": peak, "on-again": peak, "beyond": NOW + timedelta(minutes=10)}
    told = watermarks(await rows_of(pool, TICKS))
    assert told == sorted(told)
    assert set(told) == {NOW, peak, NOW + timedelta(minutes=10)}
