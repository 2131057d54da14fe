"""Who is known by one source alone: read off what was ever told, since that says where it came from."""

from collections.abc import AsyncIterator

import asyncpg

from common.contracts.envelope import Decoder, Rejection
from common.contracts.ingest import FROM_SENDERS
from common.contracts.topics import INGEST_EVENTS
from common.db import outbox
from common.ids import PARTITIONS
from ingest.people.whose import Whose

CHUNK_ROWS = 2_000
# Served by the outbox's primary key. Only what is committed for good, as its readers read it.
TOLD = """
SELECT xid::text::bigint AS xid, id, key, body FROM outbox
WHERE topic = $1 AND part = $2 AND (xid, id) > ($3::bigint::text::xid8, $4) AND key LIKE $5
    AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, id LIMIT $6
"""
OF_ONE = "SELECT body FROM outbox WHERE topic = $1 AND part = $2 AND key = $3"

_DECODER = Decoder(INGEST_EVENTS.events)
_SENDERS = frozenset(data.TYPE for data in FROM_SENDERS)  # what the edge itself states comes from nowhere else


async def source_alone(
    pool: asyncpg.Pool, whose: Whose, shop_id: str, source_id: str, at_once: int
) -> AsyncIterator[list[str]]:
    """The shop's customers of whom nobody but this source ever told anything, by none of their ids; so many at once."""
    alone: list[str] = []
    for part in range(PARTITIONS):  # a customer's whole story is in one
        for customer_id in sorted(await _in_partition(pool, part, shop_id, source_id)):
            async with pool.acquire() as connection:
                others = set(await whose.ids_of(connection, shop_id, customer_id)) - {customer_id}
            if not [one for one in others if await _sources(pool, shop_id, one) - {source_id}]:
                alone.append(customer_id)
            if len(alone) == at_once:
                yield alone
                alone = []
    if alone:
        yield alone


async def _in_partition(pool: asyncpg.Pool, part: int, shop_id: str, source_id: str) -> set[str]:
    by_it, by_others = set[str](), set[str]()
    prefix, after = f"{shop_id}/", (0, 0)
    pattern = prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    while rows := await pool.fetch(TOLD, INGEST_EVENTS.name, part, *after, pattern, CHUNK_ROWS):
        for row in rows:
            source = _source(row["body"])
            if source is not None:
                (by_it if source == source_id else by_others).add(row["key"].removeprefix(prefix))
        after = (rows[-1]["xid"], rows[-1]["id"])
    return by_it - by_others


async def _sources(pool: asyncpg.Pool, shop_id: str, customer_id: str) -> set[str]:
    place = outbox.place_of(INGEST_EVENTS.name, shop_id, customer_id)
    return {source for (body,) in await pool.fetch(OF_ONE, *place) if (source := _source(body)) is not None}


def _source(body: bytes) -> str | None:
    event = _DECODER.skim(body)
    return event.source if not isinstance(event, Rejection) and event.type in _SENDERS else None
