"""All SQL that is asked about one customer."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from common.db import states
from common.db.engine import Connection
from common.db.states import canonical
from common.decision import Stored
from common.web.problems import Problem
from segmentation.domain.profile.state import Profile

# By the primary key. Memberships are written in the transaction of the state.
MEMBERSHIPS = "SELECT segment, since, reason FROM memberships WHERE shop_id = $1 AND customer_id = $2 ORDER BY segment"

# The customer and all ids that were merged into it, however many were merged after, and when each was erased last. By
# merged_into and the primary key of states, which says whether the merge still holds; UNION ends a circle.
FAMILY = """
WITH RECURSIVE family AS (
    SELECT $2::text AS customer_id
    UNION
    SELECT m.customer_id FROM family JOIN merged m ON m.shop_id = $1 AND m.into_id = family.customer_id
    JOIN states s ON (s.shop_id, s.customer_id) = (m.shop_id, m.customer_id) AND s.body ->> 'into' = m.into_id
) SELECT customer_id, (body #>> '{state,erased_at}')::timestamptz AS erased_at FROM family
JOIN states USING (customer_id) WHERE shop_id = $1
"""

_STORED = msgspec.json.Decoder(Stored[Profile])


class Membership(NamedTuple):
    """A segment that the customer is in, since when and why."""

    segment: str
    since: datetime
    reason: str


class Customer(NamedTuple):
    """What is known of a customer, under the id that lives on."""

    customer_id: str
    stored: Stored[Profile]


async def customer(connection: Connection, shop_id: str, customer_id: str) -> Customer:
    """The customer, by any id of it that was merged; a problem for one nothing was ever heard of."""
    lives = await canonical(connection, shop_id, customer_id)
    body = await states.body(connection, shop_id, lives)
    if body is None:
        raise Problem(404, "Unknown customer", f"nothing was ever heard of a customer {customer_id!r}")
    return Customer(lives, _STORED.decode(body))


async def family(connection: Connection, shop_id: str, customer_id: str) -> dict[str, datetime | None]:
    """The ids of somebody who lives on under this one, and when each was erased last, if ever."""
    rows = await connection.fetch(FAMILY, shop_id, customer_id)
    return {row["customer_id"]: row["erased_at"] for row in rows}


async def memberships(connection: Connection, shop_id: str, customer_id: str) -> list[Membership]:
    """The segments that the customer is in, by name."""
    return [Membership(*row) for row in await connection.fetch(MEMBERSHIPS, shop_id, customer_id)]
