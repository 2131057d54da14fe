"""The ledger: orders that each earn points, until their postings are committed; and whether the points add up."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg

from common.contracts.topics import INGEST_EVENTS
from common.db.engine import Connection, open_pool
from common.shops import load_shops
from loyalty import app as loyalty
from loyalty import presets as loyalty_presets
from regulars.bench import figures, road_stage, roads
from regulars.bench.as_received import orders_completed
from regulars.bench.figures import Figure
from regulars.bench.stage import Stage

CUSTOMERS = 5_000
ORDERS_OF_EACH = 6
ROUNDS = 3  # of ours and of the bare one in turn; the best of each counts

POSTINGS = "SELECT * FROM postings ORDER BY at, customer_id"
ACCOUNTS = "SELECT sum(balance), count(*) FROM accounts"
LEDGER = """
SELECT sum(CASE WHEN destination = 'customer' THEN points ELSE -points END), count(*) FROM postings
"""
LOAD = """
SELECT customer_id, balance FROM accounts WHERE (shop_id, customer_id) IN (
    SELECT * FROM unnest($1::text[], $2::text[])) FOR UPDATE
"""
STAND = """
INSERT INTO accounts (shop_id, customer_id, balance, tier, opened_at, updated_at)
SELECT *, 'regular', $4, $4 FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (shop_id, customer_id) DO UPDATE SET balance = EXCLUDED.balance, updated_at = EXCLUDED.updated_at
"""
POST = """
INSERT INTO postings
    (shop_id, customer_id, posting_id, kind, source, destination, points, balance, order_id, at, cause)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
    $8::bigint[], $9::text[], $10::timestamptz[], $11::text[])
"""


async def measure(stage: Stage) -> list[Figure]:
    """Loyalty's road on the PostgreSQL bus, where every event is a completed order."""
    events = orders_completed(stage.amount(CUSTOMERS), ORDERS_OF_EACH)
    ours: list[float] = []
    bare: list[float] = []
    async with stage.database() as database, open_pool(database.settings, "loyalty") as pool:
        admin = await asyncpg.connect(database.dsn)
        try:
            await road_stage.fill(database, INGEST_EVENTS, events)
            for _ in range(ROUNDS):
                await road_stage.clear(admin, "loyalty")
                samples = await road_stage.run_road(database.settings, "loyalty", len(events))
                ours.append(road_stage.rate(samples))
                async with pool.acquire() as connection:
                    points = await add_up(connection, len(events))
                    rows = await connection.fetch(POSTINGS)
                    await road_stage.clear(admin, "loyalty")
                    road_stage.quiet()
                    batch = database.settings.batch_max_messages
                    bare.append(await post(connection, [tuple(row) for row in rows], batch))
                    if points != await add_up(connection, len(events)):
                        raise AssertionError("the bare script has given other points")
            service = loyalty.service(loyalty_presets.load(load_shops()))
            on_road, bare_road = await roads.compare(admin, database.settings, service, events)
        finally:
            await admin.close()
    what = (
        f"{len(events):,} completed orders from the PostgreSQL bus through loyalty, each earns points; points add up; "
        f"best of {ROUNDS}; ceiling: read and write the accounts and insert the same postings, in the same batches"
    )
    whole = f"the same; {roads.CEILING}"
    return [
        figures.rate("postings", max(ours), "postings/s", what, max(bare)),
        figures.rate("postings.road", on_road, "postings/s", whole, bare_road),
    ]


async def add_up(connection: Connection, postings: int) -> int:
    """The points that the customers hold, which the ledger must say as well."""
    ((balances, _),) = await connection.fetch(ACCOUNTS)
    ((moved, count),) = await connection.fetch(LEDGER)
    if balances != moved or count != postings:
        raise AssertionError(f"{count} postings of {moved} points, accounts hold {balances}; asked for {postings}")
    return int(balances)


async def post(connection: Connection, postings: Sequence[tuple[Any, ...]], batch: int) -> float:
    """Postings per second, bare: no bus, no decision, no state, no facts."""
    began = time.perf_counter()
    for start in range(0, len(postings), batch):
        rows = postings[start : start + batch]
        async with connection.transaction():
            earned: Counter[tuple[str, str]] = Counter()
            for shop, customer, _, _, _, _, points, *_ in rows:
                earned[shop, customer] += points
            keys = sorted(earned)
            shops, customers = [key[0] for key in keys], [key[1] for key in keys]
            stood = {row[0]: row[1] for row in await connection.fetch(LOAD, shops, customers)}
            balances = [stood.get(key[1], 0) + earned[key] for key in keys]
            await connection.execute(STAND, shops, customers, balances, rows[-1][9])
            await connection.execute(POST, *zip(*rows, strict=True))
    return len(postings) / (time.perf_counter() - began)
