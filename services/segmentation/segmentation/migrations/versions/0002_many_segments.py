"""A customer may be in many segments at once; those of every customer's cell of the grid stay."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """The segment becomes part of the key."""
    op.execute("ALTER TABLE memberships DROP CONSTRAINT memberships_pkey")
    op.execute("ALTER TABLE memberships ADD PRIMARY KEY (shop_id, customer_id, segment)")
