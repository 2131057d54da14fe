"""SQL that only shows people and their names, and why two ids are one."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg
from pydantic import BaseModel, Field

from common.db.engine import Connection
from ingest.domain.identity import CONTACTS, masked, normal
from ingest.domain.linking import Name
from ingest.people.naming import Naming
from ingest.vault import Vault

NAMES = """
SELECT kind, value, customer_id, first_at, last_at, source, event_id, links, shared FROM identities
WHERE shop_id = $1 AND customer_id = ANY($2) AND (kind, value) > ($3, $4) ORDER BY kind, value LIMIT $5
"""
SHARED = """
SELECT kind, value, customer_id, first_at, last_at, source, event_id, links, shared FROM identities
WHERE shop_id = $1 AND shared AND (kind, value) > ($2, $3) ORDER BY kind, value LIMIT $4
"""
LINKS = """
SELECT p.customer_id, p.parent, p.kind, p.source, p.event_id, p.merged_at, i.first_at,
       i.source AS first_source, i.event_id AS first_event_id
FROM people p LEFT JOIN identities i USING (shop_id, kind, value)
WHERE p.shop_id = $1 AND p.customer_id = ANY($2) AND p.parent IS NOT NULL
"""
APART = "SELECT since, reason FROM kept_apart WHERE shop_id = $1 AND one = ANY($2) AND other = ANY($2) ORDER BY since"
GIVE_REASON = """
UPDATE kept_apart SET reason = $4 WHERE shop_id = $1 AND $2 IN (one, other) AND since >= $3 AND reason IS NULL
"""


class KnownName(BaseModel):
    """A name: to whom it was given first, by which event. Of contact data a mask, or nothing where the vault holds
    another by now."""

    kind: str
    value: str | None
    customer_id: str
    first_at: datetime
    last_at: datetime
    source: str
    event_id: str
    links: int
    shared: bool
    kept: str = Field(exclude=True)  # as it stands in the table: what a page ends with


class Link(BaseModel):
    """Two who turned out to be one: by a name of this kind, which an event gave to the one and, first, another to the
    other. `operator`: somebody said so."""

    customer_id: str
    into: str
    by: str
    source: str
    event_id: str
    at: datetime
    first_source: str | None
    first_event_id: str | None
    first_at: datetime | None


class Apart(BaseModel):
    """Somebody said that two are not one."""

    since: datetime
    reason: str | None


async def names(
    connection: Connection, vault: Vault, naming: Naming, shop_id: str, ids: Sequence[str], after: Name, limit: int
) -> list[KnownName]:
    """The names of people, in order."""
    rows = await connection.fetch(NAMES, shop_id, ids, after.kind, after.value, limit)
    return await _shown(connection, vault, naming, shop_id, rows)


async def shared(
    connection: Connection, vault: Vault, naming: Naming, shop_id: str, after: Name, limit: int
) -> list[KnownName]:
    """Names that many people share, in order."""
    rows = await connection.fetch(SHARED, shop_id, after.kind, after.value, limit)
    return await _shown(connection, vault, naming, shop_id, rows)


async def chain(
    connection: Connection, shop_id: str, family: Mapping[str, str | None], one: str, other: str
) -> list[Link]:
    """From the one to the other, by those they were merged with."""
    ups = [_up(family, each) for each in (one, other)]
    common = next(each for each in ups[0] if each in ups[1])
    there, back = (up[: up.index(common)] for up in ups)
    path = [*there, *reversed(back)]
    rows = {row["customer_id"]: row for row in await connection.fetch(LINKS, shop_id, path)}
    return [_link(rows[customer_id]) for customer_id in path]


async def apart(
    connection: Connection, vault: Vault, shop_id: str, one: Sequence[str], other: Sequence[str]
) -> Apart | None:
    """Since when two are kept apart, and why."""
    rows = await connection.fetch(APART, shop_id, [*one, *other])
    for since, reason in rows:
        return Apart(since=since, reason=vault.open_letter(reason).decode() if reason is not None else None)
    return None


async def give_reason(connection: Connection, shop_id: str, customer_id: str, since: datetime, reason: bytes) -> None:
    """Keeps why somebody was split off, sealed."""
    await connection.execute(GIVE_REASON, shop_id, customer_id, since, reason)


def _up(family: Mapping[str, str | None], customer_id: str) -> list[str]:
    up = [customer_id]
    while (parent := family[up[-1]]) is not None:
        up.append(parent)
    return up


def _link(row: asyncpg.Record) -> Link:
    return Link(
        customer_id=row["customer_id"],
        into=row["parent"],
        by=row["kind"],
        source=row["source"],
        event_id=row["event_id"],
        at=row["merged_at"],
        first_source=row["first_source"],
        first_event_id=row["first_event_id"],
        first_at=row["first_at"],
    )


async def _shown(
    connection: Connection, vault: Vault, naming: Naming, shop_id: str, rows: Sequence[asyncpg.Record]
) -> list[KnownName]:
    """Rows with masks in the place of blind indexes."""
    ids = sorted({row["customer_id"] for row in rows if row["kind"] in CONTACTS})
    known = await vault.get(connection, shop_id, ids, CONTACTS) if ids else {}
    masks: dict[Name | None, str] = {}
    for fields in known.values():
        for kind, value in fields.items():
            plain = normal(kind, value, naming.rules, naming.region(shop_id))
            if plain is not None:
                masks[naming.name(shop_id, kind, value)] = masked(kind, plain)
    return [
        KnownName(**{**row, "kept": row["value"], "value": masks.get(name) if name.kind in CONTACTS else name.value})
        for row in rows
        for name in (Name(row["kind"], row["value"]),)
    ]
