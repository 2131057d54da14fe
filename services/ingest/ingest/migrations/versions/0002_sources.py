"""Sources: a shop's connections to platforms, their secrets, and how each is doing."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = (
    # The counts are of deliveries, written some time after them: what a person looks at, nothing rests on them.
    """CREATE TABLE sources (
        source_id text PRIMARY KEY, shop_id text NOT NULL, kind text NOT NULL, name text NOT NULL,
        options jsonb NOT NULL, created_at timestamptz NOT NULL, last_delivery_at timestamptz,
        accepted bigint NOT NULL DEFAULT 0, repeated bigint NOT NULL DEFAULT 0, ignored bigint NOT NULL DEFAULT 0,
        refused bigint NOT NULL DEFAULT 0, signature_failures bigint NOT NULL DEFAULT 0)""",
    "CREATE INDEX sources_of_a_shop ON sources (shop_id, source_id)",
    # Two at once while one is being replaced; the older of them until `valid_until`.
    """CREATE TABLE source_secrets (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source_id text NOT NULL REFERENCES sources
        ON DELETE CASCADE, sealed bytea NOT NULL, valid_until timestamptz)""",
    "CREATE INDEX secrets_of_a_source ON source_secrets (source_id, id)",
)


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
