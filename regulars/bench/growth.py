"""What an event costs a service that holds few customers, and many: the same events of as many customers, who lie
among few others or among many."""

import random
from collections.abc import Sequence

import asyncpg
import psutil
from msgspec import structs

from common.contracts.envelope import Data, Event
from common.contracts.topics import INGEST_EVENTS
from common.ids import PARTITIONS
from regulars.bench import figures, road_stage
from regulars.bench.as_received import shop_events
from regulars.bench.figures import Figure
from regulars.bench.road_cost import Cost, Meter, later, least
from regulars.bench.stage import Database, Stage
from regulars.services import Name

SERVICES: tuple[Name, ...] = ("segmentation", "loyalty")
CUSTOMERS = (10_000, 100_000, 1_000_000)
PATTERN_EVENTS = 12_000  # lived through by the road itself: their customers are then copied until there are enough
EVENTS = 20_000
ACTIVE = 10_000  # customers the events are of, spread evenly over all: more of them would be more work, not more growth
SEED = 5  # of whom the events are
ROUNDS = 3  # each with events of its own; the best counts

OWN_TABLES = """
SELECT table_name::text, array_agg(column_name::text ORDER BY ordinal_position) FROM information_schema.columns c
JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = $1 AND table_type = 'BASE TABLE' AND table_name NOT IN ('outbox', 'dead_letters')
GROUP BY 1 HAVING 'customer_id' = ANY(array_agg(column_name::text))
"""
NUMBERED = "CREATE TEMP TABLE numbered AS SELECT shop_id, customer_id, row_number() OVER () - 1 AS n FROM states"
COPY = """
INSERT INTO {table} ({columns})
SELECT {values} FROM pattern t JOIN numbered c USING (shop_id, customer_id), generate_series(0, $1::int - 1, $2) AS copy
WHERE copy + c.n < $1
"""
NAME = "'g' || copy + c.n"
# PostgreSQL's crc32 is zlib's.
VALUES = {"customer_id": NAME, "part": f"crc32(convert_to(t.shop_id || '/' || {NAME}, 'UTF8')) % {PARTITIONS}"}


async def measure(stage: Stage) -> list[Figure]:
    """Each service at each size; what it costs at the smallest is the ceiling of the others."""
    measured: list[Figure] = []
    for service in SERVICES:
        smallest: Cost | None = None
        for size in map(stage.amount, CUSTOMERS):
            async with stage.database() as database:
                cost = await _cost(stage, database, service, size)
            what = f"an event of {service} with {size:,} customers, on PostgreSQL; best of {ROUNDS}"
            against = "" if smallest is None else f"; ceiling: with {stage.amount(CUSTOMERS[0]):,}"
            for kind, value in cost._asdict().items():
                ceiling = None if smallest is None else smallest._asdict()[kind]
                name = f"growth.{service}.{size}.{kind.removesuffix('_ms')}"
                measured.append(figures.time(name, value, "ms", what + against, ceiling))
            smallest = smallest or cost
    return measured


async def _cost(stage: Stage, database: Database, service: Name, size: int) -> Cost:
    admin = await asyncpg.connect(database.dsn)
    server = psutil.Process((await stage.server()).pid)
    try:
        pattern = shop_events(stage.amount(PATTERN_EVENTS))
        await road_stage.fill(database, INGEST_EVENTS, pattern)
        await road_stage.run_road(database.settings, service, len(pattern))
        await _multiply(admin, service, size)
        rng = random.Random(SEED)
        costs: list[Cost] = []
        for number in range(ROUNDS):
            events = _spread(rng, number, shop_events(stage.amount(EVENTS)), size)
            await road_stage.fill(database, INGEST_EVENTS, events)
            with Meter(server) as meter:
                samples = await road_stage.run_road(database.settings, service, len(events))
            costs.append(meter.cost(samples))
        if size != (held := await admin.fetchval("SELECT count(*) FROM states")):
            raise AssertionError(f"{service} holds {held} customers, not {size}: the events were others'")
        return least(costs)
    finally:
        await admin.close()


async def _multiply(admin: asyncpg.Connection, service: str, size: int) -> None:
    """Copies the customers that are there, in all tables, until there are `size` of them: g0, g1 and so on."""
    await admin.execute(f"SET search_path = {service}, pg_temp")
    await admin.execute(NUMBERED)
    there = await admin.fetchval("SELECT count(*) FROM numbered")
    for table, columns in await admin.fetch(OWN_TABLES, service):
        await admin.execute(f"CREATE TEMP TABLE pattern AS SELECT * FROM {table}")
        await admin.execute(f"TRUNCATE {table}")
        values = ", ".join(VALUES.get(column, f"t.{column}") for column in columns)
        await admin.execute(COPY.format(table=table, columns=", ".join(columns), values=values), size, there)
        await admin.execute("DROP TABLE pattern")
        await admin.execute(f"VACUUM (ANALYZE) {table}")
    await admin.execute("CHECKPOINT")


def _spread(rng: random.Random, number: int, events: Sequence[Event[Data]], size: int) -> list[Event[Data]]:
    """The events as those of customers among so many, later than the pattern's, and none of them a repeat."""
    apart = max(1, size // ACTIVE)
    moved = (later(event, number) for event in events)
    return [structs.replace(event, customer_id=f"g{apart * rng.randrange(min(size, ACTIVE))}") for event in moved]
