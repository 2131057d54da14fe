"""A shop's own segments and lists, and the back-fills that make an edit felt by everybody."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    # How often a shop's own segments, lists or scales were edited; locked by whoever edits.
    # edition: of the presets that everybody was last asked by.
    "CREATE TABLE rulebooks (shop_id text PRIMARY KEY, revision bigint NOT NULL, edition text NOT NULL DEFAULT '')",
    # A row per version, only ever added to. An archived segment's last version says so.
    """CREATE TABLE segments (
        shop_id text, segment text, version int, revision bigint NOT NULL, state text NOT NULL, names json NOT NULL,
        rule json NOT NULL, edited_at timestamptz NOT NULL, edited_by text NOT NULL,
        PRIMARY KEY (shop_id, segment, version))""",
    """CREATE TABLE lists (
        shop_id text, list text, revision bigint NOT NULL, edited_at timestamptz NOT NULL, edited_by text NOT NULL,
        PRIMARY KEY (shop_id, list))""",
    # Who was taken off stays, so that the back-fill finds it. revision: of the edit that put it on or took it off.
    """CREATE TABLE list_members (
        shop_id text, list text, customer_id text, is_in boolean NOT NULL, revision bigint NOT NULL,
        PRIMARY KEY (shop_id, list, customer_id))""",
    # reason: the segment or list that was edited. cursor, passed: how far this pass has come; told: how many it
    # told to look again; asked: in all passes. sent_xid: the transaction that told last.
    """CREATE TABLE backfills (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shop_id text NOT NULL, revision bigint NOT NULL,
        at timestamptz NOT NULL, list text, reason text NOT NULL, customers bigint NOT NULL, asked bigint NOT NULL
        DEFAULT 0, pass int NOT NULL DEFAULT 1, cursor text NOT NULL DEFAULT '', passed bigint NOT NULL DEFAULT 0,
        told bigint NOT NULL DEFAULT 0, sent_xid xid8,
        not_before timestamptz NOT NULL, paced_until timestamptz, ended_at timestamptz)""",
    "CREATE INDEX backfills_open ON backfills (id) WHERE ended_at IS NULL",
    "CREATE INDEX backfills_of_a_shop ON backfills (shop_id, revision)",
)


def upgrade() -> None:
    """Tables of the room own/."""
    for statement in STATEMENTS:
        op.execute(statement)
