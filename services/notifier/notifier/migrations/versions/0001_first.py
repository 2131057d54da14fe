"""First tables of notifier: the road's, every message and what became of it, and the mailbox."""

from alembic import op

from common.contracts.topics import DELIVERIES, NOTIFIER_WORK
from common.db.tables import road_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Neither table holds personal data: parameters carry none, addresses are masked, names are left out."""
    for statement in road_v1((DELIVERIES, NOTIFIER_WORK)):
        op.execute(statement)
    # guarantee: what a crash in the middle of sending comes to. due_at and claimed_at are by the server's own clock,
    # all other times by the shop's. claims tells one claim from the next; tries are those that were about the message.
    op.execute(
        """CREATE TABLE messages (
            shop_id text, customer_id text, message_key text, number bigint NOT NULL,
            channel text NOT NULL, purpose text NOT NULL,
            guarantee text NOT NULL CHECK (guarantee IN ('at most once', 'at least once')),
            journey text NOT NULL, step text NOT NULL, template text NOT NULL, params json NOT NULL,
            status text NOT NULL CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'suppressed')),
            requested_at timestamptz NOT NULL, sent_at timestamptz, reason text,
            due_at timestamptz NOT NULL DEFAULT now(), claimed_at timestamptz,
            claims integer NOT NULL DEFAULT 0, tries integer NOT NULL DEFAULT 0,
            CHECK ((status = 'sent') = (sent_at IS NOT NULL)),
            CHECK ((status = 'sending') = (claimed_at IS NOT NULL)),
            PRIMARY KEY (shop_id, customer_id, message_key)) WITH (fillfactor = 80)"""
    )
    op.execute("CREATE INDEX messages_pending ON messages (due_at) WHERE status = 'pending'")
    op.execute("CREATE INDEX messages_sending ON messages (claimed_at) WHERE status = 'sending'")
    op.execute(
        """CREATE TABLE mailbox (
            shop_id text, id bigint GENERATED ALWAYS AS IDENTITY, message_key text NOT NULL, customer_id text NOT NULL,
            channel text NOT NULL, to_masked text NOT NULL, subject text, body text NOT NULL, at timestamptz NOT NULL,
            PRIMARY KEY (shop_id, id), UNIQUE (shop_id, customer_id, message_key))"""
    )
