"""First tables of loyalty: the road's, the postings of the ledger, and the accounts as they stand."""

from alembic import op

from common.contracts.topics import ACCOUNTS, LOYALTY_WORK
from common.db.tables import road_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The road's tables, a row per posting, never changed, and a row per customer who completed an order."""
    for statement in road_v1((ACCOUNTS, LOYALTY_WORK)):
        op.execute(statement)
    # A posting's id is its number within the customer, so the key reads a statement in order.
    op.execute(
        """CREATE TABLE postings (
            shop_id text, customer_id text, posting_id text, kind text NOT NULL, source text NOT NULL,
            destination text NOT NULL, points bigint NOT NULL CHECK (points > 0), balance bigint NOT NULL,
            order_id text, at timestamptz NOT NULL, cause text NOT NULL,
            CHECK (source <> destination), PRIMARY KEY (shop_id, customer_id, posting_id))"""
    )
    # No spend here: it shrinks by itself as time passes, so it is read off the state when somebody asks.
    op.execute(
        """CREATE TABLE accounts (
            shop_id text, customer_id text, balance bigint NOT NULL, tier text NOT NULL,
            opened_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
            PRIMARY KEY (shop_id, customer_id)) WITH (fillfactor = 80)"""
    )
    # How many are in each tier is read from this index alone.
    op.execute("CREATE INDEX accounts_tier ON accounts (shop_id, tier)")
