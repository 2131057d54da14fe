"""All SQL that reads for the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from common.db import states
from common.db.engine import Connection
from common.decision import Stored
from loyalty.domain.account import Account
from loyalty.domain.posting import CUSTOMER, PROGRAMME, TRANSFER

MAX_DIFFERENCES = 100  # listed by one audit

# Newest first; a posting's id is its number, so the primary key has them in order.
STATEMENT = f"""
SELECT posting_id, at, kind, CASE destination WHEN '{CUSTOMER}' THEN points ELSE -points END, balance, order_id
FROM postings WHERE shop_id = $1 AND customer_id = $2 AND ($3::text IS NULL OR posting_id < $3)
ORDER BY posting_id DESC LIMIT $4
"""

# Read from accounts_tier alone.
TIERS = "SELECT tier, count(*) FROM accounts WHERE shop_id = $1 GROUP BY tier"

# Reads all of a shop's postings once: for checks, not for dashboards.
TOTALS = f"""
SELECT count(*),
    coalesce(sum(points) FILTER (WHERE source = '{PROGRAMME}'), 0)::bigint,
    coalesce(sum(points) FILTER (WHERE destination = '{PROGRAMME}'), 0)::bigint,
    coalesce(sum(CASE destination WHEN '{TRANSFER}' THEN points ELSE -points END)
        FILTER (WHERE '{TRANSFER}' IN (source, destination)), 0)::bigint,
    (SELECT coalesce(sum(balance), 0)::bigint FROM accounts WHERE shop_id = $1)
FROM postings WHERE shop_id = $1
"""

# The postings of a customer without an account (one that was merged, or never had any) add up to nothing, as do those
# of an account without postings.
DIFFERENCES = f"""
WITH ledger AS (
    SELECT customer_id, sum(CASE destination WHEN '{CUSTOMER}' THEN points ELSE -points END)::bigint AS posted
    FROM postings WHERE shop_id = $1 GROUP BY customer_id
), standing AS (
    SELECT customer_id, balance FROM accounts WHERE shop_id = $1
)
SELECT customer_id, balance, coalesce(posted, 0) FROM standing FULL JOIN ledger USING (customer_id)
WHERE coalesce(balance, 0) <> coalesce(posted, 0) ORDER BY customer_id LIMIT {MAX_DIFFERENCES}
"""

_STORED = msgspec.json.Decoder(Stored[Account])


class Entry(NamedTuple):
    """One line of a statement; `points` is signed for the customer."""

    posting_id: str
    at: datetime
    kind: str
    points: int
    balance: int
    order_id: str | None


class Totals(NamedTuple):
    """A shop's ledger added up, and its accounts'."""

    postings: int
    points_issued: int
    points_reversed: int
    points_in_transit: int
    balances: int


class Difference(NamedTuple):
    """A customer whose account (None: there is none) does not hold what was posted."""

    customer_id: str
    balance: int | None
    posted: int


async def account(connection: Connection, shop_id: str, customer_id: str) -> Account | None:
    """The customer's account, or None before the first completed order."""
    body = await states.body(connection, shop_id, customer_id)
    found = _STORED.decode(body).state if body is not None else None
    return found if found is not None and found.opened_at is not None else None


async def statement(
    connection: Connection, shop_id: str, customer_id: str, before: str | None, limit: int
) -> Sequence[Entry]:
    """The customer's postings below a posting's id, newest first."""
    return [Entry(*row) for row in await connection.fetch(STATEMENT, shop_id, customer_id, before, limit)]


async def tiers(connection: Connection, shop_id: str) -> dict[str, int]:
    """How many accounts are in each tier that has any."""
    return {row["tier"]: row["count"] for row in await connection.fetch(TIERS, shop_id)}


async def audit(connection: Connection, shop_id: str) -> tuple[Totals, Sequence[Difference]]:
    """What the ledger adds up to, and where the accounts differ from it; to be asked in one snapshot."""
    totals = await connection.fetchrow(TOTALS, shop_id)
    assert totals is not None
    return Totals(*totals), [Difference(*row) for row in await connection.fetch(DIFFERENCES, shop_id)]
