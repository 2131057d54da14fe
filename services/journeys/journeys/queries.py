"""All SQL that reads for the API."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from common.db import states
from common.db.engine import Connection
from common.decision import Stored
from journeys.domain.enrollment import Enrollment, State

# Reads every enrollment of the shop; an index for it would cost every batch more (see migration 0002).
COUNTS = "SELECT journey, reason, count(*) FROM enrollments WHERE shop_id = $1 GROUP BY journey, reason"

# Newest first; served by the primary key, which holds a customer's rows together.
ENROLLMENTS = """
SELECT journey, enrollment, entered_at, left_at, reason FROM enrollments
WHERE shop_id = $1 AND customer_id = $2
    AND ($3::timestamptz IS NULL OR (entered_at, journey, enrollment) < ($3::timestamptz, $4::text, $5::text))
ORDER BY entered_at DESC, journey DESC, enrollment DESC LIMIT $6
"""

_STORED = msgspec.json.Decoder(Stored[State])
Place = tuple[datetime, str, str]  # entered_at, journey, enrollment: where a page ends


class Counts(NamedTuple):
    """How many are on a journey, and how many left it, by reason."""

    on: int
    left: dict[str, int]


class Row(NamedTuple):
    """One enrollment as the facts tell of it."""

    journey: str
    enrollment: str
    entered_at: datetime
    left_at: datetime | None
    reason: str | None


async def counts(connection: Connection, shop_id: str) -> dict[str, Counts]:
    """Per journey that anybody ever entered."""
    found: dict[str, Counts] = {}
    for journey, reason, number in await connection.fetch(COUNTS, shop_id):
        before = found.get(journey, Counts(0, {}))
        found[journey] = (
            before._replace(on=number) if reason is None else before._replace(left=before.left | {reason: number})
        )
    return found


async def walked(connection: Connection, shop_id: str, customer_id: str) -> dict[tuple[str, str], Enrollment] | None:
    """The journeys the customer is on, by journey and enrollment; None for a customer nothing was ever told of."""
    body = await states.body(connection, shop_id, customer_id)
    if body is None:
        return None
    return {(one.journey, one.key): one for one in _STORED.decode(body).state.on}


async def enrollments(
    connection: Connection, shop_id: str, customer_id: str, after: Place | None, limit: int
) -> list[Row]:
    """The customer's enrollments after a place, newest first."""
    place = after or (None, None, None)
    return [Row(*row) for row in await connection.fetch(ENROLLMENTS, shop_id, customer_id, *place, limit)]
