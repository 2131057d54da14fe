"""Identities: the names people go by, and who turned out to be one."""

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
