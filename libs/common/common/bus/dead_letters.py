"""Dead letters: what could not be decoded or decided, with the reason; listed, replayed, never dropped.

A letter stands in the consumer's table and goes out to `<topic>.dead`, both in the transaction that moves the mark.
A replay puts it on the consumer's own work topic, so that it comes down the same road again; what is out of an import
is followed by history.ended, since the customer's own has long gone by.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from common.contracts.envelope import Event, Rejection, is_historic
from common.contracts.ingest import HistoryEnded
from common.db import outbox
from common.db.engine import Connection
from common.ids import derived_id, partition_of

MAX_REASON_CHARS = 2_000

KEEP = """
INSERT INTO dead_letters (shop_id, topic, key, body, path, reason, at)
SELECT *, $7 FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[])
"""
LIST = """
SELECT id, shop_id, topic, key, path, reason, at, replayed_at FROM dead_letters
WHERE id > $1 AND ($2 OR replayed_at IS NULL) ORDER BY id LIMIT $3
"""
TAKE = """
UPDATE dead_letters SET replayed_at = $2 WHERE replayed_at IS NULL AND ($1::bigint[] IS NULL OR id = ANY($1))
RETURNING id, topic, key, body
"""


class DeadLetter(NamedTuple):
    """A letter to be kept: `topic` and `key` are where it was read."""

    topic: str
    key: str
    body: bytes
    rejection: Rejection


async def keep(connection: Connection, letters: Sequence[DeadLetter], at: datetime) -> None:
    """Keeps the letters, in the caller's transaction."""
    if letters:
        topics, keys, bodies, rejections = zip(*letters, strict=True)
        shops = [_split(key)[0] for key in keys]
        paths, reasons = [r.path for r in rejections], [_printable(r.reason) for r in rejections]
        await connection.execute(KEEP, shops, topics, keys, bodies, paths, reasons, at)


def announce(letter: DeadLetter, at: datetime) -> outbox.Row:
    """The letter as a row for `<topic>.dead`, with its reason, for whoever watches that topic."""
    rejection = Rejection(letter.rejection.path, _printable(letter.rejection.reason))
    told = {"topic": letter.topic, "key": letter.key, "at": at, "rejection": rejection, "body": letter.body}
    return f"{letter.topic}.dead", partition_of(*_split(letter.key)), letter.key, msgspec.json.encode(told)


async def replay(connection: Connection, work_topic: str, at: datetime, ids: Sequence[int] | None = None) -> int:
    """Puts the named letters (all that were not replayed yet) back on the road, once each; returns how many."""
    async with connection.transaction():
        taken = sorted(await connection.fetch(TAKE, ids, at), key=lambda letter: int(letter["id"]))
        rows = [(work_topic, partition_of(*_split(key)), key, bytes(body)) for _, _, key, body in taken]
        historic = dict.fromkeys(key for _, _, key, body in rows if is_historic(body))
        await outbox.write(connection, [*rows, *(_end_of_history(work_topic, key, at) for key in historic)])
    return len(taken)


def _end_of_history(work_topic: str, key: str, at: datetime) -> outbox.Row:
    shop_id, customer_id = _split(key)
    event = Event(
        specversion="1.0",
        id=derived_id("replay", key, at.isoformat()),
        source="regulars/dead-letters",
        type=HistoryEnded.TYPE,
        shop_id=shop_id,
        customer_id=customer_id,
        occurred_at=at,
        received_at=at,
        data=HistoryEnded(),
    )
    return outbox.row(work_topic, event)


def _printable(reason: str) -> str:
    """What an error says may repeat what a sender sent; a table takes no NUL."""
    return reason.replace("\0", "\\0")[:MAX_REASON_CHARS]


def _split(key: str) -> tuple[str, str]:
    shop_id, _, customer_id = key.partition("/")
    return shop_id, customer_id
