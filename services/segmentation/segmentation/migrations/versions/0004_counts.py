"""How many are in each segment, now and over time, and what was told of one customer."""

from alembic import op

from common.contracts.topics import MEMBERSHIPS

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    # As of the last folding. entries and exits: how often anybody ever came and went.
    """CREATE TABLE segment_counts (
        shop_id text, segment text, members bigint NOT NULL, entries bigint NOT NULL, exits bigint NOT NULL,
        sampled_at timestamptz NOT NULL DEFAULT '-infinity', PRIMARY KEY (shop_id, segment))""",
    # What came since, a row for each statement and segment, so that writers never wait for each other. It is emptied
    # every few seconds; the sums of both tables are exact at every moment.
    """CREATE TABLE segment_moves (
        shop_id text NOT NULL, segment text NOT NULL, entries int NOT NULL, exits int NOT NULL)""",
    """CREATE TABLE segment_samples (
        shop_id text, segment text, at timestamptz, members bigint NOT NULL, entries bigint NOT NULL,
        exits bigint NOT NULL, daily boolean NOT NULL, PRIMARY KEY (shop_id, segment, at))""",
    "CREATE INDEX segment_samples_by_age ON segment_samples (at)",
    # Counted where the rows are written, so that no way of writing them can forget it.
    """CREATE FUNCTION count_entries() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN
        INSERT INTO segment_moves SELECT shop_id, segment, count(*), 0 FROM entered GROUP BY shop_id, segment;
        RETURN NULL;
    END $$""",
    """CREATE FUNCTION count_exits() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN
        INSERT INTO segment_moves SELECT shop_id, segment, 0, count(*) FROM gone GROUP BY shop_id, segment;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER entries AFTER INSERT ON memberships REFERENCING NEW TABLE AS entered
        FOR EACH STATEMENT EXECUTE FUNCTION count_entries()""",
    """CREATE TRIGGER exits AFTER DELETE ON memberships REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION count_exits()""",
    """INSERT INTO segment_counts (shop_id, segment, members, entries, exits)
        SELECT shop_id, segment, count(*), count(*), 0 FROM memberships GROUP BY shop_id, segment""",
    # A customer's facts stand in the outbox anyway; equal keys share an entry, so this costs little to keep.
    f"CREATE INDEX outbox_of_customer ON outbox (key) WHERE topic = '{MEMBERSHIPS.name}'",
)


def upgrade() -> None:
    """Counts, samples of them, and the way from a customer to its facts."""
    for statement in STATEMENTS:
        op.execute(statement)
