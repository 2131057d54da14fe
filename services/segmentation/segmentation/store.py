"""What segmentation writes besides states and facts: which segment each customer is in, and since when and why."""

from collections.abc import Sequence

from common.contracts.segmentation import LifecycleChanged
from common.db.engine import Connection
from common.service import Saved
from segmentation.domain.segments import segment_id
from segmentation.domain.state import Profile

# One row per customer, since the cells of the grid exclude each other. Served by the primary key.
MOVE = """
INSERT INTO memberships (shop_id, customer_id, segment, since, reason)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
ON CONFLICT (shop_id, customer_id)
DO UPDATE SET segment = EXCLUDED.segment, since = EXCLUDED.since, reason = EXCLUDED.reason
"""

# A customer that was merged is in no segment.
LEAVE = """
DELETE FROM memberships m USING unnest($1::text[], $2::text[]) AS gone (shop_id, customer_id)
WHERE (m.shop_id, m.customer_id) = (gone.shop_id, gone.customer_id)
"""


async def project(connection: Connection, saved: Sequence[Saved[Profile]]) -> None:
    """Moves the customers whose place in the grid changed in this batch to where they ended up."""
    rows = []
    for one in saved:
        if one.stored.into:
            continue
        for fact in reversed(one.facts):
            if isinstance(fact.data, LifecycleChanged):
                segment = segment_id(fact.data.lifecycle, fact.data.activity)
                rows.append((one.shop_id, one.customer_id, segment, fact.occurred_at, fact.data.reason))
                break
    if rows:
        await connection.execute(MOVE, *zip(*sorted(rows), strict=True))
    if gone := sorted((one.shop_id, one.customer_id) for one in saved if one.stored.into):
        await connection.execute(LEAVE, *zip(*gone, strict=True))
