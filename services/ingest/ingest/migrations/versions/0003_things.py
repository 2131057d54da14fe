"""Carts and orders: what the edge remembers of them."""

from alembic import op

revision = "0003"
down_revision = "0002"

# Many write them at once: `revision` shows a writer that a row was made after it looked (see things_store.py).
TABLES = (
    # body: the JSON of domain/carts.py's Cart. touched_on: a day, so that its index need not follow every change.
    """CREATE TABLE carts (
        shop_id text, source text, cart_id text, touched_on date NOT NULL, revision int NOT NULL, body json NOT NULL,
        PRIMARY KEY (shop_id, source, cart_id)) WITH (fillfactor = 80)""",
    "CREATE INDEX carts_touched ON carts (touched_on)",
    # body: the JSON of domain/orders.py's Order.
    """CREATE TABLE orders (
        shop_id text, order_id text, customer_id text NOT NULL, revision int NOT NULL, body json NOT NULL,
        PRIMARY KEY (shop_id, order_id)) WITH (fillfactor = 80)""",
    "CREATE INDEX orders_of_a_customer ON orders (shop_id, customer_id)",
)


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
