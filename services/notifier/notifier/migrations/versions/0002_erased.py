"""Messages of people who asked to be forgotten: without parameters, and never copied to the mailbox again."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """What is erased so far: nothing."""
    op.execute("ALTER TABLE messages ADD COLUMN erased boolean NOT NULL DEFAULT false")
