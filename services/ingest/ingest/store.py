"""All SQL that writes what ingest takes in, but the vault's."""

from collections.abc import Sequence

from common.contracts.envelope import Data, Event
from common.db.engine import Connection

# Of a transaction that writes no event before it is stamped (see flusher.py).
TAKE_TRANSACTION_ID = "SELECT pg_current_xact_id()::text"

# A tick says nothing once a later one stands: without this an idle shop would fill its disk with them. Served by the
# outbox's primary key.
FORGET_TICKS = """
DELETE FROM outbox WHERE topic = $1 AND part = ANY($2::smallint[]) AND xid = ANY($3::text[]::xid8[]) AND key = ''
"""

# In key order, so that two processes taking the same events never wait for each other in a circle.
REMEMBER = """
INSERT INTO seen (shop_id, source, id) SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING RETURNING shop_id, source, id
"""

EventKey = tuple[str, str, str]  # shop_id, source, id


def key_of(event: Event[Data]) -> EventKey:
    """What makes an event the same as another."""
    return event.shop_id, event.source, event.id


async def remember(connection: Connection, keys: Sequence[EventKey]) -> set[EventKey]:
    """Notes the keys; returns those that were never seen before."""
    if not keys:
        return set()
    rows = await connection.fetch(REMEMBER, *zip(*keys, strict=True))
    return {(shop_id, source, id_) for shop_id, source, id_ in rows}
