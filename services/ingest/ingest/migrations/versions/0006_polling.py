"""How far each reconciliation has come, and with what it asks."""

from alembic import op

revision = "0006"
down_revision = "0005"

TABLES: tuple[str, ...] = (
    # What a platform signs with, or what we ask its REST API with: never good for each other.
    "ALTER TABLE source_secrets ADD COLUMN purpose text NOT NULL DEFAULT 'webhook'",
    "ALTER TABLE sources ADD COLUMN rest_url text",
    # `up_to`: everything that the platform changed before it is known. `due_at` is when to look next, and while
    # somebody looks, when another may: `claim` tells the two apart.
    """CREATE TABLE polls (
        source_id text NOT NULL REFERENCES sources ON DELETE CASCADE, resource text NOT NULL,
        up_to timestamptz NOT NULL, due_at timestamptz NOT NULL, claim bigint NOT NULL DEFAULT 0,
        polled_at timestamptz, found bigint NOT NULL DEFAULT 0, failures integer NOT NULL DEFAULT 0, fault text,
        PRIMARY KEY (source_id, resource))""",
    "CREATE INDEX polls_due ON polls (due_at)",
)


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
