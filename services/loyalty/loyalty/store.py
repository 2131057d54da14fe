"""All SQL that loyalty writes beside the road's own: the postings of the ledger, and the accounts as they stand."""

from collections.abc import Sequence
from datetime import datetime

from common.contracts.envelope import Data, Event
from common.contracts.loyalty import PointsMoved
from common.db.engine import Connection
from common.service import Saved
from loyalty.domain.account import Account
from loyalty.domain.posting import ROUTES

# No ON CONFLICT: a posting that is there already is a bug, and must not pass in silence.
POST = """
INSERT INTO postings
    (shop_id, customer_id, posting_id, kind, source, destination, points, balance, order_id, at, cause)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
    $8::bigint[], $9::text[], $10::timestamptz[], $11::text[])
"""

# Served by the primary key. A row that would stay as it is is left alone. updated_at is when the account last changed,
# however the batches were cut, so a batch that changes nothing does not set it back to when the account was opened.
STAND = """
INSERT INTO accounts (shop_id, customer_id, balance, tier, opened_at, updated_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[])
ON CONFLICT (shop_id, customer_id)
DO UPDATE SET balance = EXCLUDED.balance, tier = EXCLUDED.tier,
    updated_at = greatest(accounts.updated_at, EXCLUDED.updated_at)
WHERE (accounts.balance, accounts.tier) IS DISTINCT FROM (EXCLUDED.balance, EXCLUDED.tier)
    OR accounts.updated_at < EXCLUDED.updated_at
"""

# A customer that was merged has no account of its own; its postings stay, and add up to nothing.
CLOSE = """
DELETE FROM accounts a USING unnest($1::text[], $2::text[]) AS gone (shop_id, customer_id)
WHERE (a.shop_id, a.customer_id) = (gone.shop_id, gone.customer_id)
"""


async def project(connection: Connection, saved: Sequence[Saved[Account]]) -> None:
    """Writes what a batch's facts moved and where its accounts stand, in the transaction that saves the states."""
    facts = [fact for one in saved for fact in one.facts]
    moved = [_posting_row(fact, fact.data) for fact in facts if isinstance(fact.data, PointsMoved)]
    if moved:
        await connection.execute(POST, *zip(*moved, strict=True))
    standing = sorted(
        (one.shop_id, one.customer_id, account.balance, account.tier, account.opened_at, _changed_at(one))
        for one in saved
        if (account := one.stored.state).opened_at is not None and not one.stored.into and _may_have_changed(one)
    )
    if standing:
        await connection.execute(STAND, *zip(*standing, strict=True))
    if gone := sorted((one.shop_id, one.customer_id) for one in saved if one.stored.into):
        await connection.execute(CLOSE, *zip(*gone, strict=True))


def _may_have_changed(one: Saved[Account]) -> bool:
    """Balance and tier change with a fact; an account opens without one only if it holds nothing. All else that a
    customer does (most of what a shop tells) leaves the row alone."""
    return bool(one.facts) or one.stored.state.balance == 0


def _changed_at(one: Saved[Account]) -> datetime | None:
    """When balance or tier last changed in this batch, or the account was opened: not when the batch ended."""
    return one.facts[-1].occurred_at if one.facts else one.stored.state.opened_at


def _posting_row(fact: Event[Data], moved: PointsMoved) -> tuple[object, ...]:
    source, destination = ROUTES[type(moved)]
    return (
        fact.shop_id,
        fact.customer_id,
        moved.posting_id,
        moved.TYPE,
        source,
        destination,
        moved.points,
        moved.balance,
        moved.order_id,
        fact.occurred_at,
        fact.causation_id,
    )
