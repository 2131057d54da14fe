"""States: one row per customer and service, loaded and saved a batch at a time."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from common.db.engine import Connection
from common.decision import MAX_PASSED_ON

Key = tuple[str, str]  # shop_id, customer_id
StateRow = tuple[str, str, int, str, datetime | None]  # shop_id, customer_id, part, body, wake_at

# In key order, so that two writers of the same customers never wait for each other in a circle.
LOAD = """
SELECT s.shop_id, s.customer_id, s.body FROM unnest($1::text[], $2::text[]) AS k (shop_id, customer_id)
JOIN states s USING (shop_id, customer_id) ORDER BY s.shop_id, s.customer_id FOR UPDATE OF s
"""

SAVE = """
INSERT INTO states (shop_id, customer_id, part, body, wake_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::json[], $5::timestamptz[])
ON CONFLICT (shop_id, customer_id) DO UPDATE SET body = EXCLUDED.body, wake_at = EXCLUDED.wake_at
"""

# Served by states_wake. The floor keeps the scan off the dead index entries of alarms that already went off: behind
# an old snapshot they cannot be cleaned away, and walking them again at every claim costs ten times the work.
DUE = """
SELECT s.shop_id, s.customer_id, s.part, s.wake_at
FROM unnest($1::smallint[], $2::timestamptz[], $3::timestamptz[]) AS w (part, floor, watermark)
CROSS JOIN LATERAL (
    SELECT * FROM states WHERE states.part = w.part AND wake_at >= w.floor AND wake_at < w.watermark
    ORDER BY wake_at LIMIT $4) AS s
"""

# Served by the primary key.
BODY = "SELECT body FROM states WHERE shop_id = $1 AND customer_id = $2"

# By the primary key, as often as the customer was merged. `hops` ends what would go in a circle.
CANONICAL = """
WITH RECURSIVE lives AS (
    SELECT $2::text AS customer_id, 0 AS hops
    UNION ALL
    SELECT s.body->>'into', hops + 1 FROM lives JOIN states s ON s.shop_id = $1 AND s.customer_id = lives.customer_id
    WHERE s.body->>'into' IS NOT NULL AND hops < $3
) SELECT customer_id FROM lives ORDER BY hops DESC LIMIT 1
"""


async def load(connection: Connection, keys: Sequence[Key]) -> dict[Key, str]:
    """The stored bodies of those customers that have one, locked until the transaction ends."""
    shops, customers = [k[0] for k in keys], [k[1] for k in keys]
    return {(shop, customer): body for shop, customer, body in await connection.fetch(LOAD, shops, customers)}


async def body(connection: Connection, shop_id: str, customer_id: str) -> str | None:
    """The customer's stored body to look at, or None."""
    found: str | None = await connection.fetchval(BODY, shop_id, customer_id)
    return found


async def canonical(connection: Connection, shop_id: str, customer_id: str) -> str:
    """The customer that lives on under another id if this one was merged, else the same."""
    return str(await connection.fetchval(CANONICAL, shop_id, customer_id, MAX_PASSED_ON))


async def save(connection: Connection, rows: Sequence[StateRow]) -> None:
    """Saves the rows, one per customer."""
    if rows:
        await connection.execute(SAVE, *zip(*sorted(rows, key=lambda row: row[:2]), strict=True))


async def due(
    connection: Connection, windows: Mapping[int, tuple[datetime, datetime]], limit: int
) -> list[tuple[Key, int, datetime]]:
    """Customers whose alarm is at or after a partition's floor and before its watermark, earliest first in each."""
    each = max(1, limit // max(1, len(windows)))
    floors, watermarks = [w[0] for w in windows.values()], [w[1] for w in windows.values()]
    rows = await connection.fetch(DUE, list(windows), floors, watermarks, each)
    return [((shop, customer), part, wake_at) for shop, customer, part, wake_at in rows]
