"""A stage for own segments: a whole shop on a real PostgreSQL, its road, its back-fill, and whoever edits and buys."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from common.bus.bell import Bell
from common.bus.postgres import PostgresBus
from common.contracts.envelope import Data, Decoder, Event, encode
from common.contracts.ingest import Tick
from common.contracts.topics import INGEST_EVENTS, MEMBERSHIPS, SEGMENTATION_WORK
from common.db import outbox
from common.db.engine import open_pool
from common.db.migrate import migrate
from common.ids import PARTITIONS
from common.pipeline import Road
from common.settings import Settings
from common.shops import Shop
from common.web.auth import Caller
from regulars.services import NAMES
from segmentation import presets
from segmentation.app import service
from segmentation.domain.rulebook import Rulebook
from segmentation.own.editing import Editing
from segmentation.rulebooks.backfill import Backfill
from segmentation.rulebooks.held import Rulebooks
from tests.contract.waiting import until
from tests.laws.streams import SHOP, START, event

SHOPS: Mapping[str, Shop] = {SHOP: Shop(SHOP, "Asia/Shanghai", "CNY", "zh-CN")}
OPERATOR = Caller(SHOP, frozenset(("operate", "read")), "test")
AT_ONCE = timedelta()
CHUNK = 20  # customers: a few hundred make many of them

UNREAD = """
SELECT (SELECT count(*) FROM ingest.outbox o LEFT JOIN marks m USING (topic, part)
        WHERE o.topic = $1 AND (m.xid IS NULL OR (o.xid, o.id) > (m.xid, m.id)))
    + (SELECT count(*) FROM outbox o LEFT JOIN marks m USING (topic, part)
        WHERE o.topic = $2 AND (m.xid IS NULL OR (o.xid, o.id) > (m.xid, m.id)))
"""
INSIDE = "SELECT customer_id FROM memberships WHERE shop_id = $1 AND segment = $2 ORDER BY 1"
DUE = "SELECT count(*) FROM states WHERE wake_at < $1"
UNWAITED = "UPDATE backfills SET not_before = clock_timestamp()"
OPEN = "SELECT count(*) FROM backfills WHERE ended_at IS NULL"


def books() -> dict[str, Rulebook]:
    """The shop's, with the segments of its preset."""
    return dict(presets.load(SHOPS))


class Hands:
    """A clock whose hands a test moves."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class Process:
    """One process of segmentation: what it knows of the rulebooks, and its road."""

    def __init__(self, stage: "Stage", presets: Mapping[str, Rulebook] | None = None) -> None:
        self.rulebooks = Rulebooks(stage.pool, presets or books())
        self.editing = Editing(stage.pool, self.rulebooks.presets, stage.clock, wait=AT_ONCE)
        bus = PostgresBus(stage.pool, stage.bell)
        self.road = Road(service(self.rulebooks), stage.pool, bus, stage.clock, stage.settings, stage.bell)
        self.backfill = Backfill(stage.pool, stage.settings, stage.bell, lag_s=lambda: 0.0, again=AT_ONCE, chunk=CHUNK)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Process"]:
        """Its road, while the context lasts. The back-fill is driven by hand."""
        async with asyncio.TaskGroup() as tasks:
            road = tasks.create_task(self.road.run())
            yield self
            road.cancel()


class Stage:
    """The shop's database, and whoever tells what happens there. The first process is `one`."""

    def __init__(
        self, pool: asyncpg.Pool, admin: asyncpg.Connection, ingest: asyncpg.Connection, settings: Settings
    ) -> None:
        self.pool, self.admin, self._ingest, self.settings = pool, admin, ingest, settings
        self.bell, self.clock = Bell(), Hands(START)
        self.one = Process(self)
        self._number = 0

    @asynccontextmanager
    async def running(self, road: Road[Any]) -> AsyncIterator[None]:
        """Another service's road, while the context lasts."""
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(road.run())
            yield
            running.cancel()

    def event(self, customer_id: str, data: Data, at: datetime | None = None) -> Event[Data]:
        """The next event, received now."""
        self._number += 1
        return event(self._number, customer_id, data, at or self.clock.at)

    async def publish(self, *events: Event[Data]) -> None:
        """As ingest does."""
        await self._write([outbox.row(INGEST_EVENTS.name, each) for each in events])

    async def tick(self) -> None:
        """To every partition: all that was received before now stands before this."""
        body = encode(event(0, "-", Tick(self.clock.at), self.clock.at, shop_id="-"))
        await self._write([(INGEST_EVENTS.name, part, "", body) for part in range(PARTITIONS)])

    async def _write(self, rows: Sequence[outbox.Row]) -> None:
        await outbox.write(self._ingest, rows)
        self.bell.ring(INGEST_EVENTS.name)

    async def decided(self) -> None:
        """Until everything told is decided, and every alarm before now has gone off."""

        async def all_read() -> bool:
            unread = await self.admin.fetchval(UNREAD, INGEST_EVENTS.name, SEGMENTATION_WORK.name)
            return not unread and not await self.admin.fetchval(DUE, self.clock.at)

        await self.tick()
        await until(all_read, "everything is decided")

    async def filled(self, *processes: Process) -> None:
        """Until the back-fills have ended, whoever takes their steps; the clock stands still."""
        steppers = processes or (self.one,)

        async def ended() -> bool:
            for process in steppers:
                await process.backfill.step()
            await self.tick()
            return not await self.admin.fetchval(OPEN)

        await until(ended, "the back-fill ended")
        await self.decided()

    async def filled_so_far(self) -> None:
        """Until every customer was told of the edits; the alarms that this set have not gone off."""

        async def passed() -> bool:
            await self.one.backfill.step()
            return not await self.admin.fetchval("SELECT count(*) FROM backfills WHERE pass = 1 AND ended_at IS NULL")

        await until(passed, "everybody was told")

    async def inside(self, segment: str) -> list[str]:
        """Who is in a segment."""
        return [row["customer_id"] for row in await self.pool.fetch(INSIDE, SHOP, segment)]

    async def told(self, *kinds: type[Data]) -> list[Event[Data]]:
        """Facts of these kinds, in order."""
        decoder = Decoder(MEMBERSHIPS.events)
        rows = await self.pool.fetch("SELECT body FROM outbox WHERE topic = $1 ORDER BY xid, id", MEMBERSHIPS.name)
        decoded = [decoder.decode(row["body"]) for row in rows]
        return [each for each in decoded if isinstance(each, Event) and isinstance(each.data, kinds)]

    async def asked(self) -> int:
        """How many rechecks there ever were."""
        count: Any = await self.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = $1", SEGMENTATION_WORK.name)
        return int(count)


@asynccontextmanager
async def open_stage(dsn: str, **others: object) -> AsyncIterator[Stage]:
    """On an empty database."""
    await migrate(_settings(dsn), NAMES)
    async with join_stage(dsn, **others) as stage:
        await stage.one.rulebooks.load(stage.clock.at)
        await stage.admin.execute(UNWAITED)  # of the preset's segments: there is no older process to wait for
        yield stage


@asynccontextmanager
async def join_stage(dsn: str, **others: object) -> AsyncIterator[Stage]:
    """On a database where all is there."""
    settings = _settings(dsn, **others)
    async with open_pool(settings, "segmentation") as pool:
        admin = await asyncpg.connect(dsn, server_settings={"search_path": "segmentation"})
        ingest = await asyncpg.connect(dsn, server_settings={"search_path": "ingest"})
        try:
            yield Stage(pool, admin, ingest, settings)
        finally:
            await ingest.close()
            await admin.close()


def _settings(dsn: str, **others: object) -> Settings:
    quick: dict[str, object] = {"poll_ms": 20, "backfill_per_s": 100_000, "pool_max_connections": 8}
    where = {"database": re.sub("//[^@/]*@", "//", dsn), "admin_database": dsn}
    return Settings.model_validate(where | quick | others)
