"""SQL of own segments: their versions, and the shop's revision that every edit raises."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from common.db.engine import Connection

State = Literal["live", "archived"]

# The row lock makes the edits of one shop wait for each other, so that each sees the segments that the last one left.
RAISE = """
INSERT INTO rulebooks (shop_id, revision) VALUES ($1, 1)
ON CONFLICT (shop_id) DO UPDATE SET revision = rulebooks.revision + 1 RETURNING revision
"""
SET_EDITION = "UPDATE rulebooks SET edition = $2 WHERE shop_id = $1"
EDITION = "SELECT edition FROM rulebooks WHERE shop_id = $1"
REVISIONS = "SELECT shop_id, revision FROM rulebooks"

# The last version of each; primary key, backwards.
NEWEST = """
SELECT DISTINCT ON (segment) segment, version, revision, state, names, rule, edited_at, edited_by
FROM segments WHERE shop_id = $1 ORDER BY segment, version DESC
"""
VERSIONS = """
SELECT segment, version, revision, state, names, rule, edited_at, edited_by
FROM segments WHERE shop_id = $1 AND segment = $2 ORDER BY version DESC LIMIT $3
"""
ADD = """
INSERT INTO segments (shop_id, segment, version, revision, state, names, rule, edited_at, edited_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


class Version(Struct, frozen=True):
    """A segment as it was edited once. `rule` is the tree as it was sent, under `in`."""

    segment: str
    version: int
    revision: int
    state: State
    names: dict[str, str]
    rule: Any
    edited_at: datetime
    edited_by: str


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


async def newest(connection: Connection, shop_id: str) -> dict[str, Version]:
    """The last version of every own segment of the shop, archived ones too, by their names."""
    return {row["segment"]: _version(row) for row in await connection.fetch(NEWEST, shop_id)}


async def versions(connection: Connection, shop_id: str, segment: str, limit: int) -> list[Version]:
    """A segment's versions, newest first."""
    return [_version(row) for row in await connection.fetch(VERSIONS, shop_id, segment, limit)]


async def add(connection: Connection, shop_id: str, version: Version) -> None:
    """One more version."""
    await connection.execute(
        ADD,
        shop_id,
        version.segment,
        version.version,
        version.revision,
        version.state,
        msgspec.json.encode(version.names).decode(),
        msgspec.json.encode(version.rule).decode(),
        version.edited_at,
        version.edited_by,
    )


def _version(row: Any) -> Version:
    decoded = {name: msgspec.json.decode(row[name]) for name in ("names", "rule")}
    return Version(**(dict(row) | decoded))


def live(found: Sequence[Version]) -> list[Version]:
    """Those that people are in."""
    return [version for version in found if version.state == "live"]
