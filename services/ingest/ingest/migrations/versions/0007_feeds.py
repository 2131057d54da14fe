"""Feeds: which process is connected to which platform, and how each connection does."""

from alembic import op

revision = "0007"
down_revision = "0006"

TABLES: tuple[str, ...] = (
    # Held until then by whoever is connected: others leave it alone.
    """CREATE TABLE feeds (
        source_id text PRIMARY KEY REFERENCES sources ON DELETE CASCADE, holder text NOT NULL,
        held_until timestamptz NOT NULL, said text NOT NULL DEFAULT '', said_at timestamptz)""",
)


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
