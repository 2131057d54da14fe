"""First tables of journeys: the road's, and the enrollments as the facts tell of them."""

from alembic import op

from common.contracts.topics import JOURNEYS_WORK, REQUESTS
from common.db.tables import road_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The road's tables, and one row per enrollment, kept after it ended."""
    for statement in road_v1((REQUESTS, JOURNEYS_WORK)):
        op.execute(statement)
    # fillfactor: a row changes once, when the customer leaves.
    op.execute(
        """CREATE TABLE enrollments (
            shop_id text, customer_id text, journey text, enrollment text, entered_at timestamptz NOT NULL,
            left_at timestamptz, reason text, CHECK ((left_at IS NULL) = (reason IS NULL)),
            PRIMARY KEY (shop_id, customer_id, journey, enrollment)) WITH (fillfactor = 90)"""
    )
    # Counts per journey and reason are read from this index alone.
    op.execute("CREATE INDEX enrollments_counts ON enrollments (shop_id, journey, reason)")
