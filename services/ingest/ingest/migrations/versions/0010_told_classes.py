"""What classes were told last of each customer, so that only another one is told."""

from alembic import op

revision = "0010"
down_revision = "0009"

# body: the JSON of domain/told_classes.py's Told. An erasure empties the row and leaves it, with no more than the id:
# who writes of the same customer at that moment sees by it which of the two the bus tells first (classes/store.py).
TABLES = (
    """CREATE TABLE told_classes (
        shop_id text, customer_id text, revision int NOT NULL, body json NOT NULL,
        PRIMARY KEY (shop_id, customer_id)) WITH (fillfactor = 80)""",
)


def upgrade() -> None:
    """Makes it."""
    for statement in TABLES:
        op.execute(statement)
