"""Who was merged into whom, found by who lives on: for the timeline."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    # A row per id that was ever merged. A split leaves it there: what counts is `into` of the state. An index on that
    # instead would be paid for at every write of every state.
    "CREATE TABLE merged (shop_id text, customer_id text, into_id text NOT NULL, PRIMARY KEY (shop_id, customer_id))",
    "CREATE INDEX merged_into ON merged (shop_id, into_id)",
    """INSERT INTO merged SELECT shop_id, customer_id, body ->> 'into' FROM states WHERE body ->> 'into' IS NOT NULL""",
)


def upgrade() -> None:
    """The way from a customer to the ids that were merged into it."""
    for statement in STATEMENTS:
        op.execute(statement)
