"""First tables of ingest: the outbox of all events, the ids seen, the vault."""

from alembic import op

from common.contracts.topics import INGEST_EVENTS
from common.db.tables import road_v1

revision = "0001"
down_revision = None

TABLES = (
    # Repeats can only enter here: what a sender has sent once is known by its id.
    "CREATE TABLE seen (shop_id text, source text, id text, PRIMARY KEY (shop_id, source, id))",
    """CREATE TABLE vault_keys (
        shop_id text, customer_id text, wrapped_key bytea NOT NULL, PRIMARY KEY (shop_id, customer_id))""",
    """CREATE TABLE vault (
        shop_id text, customer_id text, field text, sealed bytea NOT NULL, blind_index bytea,
        PRIMARY KEY (shop_id, customer_id, field),
        FOREIGN KEY (shop_id, customer_id) REFERENCES vault_keys ON DELETE CASCADE)""",
    "CREATE INDEX vault_blind_index ON vault (shop_id, blind_index) WHERE blind_index IS NOT NULL",
)


def upgrade() -> None:
    """Makes them."""
    for statement in (*road_v1((INGEST_EVENTS,)), *TABLES):
        op.execute(statement)
