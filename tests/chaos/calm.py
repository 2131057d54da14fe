"""Waits until nothing is left to do: alarms gone off, all decided, all carried to Kafka, all mail sent."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import monotonic

import asyncpg

from common.contracts.topics import TOPICS
from common.db.engine import is_outside
from common.ids import PARTITIONS
from regulars.drain import drained
from regulars.services import NAMES

POLL_S = 0.2
LOOK_S = 3.0  # at all of them, one after the other
HURRY_EVERY_S = 3.0
SAY_EVERY_S = 10.0
DUE = "SELECT EXISTS (SELECT FROM {service}.states WHERE wake_at < $1)"
# Partitions of topics in the outbox whose end the relay has not reached.
BEHIND = """
SELECT count(*) FROM unnest($1::text[]) AS t (topic) CROSS JOIN generate_series(0, $2 - 1) AS p (part)
CROSS JOIN LATERAL (SELECT xid, id FROM {service}.outbox o WHERE o.topic = t.topic AND o.part = p.part AND key <> ''
    ORDER BY xid DESC, id DESC LIMIT 1) AS last
LEFT JOIN {service}.readers r ON r.reader = 'relay' AND r.topic = t.topic AND r.part = p.part
WHERE r.xid IS NULL OR (r.xid, r.id) < (last.xid, last.id)
"""
CARRIED = [name for topic in TOPICS for name in (topic.name, topic.dead)]
# Claims that nobody holds any more (their process is dead), and pauses before the next try; while nobody is sending,
# since whoever is killed in the middle of that leaves its whole batch in doubt.
LEFT = """
SELECT EXISTS (
    SELECT FROM notifier.messages
    WHERE status = 'sending' OR status = 'pending' AND due_at > now() + interval '2 seconds'
) AND NOT EXISTS (
    SELECT FROM notifier.messages WHERE status = 'sending' AND claimed_at > now() - interval '6 seconds')
"""
AGE = """
UPDATE notifier.messages SET due_at = least(due_at, now()), claimed_at = claimed_at - interval '1 hour'
WHERE status IN ('sending', 'pending')
"""


class NotCalm(AssertionError):
    """Something was still to do when the time was over; the message says what."""


async def calm(
    database: str,
    at: datetime,
    kafka: bool,
    hurry: Callable[[], Awaitable[None]],
    timeout_s: float,
    say: Callable[[str], None],
) -> None:
    """Returns when it is; what the outside does wrong meanwhile only makes it look again.

    A claim is given back only when its lease is over, a message tried again only when its pause is. We do not wait for
    either: notifier is killed once more, and minutes pass in its table before it comes back.
    """
    deadline, why = monotonic() + timeout_s, "not looked at yet"
    hurried_at, said_at = 0.0, monotonic()
    while monotonic() < deadline:
        try:
            why = await _left(database, at, kafka)
            if not why:
                return
            if monotonic() - said_at > SAY_EVERY_S:
                said_at = monotonic()
                say(f"      waiting: {why}")
            if monotonic() - hurried_at > HURRY_EVERY_S and await _ask(database, LEFT):
                await hurry()
                hurried_at = monotonic()
        except Exception as error:
            if not is_outside(error):
                raise
            why = f"{type(error).__name__}: {error}"
        await asyncio.sleep(POLL_S)  # waits: for other processes to work off what is there
    raise NotCalm(f"not everything was done within {timeout_s:.0f} s: {why}")


async def let_time_pass(database: str) -> None:
    """For claims and pauses; only while no notifier runs."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(AGE)
    finally:
        await connection.close()


async def _left(database: str, at: datetime, kafka: bool) -> str:
    """What is left to do, or nothing."""
    for service in NAMES:
        if await _ask(database, DUE.format(service=service), at):
            return f"alarms of {service} are due"
    if not await drained(database, LOOK_S):
        return f"not everything is decided or sent ({await _messages(database)} messages are not)"
    for service in NAMES if kafka else ():
        if await _ask(database, BEHIND.format(service=service), CARRIED, PARTITIONS):
            return f"the relay of {service} is behind"
    for service in NAMES:  # what was decided meanwhile may have set another
        if await _ask(database, DUE.format(service=service), at):
            return f"alarms of {service} are due"
    return ""


async def _messages(database: str) -> int:
    return await _ask(database, "SELECT count(*) FROM notifier.messages WHERE status IN ('pending', 'sending')")


async def _ask(database: str, query: str, *values: object) -> int:
    """A count, or 1 for yes."""
    connection = await asyncpg.connect(database)
    try:
        return int(await connection.fetchval(query, *values))
    finally:
        await connection.close()
