"""The audit log: who did what to what, and when. It only grows, and names nothing but ids."""

from typing import Literal

from structlog.contextvars import get_contextvars

from common.db.engine import Connection
from common.web.auth import Caller

# What is noted: whatever gives, takes or uses a right, or changes who somebody is.
# fmt: off
Action = Literal[
    "key.made", "key.revoked", "source.made", "source.removed", "source.rotated", "source.polled", "delivery.replayed",
    "letters.replayed", "deliveries.reprocessed", "import.begun", "people.merged", "people.split", "person.exported",
    "person.erased", "vault.rotated", "segment.created", "segment.edited", "segment.archived", "list.put",
    "list.deleted",
]
# fmt: on
EVERY_SHOP = "*"

AUDIT_DDL = """
CREATE TABLE IF NOT EXISTS access.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), shop_id text NOT NULL,
    who text NOT NULL, action text NOT NULL, target text NOT NULL, request_id text NOT NULL);
CREATE INDEX IF NOT EXISTS audit_of_a_shop ON access.audit (shop_id, id);
"""
_NOTE = "INSERT INTO access.audit (shop_id, who, action, target, request_id) VALUES ($1, $2, $3, $4, $5)"


def command(shop_id: str = EVERY_SHOP) -> Caller:
    """Whoever runs the command on the machine itself."""
    return Caller(shop_id, frozenset(("admin",)), "cli")


async def note(connection: Connection, caller: Caller, action: Action, target: str) -> None:
    """Notes an act in the transaction that does it. `target` is an id, or several; never personal data."""
    request_id = str(get_contextvars().get("request_id", ""))
    await connection.execute(_NOTE, caller.shop_id, caller.key_id, action, target, request_id)
