"""API keys as a shop's owner sees them: listed and revoked. Who makes and checks them: common/web/auth.py."""

from datetime import datetime

from pydantic import BaseModel

from common.db.engine import Connection

LIST = """
SELECT key_id, shop_id, scopes, created_at, revoked_at FROM access.api_keys
WHERE ($1::text IS NULL OR shop_id = $1) ORDER BY created_at, key_id
"""
REVOKE = """
UPDATE access.api_keys SET revoked_at = now()
WHERE key_id = $1 AND ($2::text IS NULL OR shop_id = $2) AND revoked_at IS NULL RETURNING shop_id
"""


class KeyShown(BaseModel):
    """What is known of a key."""

    key_id: str
    shop_id: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None


async def list_keys(connection: Connection, shop_id: str | None) -> list[KeyShown]:
    """The keys of a shop, or of all; of a key there is nothing more to show."""
    return [KeyShown(**dict(row)) for row in await connection.fetch(LIST, shop_id)]


async def revoke_key(connection: Connection, key_id: str, shop_id: str | None) -> str | None:
    """Ends a key of the shop, or of any; gives its shop, or None where there is no such key that still is good."""
    revoked: str | None = await connection.fetchval(REVOKE, key_id, shop_id)
    return revoked
