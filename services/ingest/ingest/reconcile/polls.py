"""SQL of reconciliation: what is due, who has it, and how far it has come."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
from msgspec import Struct

from common.db.engine import Connection

# Each poll is one process's until `due_at`: whoever is killed in the middle leaves it to the next. Served by polls_due.
CLAIM = """
UPDATE polls SET claim = claim + 1, due_at = $2 WHERE (source_id, resource) = (
    SELECT source_id, resource FROM polls WHERE due_at <= $1 ORDER BY due_at, source_id, resource DESC
    LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING source_id, resource, up_to, claim, failures
"""
# A claim that another has taken over moves nothing any more.
MOVE = """
UPDATE polls SET up_to = GREATEST(up_to, $4), found = found + $5, due_at = $6
WHERE source_id = $1 AND resource = $2 AND claim = $3 RETURNING 1
"""
END = """
UPDATE polls SET up_to = GREATEST(up_to, $4), due_at = $5, polled_at = $6, failures = 0, fault = NULL
WHERE source_id = $1 AND resource = $2 AND claim = $3
"""
GO_ON = """
UPDATE polls SET due_at = $4, failures = 0, fault = NULL WHERE source_id = $1 AND resource = $2 AND claim = $3
"""
FAIL = """
UPDATE polls SET due_at = $4, failures = failures + 1, fault = $5
WHERE source_id = $1 AND resource = $2 AND claim = $3
"""
ACCESS = """
SELECT s.rest_url, k.sealed FROM sources s JOIN source_secrets k USING (source_id)
WHERE s.source_id = $1 AND s.rest_url IS NOT NULL AND k.purpose = 'rest' ORDER BY k.id DESC LIMIT 1
"""
# What is behind most: since when nothing has been asked in full.
OLDEST = "SELECT min(COALESCE(polled_at, up_to)) FROM polls"

START = """
INSERT INTO polls (source_id, resource, up_to, due_at) SELECT $1, resource, $3, $4 FROM unnest($2::text[]) AS resource
ON CONFLICT (source_id, resource) DO UPDATE SET due_at = EXCLUDED.due_at, claim = polls.claim + 1, failures = 0,
    fault = NULL, up_to = CASE WHEN $5 THEN EXCLUDED.up_to ELSE polls.up_to END
"""
STOP = "DELETE FROM polls WHERE source_id = $1"


class Poll(Struct, frozen=True):
    """One that we may do until our claim is over."""

    source_id: str
    resource: str
    up_to: datetime
    claim: int
    failures: int

    @property
    def mine(self) -> tuple[str, str, int]:
        """What every write about it names."""
        return self.source_id, self.resource, self.claim


class Lost(Exception):
    """Somebody else has taken the poll over, or its source is gone."""


async def claim(pool: asyncpg.Pool, now: datetime, lease: timedelta) -> Poll | None:
    """The poll that is due longest, for as long as the lease."""
    row = await pool.fetchrow(CLAIM, now, now + lease)
    return Poll(**row) if row else None


async def move(pool: asyncpg.Pool, poll: Poll, up_to: datetime, found: int, until: datetime) -> None:
    """A page is durable. Raises Lost."""
    if await pool.fetchval(MOVE, *poll.mine, up_to, found, until) is None:
        raise Lost


async def end(pool: asyncpg.Pool, poll: Poll, up_to: datetime, due_at: datetime, now: datetime) -> None:
    """Everything up to then is known."""
    await pool.execute(END, *poll.mine, up_to, due_at, now)


async def go_on(pool: asyncpg.Pool, poll: Poll, due_at: datetime) -> None:
    """As much as one poll reads is durable; more is left, from where it came to."""
    await pool.execute(GO_ON, *poll.mine, due_at)


async def fail(pool: asyncpg.Pool, poll: Poll, due_at: datetime, fault: str) -> None:
    """It ended early, and goes on from where it came to."""
    await pool.execute(FAIL, *poll.mine, due_at, fault)


async def access(pool: asyncpg.Pool, source_id: str) -> tuple[str, bytes] | None:
    """The shop's address and the sealed credential."""
    row = await pool.fetchrow(ACCESS, source_id)
    return (row["rest_url"], row["sealed"]) if row else None


async def oldest(pool: asyncpg.Pool) -> datetime | None:
    """Since when the source that is behind most has not been asked in full, None where none is to be asked."""
    value: datetime | None = await pool.fetchval(OLDEST)
    return value


async def start(
    connection: Connection, source_id: str, resources: Sequence[str], since: datetime, now: datetime, anew: bool
) -> None:
    """From now on the source is asked; `anew`: from `since` again, even if it was asked before."""
    await connection.execute(START, source_id, resources, since, now, anew)


async def stop(connection: Connection, source_id: str) -> None:
    """It is asked no more."""
    await connection.execute(STOP, source_id)
