"""All SQL that reads for the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from common.db.engine import Connection

# Newest first; served by the primary key, which holds a customer's messages together.
INBOX = """
SELECT number, message_key, sent_at AS at, journey, step, template, params FROM messages
WHERE shop_id = $1 AND customer_id = $2 AND channel = 'in_app' AND status = 'sent' AND NOT erased
    AND ($3::bigint IS NULL OR number < $3)
ORDER BY number DESC LIMIT $4
"""

# Reads all of the shop's messages: an index for it would cost every message three writes more.
STATS = """
SELECT journey, step, channel, status, count(*) FROM messages WHERE shop_id = $1
GROUP BY journey, step, channel, status ORDER BY journey, step, channel, status
"""

# Newest first; served by the primary key.
MAILBOX = """
SELECT id, message_key, customer_id, channel, to_masked, subject, body, at FROM mailbox
WHERE shop_id = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""


# Newest first, on every channel; served by the primary key, which holds a customer's messages together.
OF_CUSTOMER = """
SELECT number, message_key, channel, purpose, journey, step, status, requested_at, sent_at, reason FROM messages
WHERE shop_id = $1 AND customer_id = $2 AND ($3::bigint IS NULL OR number < $3) ORDER BY number DESC LIMIT $4
"""


class Sending(NamedTuple):
    """What became of a message to somebody."""

    number: int
    message_key: str
    channel: str
    purpose: str
    journey: str
    step: str
    status: str
    requested_at: datetime
    sent_at: datetime | None
    reason: str | None


class Told(NamedTuple):
    """A message in somebody's inbox, not rendered yet."""

    number: int
    message_key: str
    at: datetime
    journey: str
    step: str
    template: str
    params: dict[str, str | int]


class Count(NamedTuple):
    """How many messages of a step on a channel came to a status."""

    journey: str
    step: str
    channel: str
    status: str
    number: int


class Kept(NamedTuple):
    """A message in the mailbox."""

    id: int
    message_key: str
    customer_id: str
    channel: str
    to_masked: str
    subject: str | None
    body: str
    at: datetime


async def inbox(
    connection: Connection, shop_id: str, customer_id: str, before: int | None, limit: int
) -> Sequence[Told]:
    """The customer's in-app messages before a number, newest first."""
    rows = await connection.fetch(INBOX, shop_id, customer_id, before, limit)
    return [Told(**{**row, "params": msgspec.json.decode(row["params"])}) for row in rows]


async def stats(connection: Connection, shop_id: str) -> Sequence[Count]:
    """The shop's messages, counted."""
    return [Count(*row) for row in await connection.fetch(STATS, shop_id)]


async def mailbox(connection: Connection, shop_id: str, before: int | None, limit: int) -> Sequence[Kept]:
    """The shop's mailbox before an id, newest first."""
    return [Kept(*row) for row in await connection.fetch(MAILBOX, shop_id, before, limit)]


async def of_customer(
    connection: Connection, shop_id: str, customer_id: str, before: int | None, limit: int
) -> Sequence[Sending]:
    """The customer's messages before a number, newest first."""
    return [Sending(*row) for row in await connection.fetch(OF_CUSTOMER, shop_id, customer_id, before, limit)]
