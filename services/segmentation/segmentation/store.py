"""What segmentation writes besides states and facts: which segments each customer is in, and since when and why."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from common.contracts.segmentation import LifecycleChanged, SegmentEntered, SegmentLeft
from common.db.engine import Connection
from common.service import Saved
from segmentation.domain.profile.state import Profile
from segmentation.domain.rules.grid import segment_id
from segmentation.models import rfm_scales

# Before those that were entered are written: of the cells of the grid one is left as another is entered. Primary key.
LEAVE = """
DELETE FROM memberships m USING unnest($1::text[], $2::text[], $3::text[]) AS gone (shop_id, customer_id, segment)
WHERE (m.shop_id, m.customer_id, m.segment) = (gone.shop_id, gone.customer_id, gone.segment)
"""

# Served by the primary key. A row is there already where an edited segment was entered anew.
ENTER = """
INSERT INTO memberships (shop_id, customer_id, segment, since, reason)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
ON CONFLICT (shop_id, customer_id, segment) DO UPDATE SET since = EXCLUDED.since, reason = EXCLUDED.reason
"""

# A customer that was merged is in no segment. Of each that is saved, since `merged` does not say who was split off and
# merged again; where there is nothing to leave, nothing is written or locked.
LEAVE_ALL = """
DELETE FROM memberships m USING unnest($1::text[], $2::text[]) AS gone (shop_id, customer_id)
WHERE (m.shop_id, m.customer_id) = (gone.shop_id, gone.customer_id)
"""

# Primary key; written again only where somebody was split off and merged elsewhere. Who is merged is saved often after,
# and ON CONFLICT alone would write a lock on the row each time.
REMEMBER_MERGE = """
INSERT INTO merged (shop_id, customer_id, into_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS new (shop_id, customer_id, into_id)
WHERE NOT EXISTS (SELECT 1 FROM merged m
    WHERE (m.shop_id, m.customer_id, m.into_id) = (new.shop_id, new.customer_id, new.into_id))
ON CONFLICT (shop_id, customer_id) DO UPDATE SET into_id = EXCLUDED.into_id
"""

# Whoever was erased stands on no list that was put before. The revision's back-fill says when that was; a row that the
# profile knows of again was put after it. Primary key, list by list.
FORGET_LISTS = """
DELETE FROM list_members m USING unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[])
    AS gone (shop_id, customer_id, erased_at, lists) JOIN lists l USING (shop_id)
WHERE (m.shop_id, m.list, m.customer_id) = (gone.shop_id, l.list, gone.customer_id)
    AND NOT gone.lists::jsonb ? m.list AND NOT EXISTS (SELECT 1 FROM backfills b
        WHERE (b.shop_id, b.revision) = (m.shop_id, m.revision) AND b.at > gone.erased_at)
"""


class _Moves(NamedTuple):
    """Of one customer in one batch: what it is in at the end of it, and what no more."""

    entered: dict[str, tuple[datetime, str]]
    left: dict[str, None]

    def enter(self, segment: str, since: datetime, reason: str) -> None:
        self.left.pop(segment, None)
        self.entered[segment] = since, reason

    def leave(self, segment: str) -> None:
        self.entered.pop(segment, None)
        self.left[segment] = None


async def project(connection: Connection, saved: Sequence[Saved[Profile]]) -> None:
    """Moves the customers whose segments changed in this batch to where they ended up."""
    entered: list[tuple[str, str, str, datetime, str]] = []
    left: list[tuple[str, str, str]] = []
    for one in saved:
        if one.stored.into or not one.facts:
            continue
        moves = _moves(one)
        entered += [(one.shop_id, one.customer_id, segment, *why) for segment, why in moves.entered.items()]
        left += [(one.shop_id, one.customer_id, segment) for segment in moves.left]
    if left:
        await connection.execute(LEAVE, *zip(*sorted(left), strict=True))
    if entered:
        await connection.execute(ENTER, *zip(*sorted(entered), strict=True))
    if gone := sorted((one.shop_id, one.customer_id, one.stored.into) for one in saved if one.stored.into):
        shops, customers, into = zip(*gone, strict=True)
        await connection.execute(LEAVE_ALL, shops, customers)
        await connection.execute(REMEMBER_MERGE, shops, customers, into)
    if erased := [_erased(one) for one in saved if one.stored.state.erased_at is not None]:
        await connection.execute(FORGET_LISTS, *zip(*sorted(erased), strict=True))
    await rfm_scales.keep(connection, [_buyer(one) for one in saved if _may_have_bought(one)])


def _erased(one: Saved[Profile]) -> tuple[str, str, datetime | None, str]:
    profile = one.stored.state
    return one.shop_id, one.customer_id, profile.erased_at, msgspec.json.encode(profile.lists).decode()


def _may_have_bought(one: Saved[Profile]) -> bool:
    """Of who never did there is nothing to keep; of who has no order left any more something was told."""
    profile = one.stored.state
    return profile.purchases is not None or bool(profile.orders or profile.dropped or one.facts)


def _buyer(one: Saved[Profile]) -> rfm_scales.Buyer:
    """A customer that was merged is another one's buyer."""
    of = None if one.stored.into else one.stored.state.purchases
    last_at, orders, amount_minor = (None, 0, 0) if of is None else (of.last_at, of.count, of.amount_minor)
    return one.shop_id, one.customer_id, last_at, orders, amount_minor


def _moves(one: Saved[Profile]) -> _Moves:
    moves = _Moves({}, {})
    for fact in one.facts:
        match fact.data:
            case LifecycleChanged() as changed:
                now, before = ("fan" if changed.fan else changed.lifecycle), changed.previous_lifecycle
                if before is not None:
                    moves.leave(segment_id("fan" if changed.previous_fan else before, changed.previous_activity))
                moves.enter(segment_id(now, changed.activity), fact.occurred_at, changed.reason)
            case SegmentEntered(segment, reason):
                moves.enter(segment, fact.occurred_at, reason)
            case SegmentLeft(segment):
                moves.leave(segment)
            case _:
                pass
    return moves
