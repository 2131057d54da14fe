"""All SQL that notifier writes beside the road's own: messages, what becomes of them, and the mailbox."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from common.contracts.envelope import Data, Event
from common.contracts.ingest import Channel, Purpose
from common.contracts.notifier import MessageFailed, MessageOutcome, MessageSent
from common.db.engine import Connection
from common.service import Saved
from common.telemetry.metrics import NOTIFIER_MESSAGES
from notifier.domain.state import MAX_SETTLED, Message, State

AT_MOST_ONCE, AT_LEAST_ONCE = "at most once", "at least once"
GUARANTEES: dict[Purpose, str] = {"marketing": AT_MOST_ONCE, "transactional": AT_LEAST_ONCE}
IN_DOUBT = "in doubt: "

# A message that has its row already is left alone: the row is the sender's by now. No ON CONFLICT: another message of
# the same key (one so old that the customer's state forgot it) must not pass in silence, nor be told again.
ADD = """
INSERT INTO messages (shop_id, customer_id, message_key, number, channel, purpose, guarantee, journey, step, template,
    params, status, requested_at, sent_at, reason)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::json[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::text[])
    AS n (shop_id, customer_id, message_key, number, channel, purpose, guarantee, journey, step, template,
        params, status, requested_at, sent_at, reason)
WHERE NOT EXISTS (
    SELECT FROM messages m WHERE (m.shop_id, m.customer_id, m.message_key, m.number)
        = (n.shop_id, n.customer_id, n.message_key, n.number))
"""

# Served by messages_pending. The floor keeps the scan off the index entries of messages that are gone (see states.DUE).
CLAIM = """
UPDATE messages m SET status = 'sending', claimed_at = now(), claims = m.claims + 1, tries = m.tries + 1
FROM (SELECT shop_id, customer_id, message_key FROM messages
    WHERE status = 'pending' AND due_at >= $2 AND due_at <= now() AND channel <> ALL($3::text[])
    ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS c
WHERE (m.shop_id, m.customer_id, m.message_key) = (c.shop_id, c.customer_id, c.message_key)
RETURNING m.shop_id, m.customer_id, m.message_key, m.channel, m.guarantee, m.template, m.params,
    m.claims, m.tries, m.due_at
"""

# Only what is still this claim's: whoever took longer than the lease has nothing to report.
SETTLE = """
UPDATE messages m SET status = n.status, reason = n.reason, sent_at = n.sent_at, claimed_at = NULL, tries = n.tries,
    due_at = now() + n.pause_s * interval '1 second'
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[], $6::text[], $7::text[], $8::timestamptz[],
    $9::float8[]) AS n (shop_id, customer_id, message_key, claims, tries, status, reason, sent_at, pause_s)
WHERE (m.shop_id, m.customer_id, m.message_key) = (n.shop_id, n.customer_id, n.message_key)
    AND m.status = 'sending' AND m.claims = n.claims
RETURNING m.shop_id, m.customer_id, m.message_key
"""

# Served by messages_sending: claims whose lease is over, by the guarantee of each.
RECOVER = f"""
UPDATE messages m SET claimed_at = NULL, due_at = now(), reason = '{IN_DOUBT}' || $3,
    status = CASE WHEN m.guarantee = '{AT_LEAST_ONCE}' AND m.tries < $2 THEN 'pending' ELSE 'failed' END
FROM (SELECT shop_id, customer_id, message_key FROM messages
    WHERE status = 'sending' AND claimed_at < now() - $1 * interval '1 second'
    ORDER BY claimed_at LIMIT $4 FOR UPDATE SKIP LOCKED) AS c
WHERE (m.shop_id, m.customer_id, m.message_key) = (c.shop_id, c.customer_id, c.message_key)
RETURNING m.shop_id, m.customer_id, m.message_key, m.claims, m.status, m.reason
"""

# The key makes a repeat harmless: what lies there stays. The lock holds an erasure until this is done, or is had when
# the erasure is done: then nothing is kept.
KEEP = """
WITH n AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::timestamptz[]) AS n (shop_id, message_key, customer_id, channel, to_masked, subject, body, at)),
locked AS (SELECT m.shop_id, m.customer_id, m.message_key, m.erased
    FROM n JOIN messages m USING (shop_id, customer_id, message_key)
    ORDER BY shop_id, customer_id, message_key FOR SHARE OF m)
INSERT INTO mailbox (shop_id, message_key, customer_id, channel, to_masked, subject, body, at)
SELECT * FROM n WHERE NOT EXISTS (SELECT FROM locked l WHERE l.erased
    AND (l.shop_id, l.customer_id, l.message_key) = (n.shop_id, n.customer_id, n.message_key))
ON CONFLICT (shop_id, customer_id, message_key) DO NOTHING
"""

# Of who asked to be forgotten: what the messages said, and then their copies. Two statements, so that the second sees
# what was kept while the first waited for it. Served by the primary keys.
ERASE = """
UPDATE messages m SET params = '{}', erased = true
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS e (shop_id, customer_id, up_to)
WHERE (m.shop_id, m.customer_id) = (e.shop_id, e.customer_id) AND m.number <= e.up_to AND NOT m.erased
"""
EMPTY = """
DELETE FROM mailbox b USING messages m
WHERE (m.shop_id, m.customer_id) IN (SELECT * FROM unnest($1::text[], $2::text[])) AND m.erased
    AND (b.shop_id, b.customer_id, b.message_key) = (m.shop_id, m.customer_id, m.message_key)
"""

Key = tuple[str, str, str]  # shop, customer, message key
Kept = tuple[str, str, str, str, str, str | None, str, datetime]  # the columns of KEEP
STATUS: dict[type[MessageOutcome], str] = {MessageSent: "sent", MessageFailed: "failed"}  # any other is suppressed


class Claimed(NamedTuple):
    """A message that this process alone may send now."""

    shop_id: str
    customer_id: str
    message_key: str
    channel: Channel
    guarantee: str
    template: str
    params: dict[str, str | int]
    claims: int  # this one's number: another of the same message has another
    tries: int  # this one among them; a claim given back is none
    due_at: datetime

    @property
    def key(self) -> Key:
        """Which message it is."""
        return self.shop_id, self.customer_id, self.message_key


class Settled(NamedTuple):
    """What to write of a claimed message; with status pending it is due again after the pause."""

    shop_id: str
    customer_id: str
    message_key: str
    claims: int
    tries: int
    status: str
    reason: str | None
    sent_at: datetime | None
    pause_s: float


class Recovered(NamedTuple):
    """A claim whose lease was over, and what it is now."""

    shop_id: str
    customer_id: str
    message_key: str
    claims: int
    status: str
    reason: str


class TooMuchAtOnce(Exception):
    """The batch is too large for its rows to be written; the road then takes it message by message."""


async def project(connection: Connection, saved: Sequence[Saved[State]]) -> None:
    """A row for every message that has none yet, and no words of who is to be forgotten, in the transaction that saves
    the states."""
    rows = [row for one in saved for row in _rows(one)]
    if rows:
        await connection.execute(ADD, *zip(*sorted(rows, key=lambda row: row[:3]), strict=True))
    erased = sorted((one.shop_id, one.customer_id, up_to) for one in saved if (up_to := one.stored.state.erased_up_to))
    if erased:
        await connection.execute(ERASE, *zip(*erased, strict=True))
        await connection.execute(EMPTY, *zip(*(row[:2] for row in erased), strict=True))
    _count([fact for one in saved for fact in one.facts])


def _rows(one: Saved[State]) -> list[tuple[object, ...]]:
    state = one.stored.state
    settled = {message.message_key: message for message in state.settled}
    rows = [_row(one, message, "pending", None, None) for message in state.pending]
    for fact in one.facts:
        outcome = fact.data
        assert isinstance(outcome, MessageOutcome)
        status = STATUS.get(type(outcome), "suppressed")
        sent_at = fact.occurred_at if status == "sent" else None
        message = settled.get(outcome.message_key)
        if message is None:
            raise TooMuchAtOnce(f"one customer's batch settled more than the {MAX_SETTLED} messages that a state keeps")
        rows.append(_row(one, message, status, sent_at, outcome.reason))
    return rows


def _row(
    one: Saved[State], message: Message, status: str, sent_at: datetime | None, reason: str | None
) -> tuple[object, ...]:
    return (
        one.shop_id,
        one.customer_id,
        message.message_key,
        message.number,
        message.channel,
        message.purpose,
        GUARANTEES[message.purpose],
        message.journey,
        message.step,
        message.template,
        msgspec.json.encode(message.params).decode(),
        status,
        message.requested_at,
        sent_at,
        reason,
    )


def _count(facts: Sequence[Event[Data]]) -> None:
    """A batch that fails after this counts again when it is tried again: the metric is for the eye, the rows count."""
    counts: Counter[tuple[str, str]] = Counter()
    for fact in facts:
        if isinstance(outcome := fact.data, MessageOutcome):
            in_doubt = (outcome.reason or "").startswith(IN_DOUBT)
            counts[outcome.channel, "in_doubt" if in_doubt else STATUS.get(type(outcome), "suppressed")] += 1
    for (channel, outcome_name), number in counts.items():
        NOTIFIER_MESSAGES.labels(channel, outcome_name).inc(number)


async def claim(connection: Connection, limit: int, floor: datetime, closed: Sequence[Channel] = ()) -> list[Claimed]:
    """Takes up to `limit` messages that are due, due at or after `floor`, the longest due first, of open channels."""
    rows = await connection.fetch(CLAIM, limit, floor, closed)
    return [Claimed(**{**row, "params": msgspec.json.decode(row["params"])}) for row in rows]


async def settle(connection: Connection, rows: Sequence[Settled]) -> set[Key]:
    """Writes the outcomes; returns which of the messages were still this claim's."""
    if not rows:
        return set()
    return {(row[0], row[1], row[2]) for row in await connection.fetch(SETTLE, *zip(*sorted(rows), strict=True))}


async def recover(connection: Connection, lease_s: int, tries_max: int, why: str, limit: int) -> list[Recovered]:
    """Ends claims whose lease is over: pending again, or failed where that might tell somebody twice."""
    return [Recovered(*row) for row in await connection.fetch(RECOVER, lease_s, tries_max, why, limit)]


async def keep(connection: Connection, messages: Sequence[Kept]) -> None:
    """Puts messages in the mailbox, each once."""
    if messages:
        await connection.execute(KEEP, *zip(*messages, strict=True))
