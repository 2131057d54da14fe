"""SQL of the shop's revision, which every edit of its rulebook raises."""

from common.db.engine import Connection

# The row lock makes the edits of one shop wait for each other, so that each sees the segments that the last one left.
RAISE = """
INSERT INTO rulebooks (shop_id, revision) VALUES ($1, 1)
ON CONFLICT (shop_id) DO UPDATE SET revision = rulebooks.revision + 1 RETURNING revision
"""
SET_EDITION = "UPDATE rulebooks SET edition = $2 WHERE shop_id = $1"
EDITION = "SELECT edition FROM rulebooks WHERE shop_id = $1"
REVISIONS = "SELECT shop_id, revision FROM rulebooks"


async def raise_revision(connection: Connection, shop_id: str) -> int:
    """The shop's next revision; until the transaction ends nobody else edits anything of the shop."""
    revision: int = await connection.fetchval(RAISE, shop_id)
    return revision


async def revisions(connection: Connection) -> dict[str, int]:
    """Of every shop that ever edited anything."""
    return {row["shop_id"]: row["revision"] for row in await connection.fetch(REVISIONS)}


async def take_edition(connection: Connection, shop_id: str, edition: str) -> int | None:
    """The revision at which everybody is to be asked by these presets; None where that was done before."""
    if await connection.fetchval(EDITION, shop_id) == edition:
        return None
    revision = await raise_revision(connection, shop_id)
    if await connection.fetchval(EDITION, shop_id) == edition:
        return None  # another process was first
    await connection.execute(SET_EDITION, shop_id, edition)
    return revision
