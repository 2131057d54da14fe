"""SQL of own segments: their versions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from common.db.engine import Connection

State = Literal["live", "archived"]

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
