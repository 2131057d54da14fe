"""All SQL that is asked about segments: how many are in them, now and over time, who, and who in several at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from common.db.engine import Connection

# A row per segment, and what came since the last folding (counting.py), which is little.
COUNTS = """
SELECT segment, sum(members)::bigint FROM (
    SELECT segment, members FROM segment_counts WHERE shop_id = $1
    UNION ALL SELECT segment, entries - exits FROM segment_moves WHERE shop_id = $1) AS both_parts
GROUP BY segment
"""

# In the order of memberships_of_segment, from just after the last page's last customer.
MEMBERS = """
SELECT customer_id, since, reason FROM memberships
WHERE shop_id = $1 AND segment = $2 AND customer_id > $3 ORDER BY customer_id LIMIT $4
"""

# By the primary key, and the one before the first, for what came in between.
SAMPLES = """
SELECT at, members, entries, exits FROM segment_samples
WHERE shop_id = $1 AND segment = $2 AND at < $4 AND at >= coalesce(
    (SELECT max(at) FROM segment_samples WHERE shop_id = $1 AND segment = $2 AND at < $3), $3)
ORDER BY at LIMIT $5
"""

# How many are in just these of the segments, as bits: the first is 1. Read from memberships_of_segment alone.
OVERLAP = """
SELECT bits, count(*) FROM (
    SELECT sum(1 << (array_position($2::text[], segment) - 1)) AS bits FROM memberships
    WHERE shop_id = $1 AND segment = ANY($2) GROUP BY customer_id) AS customers
GROUP BY bits
"""


class Member(NamedTuple):
    """A customer in a segment."""

    customer_id: str
    since: datetime
    reason: str


class Sample(NamedTuple):
    """How many were in a segment, and how many had come and gone since the sample before."""

    at: datetime
    members: int
    entered: int
    left: int


async def counts(connection: Connection, shop_id: str) -> Mapping[str, int]:
    """How many customers each segment has; one that never had any is not in it."""
    rows = await connection.fetch(COUNTS, shop_id)
    return {row["segment"]: row["sum"] for row in rows}


async def members(connection: Connection, shop_id: str, segment: str, after: str, limit: int) -> list[Member]:
    """Customers of a segment by id, from just after one; "" is before all."""
    return [Member(*row) for row in await connection.fetch(MEMBERS, shop_id, segment, after, limit)]


async def samples(
    connection: Connection, shop_id: str, segment: str, since: datetime, until: datetime, limit: int
) -> list[Sample]:
    """What was sampled from `since` up to but without `until`, oldest first."""
    found: list[Sample] = []
    entries = exits = 0
    for row in await connection.fetch(SAMPLES, shop_id, segment, since, until, limit + 1):
        if row["at"] >= since:
            found.append(Sample(row["at"], row["members"], row["entries"] - entries, row["exits"] - exits))
        entries, exits = row["entries"], row["exits"]
    return found[:limit]


async def overlap(connection: Connection, shop_id: str, segments: Sequence[str]) -> Mapping[int, int]:
    """How many are in just these of the segments and in no other of them, by their bits; the first one's is 1."""
    return {row["bits"]: row["count"] for row in await connection.fetch(OVERLAP, shop_id, list(segments))}
