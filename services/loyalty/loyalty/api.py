"""What loyalty answers over HTTP: an account with its statement, the tiers, and whether the ledger adds up."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg
from fastapi import APIRouter
from pydantic import BaseModel

from common.clock import Clock
from common.contracts.loyalty import PointsEarned, PointsReversed, PointsTransferredIn, PointsTransferredOut
from common.db.states import canonical
from common.web.auth import Reader, shop_of
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, PlainId, Text, decode_cursor
from common.web.problems import Problem
from loyalty import queries
from loyalty.domain.account import spend_minor
from loyalty.domain.rules import Rules

REASONS = {
    PointsEarned.TYPE: "order completed",
    PointsReversed.TYPE: "order refunded or cancelled",
    PointsTransferredIn.TYPE: "two customers are one",
    PointsTransferredOut.TYPE: "two customers are one, or were taken for one",
}


class EntryOut(BaseModel):
    """One line of the statement; `points` is below zero where the customer lost some, `balance` is after it."""

    posting_id: str
    at: datetime
    points: int
    balance: int
    order_id: str | None
    reason: str


class AccountOut(BaseModel):
    """An account at `as_of`; the statement is newest first."""

    customer_id: str
    points: int
    tier: str
    spend_minor: int  # in the last `window_days`
    window_days: int
    currency: str
    next_review_at: datetime | None
    as_of: datetime
    statement: Page[EntryOut]


class TiersOut(BaseModel):
    """How many accounts there are, and in each tier, lowest first."""

    accounts: int
    tiers: dict[str, int]


class DifferenceOut(BaseModel):
    """A customer whose balance (null: no account) is not what the postings add up to."""

    customer_id: str
    balance: int | None
    posted: int


class AuditOut(BaseModel):
    """The points add up if `points_issued` less `points_reversed` and `points_in_transit` (between two customers who
    are being merged, nothing at rest) is `balances`, and nobody is among `differences`."""

    postings: int
    points_issued: int
    points_reversed: int
    points_in_transit: int
    balances: int
    differences: list[DifferenceOut]


def router(pool: asyncpg.Pool, rules: Mapping[str, Rules], clock: Clock) -> APIRouter:
    """The routes of loyalty."""
    routes = APIRouter(prefix="/v1", tags=["loyalty"])

    @routes.get("/accounts/{customer_id:path}")
    async def account(
        caller: Reader, customer_id: PlainId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> AccountOut:
        own = shop_of(rules, caller)
        (before,) = decode_cursor(cursor, Text) or (None,)
        # One snapshot, so that the balance is that of the newest posting.
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            customer_id = await canonical(connection, caller.shop_id, customer_id)
            found = await queries.account(connection, caller.shop_id, customer_id)
            entries = await queries.statement(connection, caller.shop_id, customer_id, before, limit + 1)
        if found is None:
            raise Problem(404, "Unknown account", f"No order of a customer {customer_id!r} was ever completed.")
        as_of = clock.now()
        return AccountOut(
            customer_id=customer_id,
            points=found.balance,
            tier=found.tier,
            spend_minor=spend_minor(found, as_of, own.window),
            window_days=own.window_days,
            currency=own.currency,
            next_review_at=found.next_review_at,
            as_of=as_of,
            statement=Page.of([_entry(one) for one in entries], limit, key=lambda entry: (entry.posting_id,)),
        )

    @routes.get("/tiers")
    async def tiers(caller: Reader) -> TiersOut:
        own = shop_of(rules, caller)
        async with pool.acquire() as connection:
            counts = await queries.tiers(connection, caller.shop_id)
        shown = dict.fromkeys((step.tier for step in own.tiers), 0) | counts
        return TiersOut(accounts=sum(shown.values()), tiers=shown)

    @routes.get("/ledger/audit")
    async def audit(caller: Reader) -> AuditOut:
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            totals, differences = await queries.audit(connection, caller.shop_id)
        return AuditOut(**totals._asdict(), differences=[DifferenceOut(**one._asdict()) for one in differences])

    return routes


def _entry(one: queries.Entry) -> EntryOut:
    return EntryOut(
        posting_id=one.posting_id,
        at=one.at,
        points=one.points,
        balance=one.balance,
        order_id=one.order_id,
        reason=REASONS.get(one.kind, one.kind),
    )
