"""All SQL that segmentation's API reads by."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from common.db.engine import Connection
from common.decision import Stored
from segmentation.domain.segments import BY_ID
from segmentation.domain.state import Profile

# A state and its cell of the grid are written in one transaction, so neither is ever without the other. Primary keys.
CUSTOMER = """
SELECT s.body, m.segment, m.since, m.reason FROM states s JOIN memberships m USING (shop_id, customer_id)
WHERE s.shop_id = $1 AND s.customer_id = $2 AND m.segment = ANY($3::text[])
"""

# Read from memberships_of_segment alone.
COUNTS = "SELECT segment, count(*) FROM memberships WHERE shop_id = $1 GROUP BY segment"

# In the order of memberships_of_segment, from just after the last page's last customer.
MEMBERS = """
SELECT customer_id, since, reason FROM memberships
WHERE shop_id = $1 AND segment = $2 AND customer_id > $3 ORDER BY customer_id LIMIT $4
"""

_STORED = msgspec.json.Decoder(Stored[Profile])


class Customer(NamedTuple):
    """What is known of a customer, and its place."""

    stored: Stored[Profile]
    segment: str
    since: datetime
    reason: str


class Row(NamedTuple):
    """A customer in a segment."""

    customer_id: str
    since: datetime
    reason: str


async def customer(connection: Connection, shop_id: str, customer_id: str) -> Customer | None:
    """The customer, or None for one nothing was ever heard of."""
    row = await connection.fetchrow(CUSTOMER, shop_id, customer_id, [*BY_ID])
    return None if row is None else Customer(_STORED.decode(row["body"]), row["segment"], row["since"], row["reason"])


async def counts(connection: Connection, shop_id: str) -> Mapping[str, int]:
    """How many customers each segment has; one without any is not in it."""
    rows = await connection.fetch(COUNTS, shop_id)
    return {row["segment"]: row["count"] for row in rows}


async def members(connection: Connection, shop_id: str, segment: str, after: str, limit: int) -> list[Row]:
    """Customers of a segment by id, from just after one; "" is before all."""
    return [Row(*row) for row in await connection.fetch(MEMBERS, shop_id, segment, after, limit)]
