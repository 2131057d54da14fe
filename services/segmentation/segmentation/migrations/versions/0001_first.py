"""First tables of segmentation."""

from alembic import op

from common.contracts.topics import MEMBERSHIPS, SEGMENTATION_WORK
from common.db.tables import road_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The road's tables, and who is in which segment."""
    for statement in road_v1((MEMBERSHIPS, SEGMENTATION_WORK)):
        op.execute(statement)
    # fillfactor: a row moves a few times in a customer's life and its segment is indexed; leave room for that.
    op.execute(
        """CREATE TABLE memberships (
            shop_id text, customer_id text, segment text NOT NULL, since timestamptz NOT NULL, reason text NOT NULL,
            PRIMARY KEY (shop_id, customer_id)) WITH (fillfactor = 90)"""
    )
    op.execute("CREATE INDEX memberships_of_segment ON memberships (shop_id, segment, customer_id)")
