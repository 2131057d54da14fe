"""What connector processes remember."""

from alembic import op

revision = "0007"
down_revision = "0006"

TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
