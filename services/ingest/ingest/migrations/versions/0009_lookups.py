"""Indexes that fit what is asked: of each look-up one that the server cannot take another for."""

from alembic import op

revision = "0009"
down_revision = "0008"

CHANGES = (
    # With the kind in it, it looked as good as the primary key for a name that is given, and was far worse.
    "CREATE INDEX identities_of_somebody ON identities (shop_id, customer_id)",
    "DROP INDEX identities_of_a_person",
    # People are found by their names. The column goes one release later: until then the code before this writes it.
    "DROP INDEX vault_blind_index",
)


def upgrade() -> None:
    """Makes them."""
    for statement in CHANGES:
        op.execute(statement)
