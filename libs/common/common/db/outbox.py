"""The outbox: what a transaction says, written with what it changes, read in the order of `(xid, id)`.

`xid < pg_snapshot_xmin(...)` is the whole secret: a transaction still open may yet commit rows with a lower
sequence, so nothing at or above the oldest open one is read, and a late commit is never skipped.
"""

from collections.abc import Mapping, Sequence

from common.bus.port import Mark, Message
from common.contracts.envelope import Data, Event, encode
from common.db.engine import Connection
from common.ids import partition_of

# Ordinality keeps the identity column in the order of the facts.
WRITE = """
INSERT INTO outbox (topic, part, key, body)
SELECT topic, part, key, body FROM unnest($1::text[], $2::smallint[], $3::text[], $4::bytea[])
    WITH ORDINALITY AS row (topic, part, key, body, n) ORDER BY n
"""

# One index range per partition; served by the outbox's primary key through the topic's view.
READ_AFTER = """
SELECT m.part, row.xid::text::bigint AS xid, row.id, row.key, row.body
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS m (part, xid, id)
CROSS JOIN LATERAL (
    SELECT o.xid, o.id, o.key, o.body FROM {source} AS o
    WHERE o.part = m.part AND (o.xid, o.id) > (m.xid::text::xid8, m.id)
      AND o.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY o.xid, o.id LIMIT $4) AS row
ORDER BY m.part, row.xid, row.id
"""

Row = tuple[str, int, str, bytes]


def place_of(topic: str, shop_id: str, customer_id: str) -> tuple[str, int, str]:
    """Where a customer's rows stand: topic, part, key."""
    return topic, partition_of(shop_id, customer_id), f"{shop_id}/{customer_id}"


def row(topic: str, event: Event[Data]) -> Row:
    """An event as an outbox row."""
    return *place_of(topic, event.shop_id, event.customer_id), encode(event)


async def write(connection: Connection, rows: Sequence[Row]) -> None:
    """Adds the rows in their order, in the caller's transaction."""
    if rows:
        topics, parts, keys, bodies = zip(*rows, strict=True)
        await connection.execute(WRITE, topics, parts, keys, bodies)


async def read_after(
    connection: Connection, source: str, topic: str, marks: Mapping[int, Mark], limit: int
) -> list[Message]:
    """The committed rows of `source` above each partition's mark, each partition in order: at most `limit` in all,
    but at least one of every partition that has any, so that none starves."""
    if not marks:
        return []
    each = max(1, limit // len(marks))
    parts = list(marks)
    xids, ids = [marks[p].xid for p in parts], [marks[p].id for p in parts]
    rows = await connection.fetch(READ_AFTER.format(source=source), parts, xids, ids, each)
    return [Message(topic, part, Mark(xid, id_), key, body) for part, xid, id_, key, body in rows]
