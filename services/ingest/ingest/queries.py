"""SQL that lists refused events and the audit log."""

from datetime import datetime

from pydantic import BaseModel

from common.db.engine import Connection

REFUSED = """
SELECT id, path, reason, at, replayed_at FROM dead_letters
WHERE shop_id = $1 AND id > $2 ORDER BY id LIMIT $3
"""


# Newest first; of all shops without one. Served by audit_of_a_shop, or by the primary key.
AUDIT = """
SELECT id, at, shop_id, who, action, target, request_id FROM access.audit
WHERE ($1::text IS NULL OR shop_id = $1) AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""


class Refused(BaseModel):
    """A refused event, without what was in it."""

    id: int
    path: str
    reason: str
    at: datetime
    replayed_at: datetime | None


async def refused(connection: Connection, shop_id: str, after: int, limit: int) -> list[Refused]:
    """Refused events of a shop in the order they came."""
    return [Refused(**dict(row)) for row in await connection.fetch(REFUSED, shop_id, after, limit)]
