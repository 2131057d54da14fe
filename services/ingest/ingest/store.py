"""SQL of a flush itself: which events were never seen before, ticks that may go, and how rows of what is known are held
and written. Every room keeps its own statements."""

from collections.abc import Collection, Sequence
from typing import Any

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

# Of the keys that stood there already: whether a later transaction than this one has written any of them. Younger is
# later; age() reckons with ids that have come round.
OVERTAKEN = """
SELECT EXISTS (
    SELECT FROM seen JOIN unnest($1::text[], $2::text[], $3::text[]) AS k (shop_id, source, id)
    USING (shop_id, source, id) WHERE age(seen.xmin) < age(pg_current_xact_id()::xid))
"""

COUNT_SEEN = """
SELECT count(*) FROM seen JOIN unnest($1::text[], $2::text[], $3::text[]) AS k (shop_id, source, id)
USING (shop_id, source, id)
"""

EventKey = tuple[str, str, str]  # shop_id, source, id
Locked = tuple[tuple[Any, ...], int, str]  # key, revision, body


def key_of(event: Event[Data]) -> EventKey:
    """What makes an event the same as another."""
    return event.shop_id, event.source, event.id


class Overtaken(Exception):
    """A later transaction, which ended earlier, wrote what ours goes by: a repeat, or what is known of somebody or
    something. What follows of it in ours would be read before it: nothing of ours may commit, and the next try has a
    later id than both."""


async def remember(connection: Connection, keys: Sequence[EventKey]) -> set[EventKey]:
    """Notes the keys; returns those that were never seen before. Raises Overtaken."""
    if not keys:
        return set()
    rows = await connection.fetch(REMEMBER, *zip(*keys, strict=True))
    fresh = {(shop_id, source, id_) for shop_id, source, id_ in rows}
    repeats = [key for key in keys if key not in fresh]
    if fresh and repeats and await connection.fetchval(OVERTAKEN, *zip(*repeats, strict=True)):
        raise Overtaken
    return fresh


async def locked(connection: Connection, statement: str, keys: Collection[tuple[str, ...]]) -> list[Locked]:
    """What is known by these keys, locked until the transaction ends. `statement` gives the key's columns, the
    revision, the body, and whether a later transaction wrote the row, for arrays of the key's columns. Raises
    Overtaken."""
    rows: list[Locked] = []
    for *key, revision, body, overtaken in await connection.fetch(statement, *zip(*keys, strict=True)):
        if overtaken:
            raise Overtaken
        rows.append((tuple(key), revision, body))
    return rows


async def save_next(connection: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Writes the rows, each as the next revision; `statement` leaves out those whose revision is another by now. Raises
    Overtaken."""
    if rows and counted(await connection.execute(statement, *zip(*rows, strict=True))) != len(rows):
        raise Overtaken


def counted(status: str) -> int:
    """How many rows, of `INSERT 0 3` or `DELETE 3`."""
    return int(status.rpartition(" ")[2])


async def seen(connection: Connection, keys: Sequence[EventKey]) -> int:
    """How many of the keys were seen before."""
    return int(await connection.fetchval(COUNT_SEEN, *zip(*keys, strict=True))) if keys else 0
