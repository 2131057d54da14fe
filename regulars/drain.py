"""Whether everything taken in has been decided by everybody: marks against outboxes, looked at from above."""

import asyncio
from time import monotonic

import asyncpg

from common.contracts.topics import TOPICS
from common.db.engine import Connection, is_outside
from common.ids import PARTITIONS
from common.retry import RECONNECT
from regulars.services import NAMES

POLL_S = 0.1
READERS = tuple(name for name in NAMES if name != "ingest")
HOPS = 4  # ingest -> journeys -> notifier -> notifier's own work -> segmentation: each may add to the next

# Where a topic ends now, in each partition that holds anything; served by the outbox's primary key, read backwards.
ENDS = """
SELECT part, last.xid::text::bigint, last.id FROM generate_series(0, $2 - 1) AS part CROSS JOIN LATERAL (
    SELECT xid, id FROM {owner}.outbox WHERE topic = $1 AND outbox.part = part.part ORDER BY xid DESC, id DESC LIMIT 1
) AS last
"""
MARKS = "SELECT topic, part, xid::text::bigint, id FROM {reader}.marks"
UNSENT = "SELECT EXISTS (SELECT FROM notifier.messages WHERE status IN ('pending', 'sending'))"

Ends = dict[tuple[str, int], tuple[int, int]]


async def drained(admin_database: str, timeout_s: float) -> bool:
    """Waits until what is in the outboxes now, and what comes of it, has been decided; False when time runs out.

    A database that dies meanwhile is waited for too: whoever runs it starts it again.
    """
    deadline, attempt = monotonic() + timeout_s, 1
    while True:
        try:
            return await _drained(admin_database, deadline)
        except Exception as error:
            if not is_outside(error) or monotonic() > deadline:
                raise
            await asyncio.sleep(RECONNECT.next(attempt) or 0)
            attempt += 1


async def _drained(admin_database: str, deadline: float) -> bool:
    connection = await asyncpg.connect(admin_database)
    try:
        for _ in range(HOPS):
            end = await ends(connection)
            while not await reached(connection, end) or await connection.fetchval(UNSENT):
                if monotonic() > deadline:
                    return False
                await asyncio.sleep(POLL_S)
        return True
    finally:
        await connection.close()


async def ends(connection: Connection) -> Ends:
    """Where every topic ends now."""
    found: Ends = {}
    for topic in TOPICS:
        rows = await connection.fetch(ENDS.format(owner=topic.owner), topic.name, PARTITIONS)
        found |= {(topic.name, part): (xid, id_) for part, xid, id_ in rows}
    return found


async def reached(connection: Connection, end: Ends) -> bool:
    """Whether every service has decided all up to there; what it is to send may still be on its way."""
    for reader in READERS:
        rows = await connection.fetch(MARKS.format(reader=reader))
        marks: Ends = {(topic, part): (xid, id_) for topic, part, xid, id_ in rows}
        if not marks or any(marks[slot] < end[slot] for slot in marks.keys() & end.keys()):
            return False
    return True
