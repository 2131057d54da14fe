"""The vault's keys by name, consents, raw deliveries kept for a while, and what people ask for their data."""

from alembic import op

revision = "0005"
down_revision = "0004"

# The mark and name of the master key that sealed a value, empty for what was sealed before keys had names. As in
# rotation.py, which finds by these indexes what another key sealed.
SEALED_BY = (
    "(CASE WHEN substring({0} from 1 for 4) = '\\x00726b31'::bytea THEN substring({0} from 1 for 12) ELSE '' END)"
)

TABLES = (
    # What blind indexes and pseudonyms are made with: a key of its own, so that they outlive every master key.
    "CREATE TABLE vault_index_key (one boolean PRIMARY KEY DEFAULT true CHECK (one), sealed bytea NOT NULL)",
    f"CREATE INDEX vault_keys_sealed_by ON vault_keys ({SEALED_BY.format('wrapped_key')})",
    f"CREATE INDEX dead_letters_sealed_by ON dead_letters ({SEALED_BY.format('body')})",
    # What is so now of each channel and purpose, by the newest statement, whenever that came.
    """CREATE TABLE consents (
        shop_id text, customer_id text, channel text, purpose text, granted boolean NOT NULL, via text,
        source text NOT NULL, event_id text NOT NULL, occurred_at timestamptz NOT NULL,
        received_at timestamptz NOT NULL, PRIMARY KEY (shop_id, customer_id, channel, purpose))""",
    # Every statement; its proof lies in the vault, by the event's id. Not `told`: it came after a newer one.
    """CREATE TABLE consent_history (
        shop_id text, customer_id text, channel text, purpose text, occurred_at timestamptz, source text, event_id text,
        granted boolean NOT NULL, via text, received_at timestamptz NOT NULL, told boolean NOT NULL,
        PRIMARY KEY (shop_id, customer_id, channel, purpose, occurred_at, source, event_id))""",
    # Sealed under the customer's key where all of a delivery is one's, else under the master key.
    """CREATE TABLE raw_deliveries (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shop_id text NOT NULL, source_id text NOT NULL,
        customer_id text, received_at timestamptz NOT NULL, sealed bytea NOT NULL)""",
    "CREATE INDEX raw_deliveries_of_a_source ON raw_deliveries (source_id, received_at, id)",
    "CREATE INDEX raw_deliveries_by_age ON raw_deliveries (received_at)",
    """CREATE INDEX raw_deliveries_of_a_customer ON raw_deliveries (shop_id, customer_id)
        WHERE customer_id IS NOT NULL""",
    f"""CREATE INDEX raw_deliveries_sealed_by ON raw_deliveries ({SEALED_BY.format("sealed")})
        WHERE customer_id IS NULL""",
    # What people, or a platform for them, asked for; `names` is sealed, and gone when it is done.
    """CREATE TABLE privacy_requests (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shop_id text NOT NULL, source_id text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('export', 'erase', 'erase_shop')),
        reference text NOT NULL, names bytea, asked_at timestamptz NOT NULL,
        due_at timestamptz NOT NULL, done_at timestamptz, outcome json,
        UNIQUE (shop_id, source_id, kind, reference))""",
    "CREATE INDEX privacy_requests_open ON privacy_requests (id) WHERE done_at IS NULL",
)


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
