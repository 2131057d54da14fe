"""Around one service's road: what it reads is there already; what it writes is awaited, counted and cleared again."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from common.bus.kafka import make_topics
from common.contracts.envelope import Data, Event
from common.contracts.topics import TOPICS, Topic
from common.db import outbox
from common.db.engine import open_pool
from common.house import GC_THRESHOLDS, Loop, build_house
from common.ids import PARTITIONS
from common.service import Service
from common.settings import Settings
from common.telemetry import metrics
from regulars.bench.stage import Database
from regulars.openers import OPENERS
from regulars.services import Name

LOOK_EVERY_S = 0.005
DEADLINE_S = 300.0  # for whatever is awaited: it has gone wrong then
KEPT_TABLES = ("alembic_version", "readers")

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename <> ALL($2::text[]) ORDER BY 1"
COUNTS = """
SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = $1
"""
PUBLISHED = """
SELECT (SELECT sum(id) FROM ingest_or_other.readers WHERE topic = $1) =
    (SELECT sum(last) FROM (SELECT max(id) AS last FROM ingest_or_other.outbox WHERE topic = $1 GROUP BY part) AS ends)
"""


class Sample(NamedTuple):
    """Where a run stood: by the wall's clock, by the time our process has had of a processor, by events."""

    at: float
    cpu: float
    events: int


class Counts(NamedTuple):
    """One table: rows added, rows changed, and those of the latter that no index had to hear of."""

    added: int = 0
    changed: int = 0
    hot: int = 0


def measured(samples: Sequence[Sample]) -> tuple[Sample, Sample]:
    """From the first batch done, if there are several, to the last: whatever joins, connects and plans has then."""
    return samples[1 if len(samples) > 2 else 0], samples[-1]  # noqa: PLR2004 - the start, and at least two batches


def rate(samples: Sequence[Sample]) -> float:
    """Events per second."""
    first, last = measured(samples)
    return (last.events - first.events) / (last.at - first.at)


def now(events: int) -> Sample:
    """A sample of this moment."""
    return Sample(time.perf_counter(), time.process_time(), events)


def quiet() -> None:
    """The collector as a running house has it, with nothing old to look through."""
    gc.set_threshold(*GC_THRESHOLDS)
    gc.collect()
    gc.freeze()


async def fill(database: Database, topic: Topic, events: Sequence[Event[Data]]) -> None:
    """The events in their owner's outbox, in transactions as large as ingest's own under load."""
    size = database.settings.flush_max_events
    async with open_pool(database.settings, topic.owner) as pool, pool.acquire() as connection:
        for start in range(0, len(events), size):
            async with connection.transaction():
                rows = [outbox.row(topic.name, event) for event in events[start : start + size]]
                await outbox.write(connection, rows)
        await connection.execute("VACUUM (ANALYZE) outbox")


async def publish(settings: Settings, topic: Topic) -> float:
    """The owner's outbox on Kafka, through its relay; how many seconds that took, its start included."""
    assert settings.kafka is not None
    await make_topics(settings.kafka, [name for each in TOPICS for name in (each.name, each.dead)])
    house = build_house(settings)
    async with open_pool(settings, topic.owner) as pool, asyncio.timeout(DEADLINE_S):
        (relay,) = house.relays(pool, topic.owner)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(relay())
            is_published = PUBLISHED.replace("ingest_or_other", topic.owner)
            while not await pool.fetchval(is_published, topic.name):  # noqa: ASYNC110 - it tells its table alone
                await asyncio.sleep(LOOK_EVERY_S)  # waits: for the relay, a task of ours
            seconds = time.perf_counter() - began
            running.cancel()
    return seconds


async def rewind(bootstrap: str, group: str, topic: str) -> None:
    """The group begins again at the topic's first message."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        parts = [TopicPartition(topic, part) for part in range(PARTITIONS)]
        consumer.assign(parts)
        await consumer.commit(dict.fromkeys(parts, 0))
    finally:
        await consumer.stop()


async def clear(admin: asyncpg.Connection, service: str) -> None:
    """The service as it was before its first event."""
    tables = [f"{service}.{table}" for (table,) in await admin.fetch(TABLES, service, KEPT_TABLES)]
    await admin.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
    await admin.execute("CHECKPOINT")


@asynccontextmanager
async def counted(admin: asyncpg.Connection, service: str) -> AsyncIterator[dict[str, Counts]]:
    """Filled at the end: what was written in between, by table."""
    before = await _counts(admin, service)
    found: dict[str, Counts] = {}
    yield found
    rows = await admin.fetchval(f"SELECT count(*) FROM {service}.states")
    async with asyncio.timeout(DEADLINE_S):
        while True:
            after = await _counts(admin, service)
            for table in after:
                differences = zip(after[table], before.get(table, Counts()), strict=True)
                found[table] = Counts(*(now - then for now, then in differences))
            if found["states"].added >= rows:
                return
            await asyncio.sleep(LOOK_EVERY_S)  # waits: for the server to count what a closed connection has done


async def _counts(admin: asyncpg.Connection, service: str) -> dict[str, Counts]:
    return {table: Counts(*counts) for table, *counts in await admin.fetch(COUNTS, service)}


async def run_road(settings: Settings, service: Name, events: int) -> list[Sample]:
    """The service as it runs in production, without its routes and relay, until it has decided so many events."""
    async with OPENERS[service](build_house(settings)) as part:
        return await _sampled(service, part.loops[0], part.ready, events)


async def run_service(settings: Settings, service: Service[Any], events: int) -> list[Sample]:
    """The same with a service of one's own."""
    house = build_house(settings)
    async with house.pool(service.name) as pool:
        road = house.road(service, pool)
        return await _sampled(service.name, road.run, road.ready, events)


async def _sampled(name: str, loop: Loop, ready: Callable[[], str | None], events: int) -> list[Sample]:
    quiet()
    begun = decided(name)
    async with asyncio.timeout(DEADLINE_S):
        samples = [now(0)]
        async with asyncio.TaskGroup() as tasks:
            road = tasks.create_task(loop())
            while samples[-1].events < events:
                await asyncio.sleep(LOOK_EVERY_S)  # waits: for the road
                if road.done():
                    raise AssertionError(f"{name} stopped: {ready()}")
                done = decided(name) - begun
                if done > samples[-1].events:
                    samples.append(now(done))
            road.cancel()
    return samples


def decided(service: str) -> int:
    """Events that the service's road has decided in this process."""
    return _value(metrics.ROAD_EVENTS.labels(service).collect())


def woken(service: str) -> int:
    """Timers that it has played."""
    return _value(metrics.ROAD_TIMERS.labels(service).collect())


def _value(collected: Iterable[Any]) -> int:
    (metric,) = collected
    return int(metric.samples[0].value)
