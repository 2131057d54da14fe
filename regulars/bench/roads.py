"""Each service's road, from a full bus to committed states and facts, in one process with that service alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from common.contracts.envelope import Data, Event
from common.contracts.topics import INGEST_EVENTS, Topic
from common.db.engine import Connection, open_pool
from common.service import Service
from common.settings import Settings
from common.shops import load_shops
from journeys import app as journeys
from journeys import presets as journeys_presets
from loyalty import app as loyalty
from loyalty import presets as loyalty_presets
from notifier import app as notifier
from regulars.bench import figures, road_stage
from regulars.bench.as_received import SHOP, customers_of, message_requests, shop_events
from regulars.bench.figures import Figure
from regulars.bench.road_bare import BareRoad
from regulars.bench.road_work import Work, work_of
from regulars.bench.stage import Database, Stage
from regulars.services import Name
from segmentation import app as segmentation
from segmentation import presets as segmentation_presets

EVENTS = 30_000
ROUNDS = 3  # of ours and of the bare one in turn; the best of each counts
CEILING = "ceiling: decode, read and write one row per customer, as many rows of its own and facts, a commit per batch"


def services() -> tuple[Service[Any], ...]:
    """Those that read the bus; notifier last, since its source is what journeys would have written."""
    shops = load_shops()
    return (
        segmentation.service(segmentation_presets.load(shops)),
        loyalty.service(loyalty_presets.load(shops)),
        journeys.service(journeys_presets.load(shops)),
        notifier.service(),
    )


def besides(name: str) -> str:
    """What a figure of segmentation must say: how much it is asked about each event."""
    if name != "segmentation":
        return ""
    book = segmentation_presets.load(load_shops())[SHOP]
    return f" with {len(book.models)} models and {len(book.segments)} segments live"


async def measure(stage: Stage) -> list[Figure]:
    """All services on PostgreSQL, then on Kafka where there is one."""
    measured: list[Figure] = []
    count = stage.amount(EVENTS)
    bootstrap = await stage.kafka("roads.*.kafka")
    async with stage.database() as database:
        admin = await asyncpg.connect(database.dsn)
        try:
            events: dict[Topic, Sequence[Event[Data]]] = {}
            buses = {"postgres": database.settings}
            if bootstrap is not None:
                buses["kafka"] = database.settings.model_copy(update={"kafka": bootstrap})
            for service in reversed(services()):  # notifier first: its other source, the shop's events, is empty then
                topic = service.reads[0]
                if topic not in events:
                    events[topic] = shop_events(count) if topic == INGEST_EVENTS else message_requests(count)
                    await _fill(database, buses, topic, events[topic])
                found: list[Figure] = []
                for bus, settings in buses.items():
                    ours, bare = await compare(admin, settings, service, events[topic])
                    of = f"{len(events[topic]):,} events of {customers_of(events[topic]):,} customers"
                    what = f"{service.name} from {bus}{besides(service.name)}, {of}; best of {ROUNDS}; {CEILING}"
                    found.append(figures.rate(f"roads.{service.name}.{bus}", ours, "events/s", what, bare))
                measured = [*found, *measured]
        finally:
            await admin.close()
    return measured


async def _fill(database: Database, buses: Mapping[str, Settings], topic: Topic, events: Sequence[Event[Data]]) -> None:
    """Into the owner's outbox, and from there to Kafka."""
    await road_stage.fill(database, topic, events)
    if "kafka" in buses:
        await road_stage.publish(buses["kafka"], topic)


async def compare(
    admin: asyncpg.Connection, settings: Settings, service: Service[Any], events: Sequence[Event[Data]]
) -> tuple[float, float]:
    """Events per second of ours and of the bare road, in turn, the best of each."""
    ours: list[float] = []
    bare: list[float] = []
    name: Name = service.name  # type: ignore[assignment]  # they are the names of services
    topic = service.reads[0]
    for _ in range(ROUNDS):
        await road_stage.clear(admin, name)
        if settings.kafka:
            await road_stage.rewind(settings.kafka, name, topic.name)
        async with road_stage.counted(admin, name) as counts:
            ours.append(road_stage.rate(await road_stage.run_road(settings, name, len(events))))
        async with open_pool(settings, name) as pool, pool.acquire() as connection:
            work = await work_of(connection, service, events, counts)
            rows = await _rows(connection, work)
            await road_stage.clear(admin, name)
            road = BareRoad(connection, topic, work)
            batch = settings.batch_max_messages
            source = road.from_kafka(settings.kafka, batch) if settings.kafka else road.from_postgres(batch)
            road_stage.quiet()
            bare.append(road_stage.rate(await road.run(source)))
            await source.aclose()
            if rows != (done := await _rows(connection, work)):
                raise AssertionError(f"{name}: ours left {rows} rows behind, the bare road {done}")
    await road_stage.clear(admin, name)
    return max(ours), max(bare)


async def _rows(connection: Connection, work: Work) -> dict[str, int]:
    tables = ["states", "outbox", *(own.table for own in work.own)]
    return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
