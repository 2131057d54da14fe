"""A stage for the road: the toy service in a schema of its own, its topic to write to, and all that it has saved."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

import asyncpg
import msgspec

from common.bus.bell import Bell
from common.bus.port import Bus, Subscription
from common.bus.postgres import PostgresBus
from common.clock import FrozenClock
from common.contracts.envelope import Data, Decoder, Event, encode
from common.contracts.ingest import Tick
from common.db import outbox
from common.db.engine import Connection, open_pool
from common.db.outbox import Row
from common.decision import Stored
from common.ids import PARTITIONS, partition_of
from common.pipeline import Road
from common.service import Saved, Service
from common.settings import Settings
from tests.contract.schemas import make_schema, settings_for
from tests.contract.waiting import until
from tests.laws.counting import Counted, Reminded, State, service, topics
from tests.laws.streams import SHOP, START, event

UNSAVED = "unsaved"  # customers named so: the toy's tables do not take their rows
UNREMINDED = "unreminded"  # customers named so: they do not take their reminders
TABLES = (
    f"CREATE TABLE totals (customer_id text PRIMARY KEY CHECK (customer_id NOT LIKE '{UNSAVED}%'), count bigint)",
    f"CREATE TABLE reminders (customer_id text CHECK (customer_id NOT LIKE '{UNREMINDED}%'), told text)",
)
TOTAL = """INSERT INTO totals SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (customer_id) DO UPDATE SET count = EXCLUDED.count"""
UNREAD = """SELECT count(*) FROM outbox o LEFT JOIN marks m USING (topic, part)
WHERE o.topic = ANY($1) AND (m.xid IS NULL OR (o.xid, o.id) > (m.xid, m.id))"""


async def project(connection: Connection, saved: Sequence[Saved[State]]) -> None:
    """The toy's own rows, in the transaction of its states."""
    await connection.execute(TOTAL, [one.customer_id for one in saved], [one.stored.state.count for one in saved])
    told = [(one.customer_id, fact.data.of) for one in saved for fact in one.facts if isinstance(fact.data, Reminded)]
    await connection.executemany("INSERT INTO reminders VALUES ($1, $2)", told)


class Letter(NamedTuple):
    """A dead letter, as kept."""

    topic: str
    key: str
    body: bytes
    path: str
    reason: str


class Stage:
    """The toy, its database, and whoever writes to the topic that it reads."""

    def __init__(self, toy: Service[State], pool: asyncpg.Pool, settings: Settings) -> None:
        self.toy, self.pool, self.settings = toy, pool, settings
        self.bell = Bell()
        self.bus: Bus = PostgresBus(pool, self.bell)
        self.events, self.counts, self.work = toy.reads[0].name, toy.writes.name, toy.work.name
        self._decoder = Decoder((Counted, Reminded))
        self._number = 0

    def event(self, customer_id: str, data: Data, at: datetime = START, *, historic: bool = False) -> Event[Data]:
        """The next event of a sender."""
        self._number += 1
        return event(self._number, customer_id, data, at, historic=historic)

    async def write(self, *rows: Row) -> None:
        """Commits the rows in one transaction."""
        async with self.pool.acquire() as connection, connection.transaction():
            await outbox.write(connection, rows)
        for topic in (self.events, self.work):
            self.bell.ring(topic)

    async def publish(self, *events: Event[Data]) -> None:
        """Events on the topic that the toy reads."""
        await self.write(*(outbox.row(self.events, one) for one in events))

    async def tick(self, watermark: datetime) -> None:
        """To every partition: everything received before the watermark stands before this."""
        body = encode(event(0, "*", Tick(watermark), watermark, shop_id="*"))
        await self.write(*((self.events, part, "", body) for part in range(PARTITIONS)))

    def road(self, toy: Service[State] | None = None, *, bus: Bus | None = None, **settings: object) -> Road[State]:
        """A new process of the service, perhaps with another version of it, or other settings."""
        own = self.settings.model_copy(update=settings)
        return Road(toy or self.toy, self.pool, bus or self.bus, FrozenClock(START), own, self.bell)

    @asynccontextmanager
    async def running(self, road: Road[State] | None = None) -> AsyncIterator[Road[State]]:
        """The service, while the context lasts."""
        road = road or self.road()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(road.run())
            yield road
            task.cancel()

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[Subscription]:
        """A subscription as the road makes it, for driving a road by hand."""
        road = self.road()
        async with self.bus.subscribe(self.toy.name, (self.events, self.work), road._load_marks) as subscription:
            yield subscription

    async def decided(self) -> None:
        """Until the marks stand at the end of both topics."""

        async def all_read() -> object:
            return not await self.pool.fetchval(UNREAD, [self.events, self.work])

        await until(all_read, "everything is decided")

    async def woken(self, watermark: datetime) -> None:
        """Until the alarms before the watermark have gone off: only then does the road look at what comes after."""
        for _ in range(2):
            await self.tick(watermark)
            await self.decided()

    async def play(self, road: Road[State] | None = None) -> None:
        """Runs the service until everything is decided."""
        async with self.running(road):
            await self.decided()

    async def facts(self, customer_id: str | None = None) -> list[Data]:
        """What was said, in order."""
        decoded = [self._decoder.decode(body) for body in await self.fact_bodies()]
        facts = [one for one in decoded if isinstance(one, Event)]
        return [one.data for one in facts if customer_id in (None, one.customer_id)]

    async def fact_bodies(self) -> list[bytes]:
        rows = await self.pool.fetch("SELECT body FROM outbox WHERE topic = $1 ORDER BY xid, id", self.counts)
        return [row["body"] for row in rows]

    async def states(self) -> dict[str, Stored[State]]:
        """What is kept, by customer."""
        rows = await self.pool.fetch("SELECT customer_id, body FROM states")
        return {name: msgspec.json.decode(body, type=Stored[State]) for name, body in rows}

    async def counts_of(self) -> dict[str, int]:
        """How many events were counted of each customer: the states and the toy's own table must agree."""
        counts = {name: stored.state.count for name, stored in (await self.states()).items()}
        rows = await self.pool.fetch("SELECT customer_id, count FROM totals")
        totals = {row["customer_id"]: row["count"] for row in rows}
        assert totals == counts
        return counts

    async def letters(self) -> list[Letter]:
        """The dead letters that were kept."""
        rows = await self.pool.fetch("SELECT topic, key, body, path, reason FROM dead_letters ORDER BY id")
        return [Letter(*row) for row in rows]

    async def saved(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table that the service writes."""
        queries = {
            "states": "SELECT * FROM states ORDER BY customer_id",
            "facts": "SELECT topic, part, key, body FROM outbox WHERE topic <> ALL($1) ORDER BY xid, id",
            "marks": "SELECT topic, part, xid::text, id FROM marks WHERE id > 0 ORDER BY topic, part",
            "letters": "SELECT topic, key, body, reason FROM dead_letters ORDER BY id",
            "totals": "SELECT * FROM totals ORDER BY customer_id",
            "reminders": "SELECT * FROM reminders ORDER BY customer_id, told",
        }
        read = [self.events, self.work]
        return {
            name: [tuple(row) for row in await self.pool.fetch(query, *([read] if "$1" in query else []))]
            for name, query in queries.items()
        }

    async def forget(self) -> None:
        """As on the first day."""
        await self.pool.execute("TRUNCATE states, outbox, marks, dead_letters, readers, totals, reminders")
        self._number = 0


@asynccontextmanager
async def open_stage(dsn: str) -> AsyncIterator[Stage]:
    """A schema of its own, and a pool as the service has it."""
    name = f"toy_{uuid4().hex[:12]}"
    settings = settings_for(dsn, pool_max_connections=8)
    await make_schema(dsn, name, topics(name), *TABLES)
    async with open_pool(settings, name) as pool:
        yield Stage(service(name, project), pool, settings)


def key_of(customer_id: str) -> str:
    return f"{SHOP}/{customer_id}"


def part_of(customer_id: str) -> int:
    return partition_of(SHOP, customer_id)


def neighbours(count: int, name: str = "n") -> list[str]:
    """Customers of partition 7, whose names begin so."""
    return [f"{name}{n}" for n in range(100 * count) if part_of(f"{name}{n}") == 7][:count]
