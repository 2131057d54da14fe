"""How the buyers of a shop are spread, and the scales of RFM that were made of it."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    # A row per customer who ever bought. No other index: an update stays within its page, and once a day all of a
    # shop's rows are read. collate: ids are ordered as the decision orders them.
    """CREATE TABLE purchasers (
        shop_id text, customer_id text COLLATE "C", last_at timestamptz NOT NULL, orders bigint NOT NULL,
        amount_minor bigint NOT NULL, PRIMARY KEY (shop_id, customer_id)) WITH (fillfactor = 90)""",
    # A row per publication; due_at: when it was to be, by the shop's schedule. revision: of the rulebook, at which it
    # came to be as it is. Bounds, four each: domain/models/rfm_scale.py; orders_from: the customers that those of
    # orders begin at.
    """CREATE TABLE rfm_scales (
        shop_id text, due_at timestamptz, published_at timestamptz NOT NULL, revision bigint NOT NULL,
        customers bigint NOT NULL, days numeric[] NOT NULL, orders bigint[] NOT NULL,
        orders_from text[] NOT NULL, money numeric[] NOT NULL, PRIMARY KEY (shop_id, due_at))""",
)


def upgrade() -> None:
    """Tables of the RFM model."""
    for statement in STATEMENTS:
        op.execute(statement)
