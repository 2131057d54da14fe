"""How far each reconciliation has come."""

from alembic import op

revision = "0006"
down_revision = "0005"

TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
