"""The facts of one customer in their order, so that the newest are found without looking at all of them."""

from alembic import op

from common.contracts.topics import MEMBERSHIPS

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    "DROP INDEX outbox_of_customer",
    # An entry for each fact, where equal keys shared one before: a timeline asks for a page of facts of every id that
    # was merged into the customer, and facts are never trimmed.
    f"CREATE INDEX outbox_of_customer ON outbox (key, id) WHERE topic = '{MEMBERSHIPS.name}'",
)


def upgrade() -> None:
    """An index of facts by customer, each customer's in the order of writing."""
    for statement in STATEMENTS:
        op.execute(statement)
