"""Identities: the names people go by, and who turned out to be one."""

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = (
    # Whose a name is: of the person it was first given to, whoever that one is merged into later. Values of phone and
    # email are blind indexes. `links`: how many people it has brought together; `shared`: it counts no more.
    """CREATE TABLE identities (
        shop_id text, kind text, value text, customer_id text NOT NULL, first_at timestamptz NOT NULL,
        last_at timestamptz NOT NULL, source text NOT NULL, event_id text NOT NULL, links int NOT NULL DEFAULT 0,
        shared boolean NOT NULL DEFAULT false, PRIMARY KEY (shop_id, kind, value))""",
    "CREATE INDEX identities_of_a_person ON identities (shop_id, customer_id, kind)",
    "CREATE INDEX identities_shared ON identities (shop_id, kind, value) WHERE shared",
    # Everybody who ever took part in a merge. Who was merged has a `parent`, the one merged with, by a name that an
    # event gave; `into_id` is who lives on, however many were merged after.
    """CREATE TABLE people (
        shop_id text, customer_id text, parent text, into_id text, kind text, value text, source text, event_id text,
        merged_at timestamptz, PRIMARY KEY (shop_id, customer_id))""",
    "CREATE INDEX people_merged ON people (shop_id, into_id) WHERE into_id IS NOT NULL",
    # Pairs that were merged by mistake once; the reason is sealed, since nobody knows what is in it.
    """CREATE TABLE kept_apart (
        shop_id text, one text, other text, since timestamptz NOT NULL, reason bytea,
        PRIMARY KEY (shop_id, one, other))""",
    "CREATE INDEX kept_apart_others ON kept_apart (shop_id, other)",
    # What of a person's personal data came with somebody who was merged, and its digest as it was sealed then.
    """CREATE TABLE belongings (
        shop_id text, customer_id text, field text, from_id text NOT NULL, digest bytea NOT NULL,
        PRIMARY KEY (shop_id, customer_id, field),
        FOREIGN KEY (shop_id, customer_id, field) REFERENCES vault ON DELETE CASCADE)""",
)


def upgrade() -> None:
    """Makes them."""
    for statement in TABLES:
        op.execute(statement)
