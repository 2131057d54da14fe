"""SQL of static lists: who stands on each. A list is put as a whole; what that changes is told to each customer."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from common.db.engine import Connection

MAX_MEMBERS = 500_000

REVISIONS = "SELECT list, revision FROM lists WHERE shop_id = $1"
FIND = """
SELECT list, revision, edited_at, edited_by,
    (SELECT count(*) FROM list_members m WHERE (m.shop_id, m.list) = (l.shop_id, l.list) AND m.is_in) AS customers
FROM lists l WHERE shop_id = $1 AND ($2::text IS NULL OR list = $2) ORDER BY list
"""
PUT = """
INSERT INTO lists (shop_id, list, revision, edited_at, edited_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (shop_id, list) DO UPDATE SET revision = EXCLUDED.revision, edited_at = EXCLUDED.edited_at,
    edited_by = EXCLUDED.edited_by
"""
DELETE = "DELETE FROM lists WHERE shop_id = $1 AND list = $2"
# The new list is unnested once; both statements leave alone whoever stays as it was.
TAKE_OFF = """
UPDATE list_members m SET is_in = false, revision = $3
WHERE shop_id = $1 AND list = $2 AND is_in
    AND NOT EXISTS (SELECT 1 FROM unnest($4::text[]) AS new (customer_id) WHERE new.customer_id = m.customer_id)
"""
PUT_ON = """
INSERT INTO list_members (shop_id, list, customer_id, is_in, revision)
SELECT $1, $2, new.customer_id, true, $3 FROM unnest($4::text[]) AS new (customer_id) ORDER BY 3
ON CONFLICT (shop_id, list, customer_id) DO UPDATE SET is_in = true, revision = EXCLUDED.revision
    WHERE NOT list_members.is_in
"""
HOLDS = """
SELECT count(*) = cardinality($3::text[]) AND count(*) = count(new.customer_id)
FROM (SELECT customer_id FROM list_members WHERE shop_id = $1 AND list = $2 AND is_in) AS m
LEFT JOIN unnest($3::text[]) AS new (customer_id) USING (customer_id)
"""
MEMBERS = """
SELECT customer_id FROM list_members WHERE shop_id = $1 AND list = $2 AND is_in AND customer_id > $3
ORDER BY customer_id LIMIT $4
"""
# For a back-fill: who was put on or taken off by that edit, and has not changed again since. Primary key.
CHANGED = """
SELECT customer_id, is_in, revision = $3 AS theirs FROM list_members
WHERE shop_id = $1 AND list = $2 AND customer_id > $4 ORDER BY customer_id LIMIT $5
"""


class Listed(Struct, frozen=True):
    """A static list, and how many stand on it."""

    list: str
    revision: int
    edited_at: datetime
    edited_by: str
    customers: int


class Changes(Struct, frozen=True):
    """What putting a list came to."""

    put_on: int
    taken_off: int


async def revisions_of_lists(connection: Connection, shop_id: str) -> dict[str, int]:
    """The revision that each list was last put at."""
    return {row["list"]: row["revision"] for row in await connection.fetch(REVISIONS, shop_id)}


async def find(connection: Connection, shop_id: str, name: str | None) -> list[Listed]:
    """The shop's lists by name, or the one of that name."""
    return [Listed(**row) for row in await connection.fetch(FIND, shop_id, name)]


async def put(
    connection: Connection, shop_id: str, name: str, customers: Sequence[str], revision: int, now: datetime, by: str
) -> Changes:
    """The list holds these customers from now on, and no others."""
    await connection.execute(PUT, shop_id, name, revision, now, by)
    off = await connection.execute(TAKE_OFF, shop_id, name, revision, customers)
    on = await connection.execute(PUT_ON, shop_id, name, revision, customers)
    return Changes(put_on=int(on.split()[-1]), taken_off=int(off.split()[-1]))


async def holds(connection: Connection, shop_id: str, name: str, customers: Sequence[str]) -> bool:
    """Whether these, each named once, and no others stand on the list."""
    same: bool = await connection.fetchval(HOLDS, shop_id, name, customers)
    return same


async def delete(connection: Connection, shop_id: str, name: str, revision: int) -> None:
    """Takes everybody off; their rows go with the back-fill that tells them."""
    await connection.execute(TAKE_OFF, shop_id, name, revision, [])
    await connection.execute(DELETE, shop_id, name)


async def members(connection: Connection, shop_id: str, name: str, after: str, limit: int) -> list[str]:
    """Customers on a list by id, from just after one; "" is before all."""
    return [row["customer_id"] for row in await connection.fetch(MEMBERS, shop_id, name, after, limit)]


async def changed(
    connection: Connection, shop_id: str, name: str, revision: int, after: str, limit: int
) -> list[tuple[str, bool, bool]]:
    """Some of the list from just after a customer: who, whether on it, and whether that edit made it so."""
    return [tuple(row) for row in await connection.fetch(CHANGED, shop_id, name, revision, after, limit)]
