"""Carts and orders: what the edge remembers of them."""

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
