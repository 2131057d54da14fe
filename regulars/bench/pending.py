"""The tables of `on_time`: customers who each have a change of their place pending, evenly one after the other.

Turn by turn the changes are the road's, and the bare script's, in a partition of its own that no consumer holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from msgspec import structs

from common.clock import FrozenClock
from common.db.engine import open_pool
from common.ids import PARTITIONS
from common.service import Saved
from common.shops import load_shops
from regulars.bench import timers_bare
from regulars.bench.as_received import SHOP
from regulars.bench.bulk import without_indexes
from regulars.bench.lived import Lived
from regulars.bench.stage import Database
from segmentation import presets
from segmentation.domain.profile.state import Profile
from segmentation.models.rfm_publication import Publication, scaled
from segmentation.rulebooks.held import Rulebooks
from segmentation.store import project

ANY_DAY = datetime(2030, 1, 2, 10, tzinfo=UTC)  # in no shop near midnight
BESIDE = 10  # customers whose change comes at one instant
STEP = timedelta(milliseconds=100)  # from instant to instant
CHUNK = 1_000  # steps whose profiles are moved from one
SPREAD = 7_919  # a prime that divides no number of customers: walks over the whole table
PREFIX = "p"  # before a customer's number

NAME = f"'{PREFIX}' || n"
PLAYED = "CREATE TEMP TABLE played (step bigint, body text)"
# Partitions as ids.partition_of; PostgreSQL's crc32 is zlib's.
STATES = f"""
INSERT INTO segmentation.states (shop_id, customer_id, part, body, wake_at)
SELECT '{SHOP}', {NAME}, CASE WHEN step / $2::bigint % 2 = 1 THEN {timers_bare.PART}
    ELSE crc32(('{SHOP}/' || {NAME})::bytea) % {PARTITIONS} END, body::json, $3::timestamptz + step * $4::interval
FROM (SELECT place * {SPREAD} % $1::bigint AS n FROM generate_series(0, $1::bigint - 1) AS place) AS customers
JOIN played ON step = n / {BESIDE}
"""
NOBODY_IS_BEHIND = "DELETE FROM backfills"
BUYERS = "segmentation.purchasers"
COLUMNS = "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped"
# What the service writes besides of the first customer of a chunk, by the chunk's number, and then of all of it.
WRITTEN = "CREATE TEMP TABLE written AS SELECT * FROM {table}; TRUNCATE {table}"
COPIES = """
INSERT INTO {table} ({columns})
SELECT {values} FROM generate_series(0, $1::bigint - 1) AS n JOIN written ON customer_id = (n / $2::bigint)::text
"""


@dataclass(frozen=True)
class Plan:
    """When each customer's change comes: `customers` of them, by their numbers, from `opens` on."""

    opens: datetime
    customers: int  # a multiple of BESIDE
    turn_steps: int  # so many are the road's, then so many the bare script's

    @property
    def dues(self) -> list[datetime]:
        """All instants at which something changes."""
        return [self.opens + step * STEP for step in range(self.customers // BESIDE)]

    @property
    def turn(self) -> timedelta:
        """How long one lasts."""
        return self.turn_steps * STEP

    def due(self, customer: str) -> datetime:
        """When this one's change comes."""
        return self.opens + int(customer.removeprefix(PREFIX)) // BESIDE * STEP

    def begin(self, turn: int) -> datetime:
        """Of a turn; those with even numbers are the road's."""
        return self.opens + turn * self.turn


async def load(database: Database, plan: Plan) -> None:
    """Into empty tables. Everybody has been asked by the presets and by a scale of RFM, as on any day: no back-fill is
    under way."""
    chunks = [plan.dues[start : start + CHUNK] for start in range(0, len(plan.dues), CHUNK)]
    admin = await asyncpg.connect(database.dsn)
    try:
        async with open_pool(database.settings, "segmentation") as pool:
            books = presets.load(load_shops())
            rulebooks = Rulebooks(pool, books, scaled)
            await rulebooks.load(plan.opens)
            async with pool.acquire() as connection:
                await project(connection, _first(Lived(rulebooks), chunks))
            await _copy(admin, plan, BUYERS)  # of whom the scale is made
            await Publication(pool, books, FrozenClock(plan.opens)).step()
            await rulebooks.refresh()
            lived = Lived(rulebooks)
            async with pool.acquire() as connection:
                await connection.execute("TRUNCATE memberships")
                await project(connection, _first(lived, chunks))
                await connection.execute(NOBODY_IS_BEHIND)
            await _copy(admin, plan, "segmentation.memberships")
        await admin.execute(PLAYED)
        for number, dues in enumerate(chunks):
            rows = enumerate(lived.profiles(dues), number * CHUNK)
            await admin.copy_records_to_table("played", records=rows, columns=["step", "body"])
        async with without_indexes(admin, "segmentation.states"):
            await admin.execute(STATES, plan.customers, plan.turn_steps, plan.opens, STEP)
        assert await admin.fetchval("SELECT count(*) FROM segmentation.states") == plan.customers
    finally:
        await admin.close()


def _first(lived: Lived, chunks: Sequence[Sequence[datetime]]) -> list[Saved[Profile]]:
    """Of each chunk, called by its number."""
    return [structs.replace(lived.customer(dues[0]), customer_id=str(number)) for number, dues in enumerate(chunks)]


async def _copy(admin: asyncpg.Connection, plan: Plan, table: str) -> None:
    """What the first of each chunk has there, all of it get."""
    await admin.execute(f"DROP TABLE IF EXISTS written; {WRITTEN.format(table=table)}")
    columns = [name for (name,) in await admin.fetch(COLUMNS, table)]
    values = ", ".join(NAME if name == "customer_id" else name for name in columns)
    async with without_indexes(admin, table):
        copies = COPIES.format(table=table, columns=", ".join(columns), values=values)
        await admin.execute(copies, plan.customers, CHUNK * BESIDE)
