"""All SQL that journeys writes beside the road's own: who entered which journey when, and when and why they left."""

from collections.abc import Sequence
from datetime import datetime

from common.contracts.envelope import Data, Event
from common.contracts.journeys import JourneyEntered, JourneyLeft
from common.db.engine import Connection
from common.service import Saved
from journeys.domain.enrollment import State

# A key enters once, but one forgotten among very many may enter again: its row then tells of the last time.
ENTER = """
INSERT INTO enrollments (shop_id, customer_id, journey, enrollment, entered_at, left_at, reason)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[])
ON CONFLICT (shop_id, customer_id, journey, enrollment)
DO UPDATE SET entered_at = EXCLUDED.entered_at, left_at = EXCLUDED.left_at, reason = EXCLUDED.reason
"""

# Those entered in an earlier batch; served by the primary key.
LEAVE = """
UPDATE enrollments e SET left_at = n.left_at, reason = n.reason
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
    AS n (shop_id, customer_id, journey, enrollment, left_at, reason)
WHERE (e.shop_id, e.customer_id, e.journey, e.enrollment) = (n.shop_id, n.customer_id, n.journey, n.enrollment)
"""

Key = tuple[str, str, str, str]  # shop, customer, journey, enrollment
Left = tuple[datetime | None, str | None]  # when and why; neither while the customer is on the journey


async def project(connection: Connection, saved: Sequence[Saved[State]]) -> None:
    """Writes what the facts of a batch say of enrollments, in the transaction that saves the states."""
    entered, left = _rows([fact for one in saved for fact in one.facts])
    if entered:
        rows = ((*key, entered_at, *entered_left) for key, (entered_at, entered_left) in sorted(entered.items()))
        await connection.execute(ENTER, *zip(*rows, strict=True))
    if left:
        await connection.execute(LEAVE, *zip(*((*key, *when) for key, when in sorted(left.items())), strict=True))


def _rows(facts: Sequence[Event[Data]]) -> tuple[dict[Key, tuple[datetime, Left]], dict[Key, Left]]:
    """One row per enrollment: those entered among the facts, and of the others those left."""
    entered: dict[Key, tuple[datetime, Left]] = {}
    left: dict[Key, Left] = {}
    for fact in facts:
        match fact.data:
            case JourneyEntered(journey=journey, enrollment=enrollment):
                key = (fact.shop_id, fact.customer_id, journey, enrollment)
                entered[key] = (fact.occurred_at, (None, None))
                left.pop(key, None)
            case JourneyLeft(journey=journey, enrollment=enrollment, reason=reason):
                key = (fact.shop_id, fact.customer_id, journey, enrollment)
                when = (fact.occurred_at, reason)
                if key in entered:
                    entered[key] = (entered[key][0], when)
                else:
                    left[key] = when
            case _:
                pass
    return entered, left
