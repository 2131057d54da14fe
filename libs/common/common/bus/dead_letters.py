"""Dead letters: what could not be decoded or decided, with the reason; listed, replayed, never dropped.

A letter stands in the consumer's table and goes out to `<topic>.dead`, both in the transaction that moves the mark.
A replay puts it on the consumer's own work topic, so that it comes down the same road again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from common.contracts.envelope import Rejection
from common.db import outbox
from common.db.engine import Connection
from common.ids import partition_of

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
        paths, reasons = [r.path for r in rejections], [r.reason for r in rejections]
        await connection.execute(KEEP, shops, topics, keys, bodies, paths, reasons, at)


def announce(letter: DeadLetter, at: datetime) -> outbox.Row:
    """The letter as a row for `<topic>.dead`, with its reason, for whoever watches that topic."""
    told = {"topic": letter.topic, "key": letter.key, "at": at, "rejection": letter.rejection, "body": letter.body}
    return f"{letter.topic}.dead", partition_of(*_split(letter.key)), letter.key, msgspec.json.encode(told)


async def replay(connection: Connection, work_topic: str, at: datetime, ids: Sequence[int] | None = None) -> int:
    """Puts the named letters (all that were not replayed yet) back on the road, once each; returns how many."""
    async with connection.transaction():
        taken = sorted(await connection.fetch(TAKE, ids, at), key=lambda letter: int(letter["id"]))
        await outbox.write(
            connection, [(work_topic, partition_of(*_split(x["key"])), x["key"], bytes(x["body"])) for x in taken]
        )
    return len(taken)


def _split(key: str) -> tuple[str, str]:
    shop_id, _, customer_id = key.partition("/")
    return shop_id, customer_id
