"""The ceiling of `timers`: claims due rows of the same table, updates each and writes one outbox row for it."""

from datetime import datetime, timedelta

import asyncpg

from common.ids import PARTITIONS

PART = PARTITIONS  # one more than there are: its rows lie in the table of journeys, but no consumer holds it
TOPIC = "bare"
REARM = timedelta(hours=2)  # beyond every due time of a round

# Served by states_wake, as journeys' own claim is.
CLAIM = """
SELECT shop_id, customer_id, body, wake_at FROM states WHERE part = $1 AND wake_at < $2
ORDER BY wake_at LIMIT $3 FOR UPDATE SKIP LOCKED
"""
UPDATE = """
UPDATE states s SET body = n.body, wake_at = n.wake_at
FROM unnest($1::text[], $2::text[], $3::json[], $4::timestamptz[]) AS n (shop_id, customer_id, body, wake_at)
WHERE s.shop_id = n.shop_id AND s.customer_id = n.customer_id
"""
TELL = "INSERT INTO outbox (topic, part, key, body) SELECT $1, $2, key, $4 FROM unnest($3::text[]) AS key"


async def claim_all(connection: asyncpg.Connection, before: datetime, batch: int, fact: bytes) -> int:
    """Until nothing is due before that moment; how many rows there were."""
    claimed = 0
    while True:
        async with connection.transaction():
            rows = await connection.fetch(CLAIM, PART, before, batch)
            if not rows:
                return claimed
            shops, customers = [row["shop_id"] for row in rows], [row["customer_id"] for row in rows]
            later = [row["wake_at"] + REARM for row in rows]
            await connection.execute(UPDATE, shops, customers, [row["body"] for row in rows], later)
            keys = [f"{shop}/{customer}" for shop, customer in zip(shops, customers, strict=True)]
            await connection.execute(TELL, TOPIC, PART, keys, fact)
        claimed += len(rows)
