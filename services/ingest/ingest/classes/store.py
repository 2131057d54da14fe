"""SQL of what classes were told last, of each customer a row.

As with carts and orders: the rows of a flush are locked by one statement, and what has changed is written by another.
What a later transaction wrote, or made after we looked, means that the bus tells it after ours: the flush is overtaken.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec
from msgspec import Struct

from common.db.engine import Connection
from ingest.domain.telling_classes import Key
from ingest.domain.told_classes import NOTHING, Told
from ingest.store import locked, save_next

# In key order, so that two flushes never wait for each other in a circle. Served by the primary key, as is SAVE.
LOCK = """
SELECT t.shop_id, t.customer_id, t.revision, t.body, age(t.xmin) < age(pg_current_xact_id()::xid)
FROM unnest($1::text[], $2::text[]) AS k (shop_id, customer_id)
JOIN told_classes t USING (shop_id, customer_id) ORDER BY t.shop_id, t.customer_id FOR UPDATE OF t
"""
# A row that is none of ours to change has another revision, and is left out of the count.
SAVE = """
INSERT INTO told_classes AS t (shop_id, customer_id, revision, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::json[]) ORDER BY 1, 2
ON CONFLICT (shop_id, customer_id) DO UPDATE SET revision = EXCLUDED.revision, body = EXCLUDED.body
WHERE t.revision = EXCLUDED.revision - 1
"""
# Of those who are told as erased ($3) a row is made where there is none: see migration 0010.
FORGET = """
INSERT INTO told_classes AS t (shop_id, customer_id, revision, body)
SELECT $1, id, 1, '{}' FROM unnest($2::text[]) AS id
WHERE id = ANY($3) OR EXISTS (SELECT FROM told_classes WHERE (shop_id, customer_id) = ($1, id)) ORDER BY id
ON CONFLICT (shop_id, customer_id) DO UPDATE SET revision = t.revision + 1, body = '{}'
"""

_TOLD = msgspec.json.Decoder(Told)


class KnownTold(Struct, frozen=True):
    """What was told, and how often its row was written."""

    told: Told = NOTHING
    revision: int = 0


async def lock(connection: Connection, keys: Collection[Key]) -> dict[Key, KnownTold]:
    """What is known of those of whom anything is, locked until the transaction ends. Raises Overtaken."""
    rows = await locked(connection, LOCK, keys)
    return {key: KnownTold(_TOLD.decode(body), revision) for key, revision, body in rows}


async def save(connection: Connection, known: Mapping[Key, KnownTold]) -> None:
    """Writes them, each as the next revision. Raises Overtaken."""
    rows = [(*key, each.revision + 1, msgspec.json.encode(each.told).decode()) for key, each in known.items()]
    await save_next(connection, SAVE, rows)


async def forget(connection: Connection, shop_id: str, ids: Sequence[str], erased: Sequence[str]) -> None:
    """Empties what is known of the ids; `erased` are those of them that are told as erased."""
    # First the rows that there are, then those that are made: as a flush does, else the two might wait in a circle.
    await connection.execute(LOCK, [shop_id] * len(ids), ids)
    await connection.execute(FORGET, shop_id, ids, erased)
