"""Marks: how far a service has applied each partition it reads, moved in the transaction that applied it."""

from collections.abc import Collection, Mapping

from common.bus.port import Mark, Slot
from common.db.engine import Connection

ENSURE = """
INSERT INTO marks (topic, part, xid, id) SELECT topic, part, '0', 0 FROM unnest($1::text[], $2::smallint[])
    AS slot (topic, part) ON CONFLICT DO NOTHING
"""

LOAD = """
SELECT m.topic, m.part, m.xid::text::bigint, m.id
FROM marks m JOIN unnest($1::text[], $2::smallint[]) AS slot (topic, part) USING (topic, part)
"""

# Compares the old value: whoever read from another mark than the one that stands here moves nothing.
MOVE = """
UPDATE marks m SET xid = n.xid::text::xid8, id = n.id
FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
    AS n (topic, part, old_xid, old_id, xid, id)
WHERE m.topic = n.topic AND m.part = n.part AND m.xid = n.old_xid::text::xid8 AND m.id = n.old_id
RETURNING 1
"""


# The next transaction of this server.
NEXT = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


class OfAnotherServer(Exception):
    """A mark lies ahead of this server's transactions: the database is a restored dump. Everything new would look old
    to its reader; `pg_resetwal --next-transaction-id` beyond the highest mark, on the stopped server, mends it."""


class Fenced(Exception):
    """Another reader has moved a mark: this one lost the partition, and its transaction must not commit."""


async def load(connection: Connection, slots: Collection[Slot]) -> dict[Slot, Mark]:
    """The marks of the slots; a slot never read before starts at zero."""
    topics, parts = [s[0] for s in slots], [s[1] for s in slots]
    await connection.execute(ENSURE, topics, parts)
    return {(topic, part): Mark(xid, id_) for topic, part, xid, id_ in await connection.fetch(LOAD, topics, parts)}


async def check_server(connection: Connection, marks: Collection[Mark]) -> None:
    """For a bus on which reader and writers share a server: raises OfAnotherServer when the marks cannot be of it."""
    following = await connection.fetchval(NEXT)
    if ahead := [mark.xid for mark in marks if mark.xid >= following]:
        raise OfAnotherServer(f"a mark is at transaction {max(ahead)}, this server's next is {following}")


async def move(connection: Connection, moves: Mapping[Slot, tuple[Mark, Mark]]) -> None:
    """Moves each mark from old to new, or raises Fenced. An equal pair only holds the mark against others."""
    if not moves:
        return
    slots = sorted(moves)
    old, new = [moves[s][0] for s in slots], [moves[s][1] for s in slots]
    moved = await connection.fetch(
        MOVE,
        [s[0] for s in slots],
        [s[1] for s in slots],
        [m.xid for m in old],
        [m.id for m in old],
        [m.xid for m in new],
        [m.id for m in new],
    )
    if len(moved) != len(slots):
        raise Fenced(f"{len(slots) - len(moved)} of {len(slots)} partitions were moved by another reader")
