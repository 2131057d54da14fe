"""SQL that finds out and changes whose a name is, and who turned out to be one; queries.py shows it, whose.py answers
and forgets.

Names keep the person whom they were given to and are never moved; who was merged leads to who lives on (`into_id`, one
step however many merges). To change who lives on, a transaction holds the rows of both, so whoever comes second finds
what the first did. What a later transaction wrote is `newer`: see store.Overtaken. Whatever waits for others does so in
the order of keys, names before people.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import asyncpg
from msgspec import Struct

from common.db.engine import Connection
from ingest.domain.linking import Name, Person, Standing
from ingest.store import Overtaken

SEEN_EVERY = "1 day"  # how exact the time is that a name was last seen at: exacter would be a write for every event

NEWER = "coalesce(age({0}.xmin) < age(pg_current_xact_id()::xid), false)"

# What is looked up by a key for each of many is looked up LATERAL and LIMITed: the server has no other way left then
# than by the key, also while it believes the table to be small.

# Who lives on, of those ids that were merged. By the primary key; all that an event with nothing but an id costs.
MERGED = f"""
SELECT p.shop_id, p.customer_id, p.into_id, {NEWER.format("p")} AS newer
FROM unnest($1::text[], $2::text[]) AS k (shop_id, customer_id)
CROSS JOIN LATERAL (SELECT *, xmin FROM people
    WHERE (shop_id, customer_id) = (k.shop_id, k.customer_id) AND into_id IS NOT NULL LIMIT 1) AS p
"""
# Names that stand, and who has them now. By both primary keys.
STANDING = f"""
SELECT i.kind, i.value, coalesce(p.into_id, i.customer_id) AS person, i.shared, i.links,
       i.last_at < $4::timestamptz - interval '{SEEN_EVERY}' AS old,
       {NEWER.format("i")} OR {NEWER.format("p")} AS newer
FROM unnest($2::text[], $3::text[]) AS k (kind, value)
CROSS JOIN LATERAL (SELECT *, xmin FROM identities
    WHERE (shop_id, kind, value) = ($1, k.kind, k.value) LIMIT 1) AS i
LEFT JOIN LATERAL (SELECT *, xmin FROM people
    WHERE (shop_id, customer_id) = ($1, i.customer_id) LIMIT 1) AS p ON true
"""
# Of who lives on, with all who were merged into them: names that count, by kind. Orders have no limit, and are many.
PEOPLE = """
WITH every AS (
    SELECT person, person AS customer_id FROM unnest($2::text[]) AS person
    UNION ALL SELECT into_id, customer_id FROM people WHERE shop_id = $1 AND into_id = ANY($2))
SELECT person, kind, count(*) FILTER (WHERE NOT shared) AS names, min(first_at) AS since
FROM every CROSS JOIN LATERAL (SELECT kind, shared, first_at FROM identities
    WHERE (shop_id, customer_id) = ($1, every.customer_id) AND kind <> 'order' OFFSET 0) AS i GROUP BY 1, 2
"""
# By who lives on now. Few: each was asked for by somebody.
APART = """
SELECT coalesce(p.into_id, a.one) AS one, coalesce(q.into_id, a.other) AS other FROM kept_apart a
LEFT JOIN people p ON (p.shop_id, p.customer_id) = (a.shop_id, a.one)
LEFT JOIN people q ON (q.shop_id, q.customer_id) = (a.shop_id, a.other)
WHERE a.shop_id = $1
"""
GIVE = """
INSERT INTO identities (shop_id, kind, value, customer_id, first_at, last_at, source, event_id, shared)
SELECT $1, kind, value, customer_id, $8, $8, source, event_id, shared
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
    AS k (kind, value, customer_id, source, event_id, shared) ORDER BY kind, value ON CONFLICT DO NOTHING
"""
HOLD_NAMES = """
SELECT FROM identities i JOIN unnest($2::text[], $3::text[]) AS k (kind, value) USING (kind, value)
WHERE i.shop_id = $1 ORDER BY i.kind, i.value FOR UPDATE OF i
"""
MARK = """
UPDATE identities i
SET shared = i.shared OR k.shared, links = greatest(i.links, k.links), last_at = greatest(i.last_at, $6)
FROM unnest($2::text[], $3::text[], $4::boolean[], $5::int[]) AS k (kind, value, shared, links)
WHERE i.shop_id = $1 AND (i.kind, i.value) = (k.kind, k.value)
"""
CLAIM = """
INSERT INTO people (shop_id, customer_id) SELECT $1, id FROM unnest($2::text[]) AS id ORDER BY id ON CONFLICT DO NOTHING
"""
HOLD = f"""
SELECT p.into_id, {NEWER.format("p")} AS newer FROM people p
WHERE p.shop_id = $1 AND p.customer_id = ANY($2) ORDER BY p.customer_id FOR UPDATE OF p
"""
MERGE = """
UPDATE people p SET parent = k.parent, into_id = k.into_id, kind = k.kind, value = k.value, source = k.source,
    event_id = k.event_id, merged_at = $9
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS k (customer_id, parent, into_id, kind, value, source, event_id)
WHERE p.shop_id = $1 AND p.customer_id = k.customer_id
"""
# Who was merged into those who go now goes with them.
FOLLOW = """
UPDATE people p SET into_id = k.into_id FROM unnest($2::text[], $3::text[]) AS k (gone, into_id)
WHERE p.shop_id = $1 AND p.into_id = k.gone
"""
# By both ways through `people`: up to who lives on, and down to all who were merged into that one. A buyer's number or
# an open id is as good as an id, where it is nobody's own.
FAMILY = """
WITH named AS (
    SELECT customer_id FROM identities WHERE shop_id = $1 AND kind IN ('buyer', 'open_id') AND value = $2 AND NOT shared
    AND NOT EXISTS (SELECT FROM people WHERE (shop_id, customer_id) = ($1, $2))
    AND NOT EXISTS (SELECT FROM identities WHERE (shop_id, customer_id) = ($1, $2)) ORDER BY kind LIMIT 1),
asked AS (SELECT coalesce((SELECT customer_id FROM named), $2::text) AS id),
root AS (SELECT coalesce(p.into_id, asked.id) AS id FROM asked
         LEFT JOIN people p ON (p.shop_id, p.customer_id) = ($1, asked.id))
SELECT id AS customer_id, NULL AS parent FROM root
UNION ALL SELECT p.customer_id, p.parent FROM people p, root WHERE p.shop_id = $1 AND p.into_id = root.id
"""
SPLIT = """
UPDATE people SET parent = NULL, into_id = NULL, kind = NULL, value = NULL, source = NULL, event_id = NULL,
    merged_at = NULL WHERE shop_id = $1 AND customer_id = $2
"""
LEAVE_TOO = "UPDATE people SET into_id = $3 WHERE shop_id = $1 AND customer_id = ANY($2)"
KEEP_APART = "INSERT INTO kept_apart (shop_id, one, other, since) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
BRING_TOGETHER = """
DELETE FROM kept_apart
WHERE shop_id = $1 AND ((one = ANY($2) AND other = ANY($3)) OR (one = ANY($3) AND other = ANY($2)))
"""

Key = tuple[str, str]  # shop_id, customer_id


class Found(Struct, frozen=True):
    """A name that stands. `old`: the time it was last seen at wants writing."""

    standing: Standing
    old: bool


class Cause(Struct, frozen=True):
    """The event that gave a name."""

    source: str
    event_id: str


class Merged(Struct, frozen=True):
    """A merge as it is kept: who goes, with whom it is one, who lives on in the end, by which name of which event."""

    gone: str
    parent: str
    into: str
    name: Name
    cause: Cause


async def merged(connection: Connection, keys: Collection[Key]) -> dict[Key, str]:
    """Who lives on, of those that were merged. Raises Overtaken."""
    rows = await connection.fetch(MERGED, *zip(*sorted(keys), strict=True)) if keys else []
    _check(rows)
    return {(shop_id, customer_id): into for shop_id, customer_id, into, _ in rows}


async def standing(connection: Connection, shop_id: str, names: Iterable[Name], now: datetime) -> dict[Name, Found]:
    """The names that were given before. Raises Overtaken."""
    rows = await connection.fetch(STANDING, shop_id, *_columns(names), now)
    _check(rows)
    return {
        Name(row["kind"], row["value"]): Found(Standing(row["person"], row["shared"], row["links"]), row["old"])
        for row in rows
    }


async def people(connection: Connection, shop_id: str, ids: Iterable[str]) -> dict[str, Person]:
    """What is known of those who live on; nothing of who has no name but orders."""
    found: dict[str, Person] = {}
    for person, kind, names, since in await connection.fetch(PEOPLE, shop_id, sorted(ids)):
        before = found.get(person, Person({}, (since, -1)))
        kinds = {**before.kinds, kind: names} if names else before.kinds
        found[person] = Person(kinds, min(before.since, (since, -1)))
    return found


async def kept_apart(connection: Connection, shop_id: str) -> list[frozenset[str]]:
    """Pairs that must not be merged, as those who live on."""
    return [frozenset((one, other)) for one, other in await connection.fetch(APART, shop_id)]


async def give(
    connection: Connection, shop_id: str, given: Mapping[Name, tuple[str, Cause, bool]], now: datetime
) -> None:
    """Writes down new names: whose, by which event, whether shared. Raises Overtaken where somebody else gave one."""
    if given:
        people, causes, shared = zip(*(given[name] for name in sorted(given)), strict=True)
        sources, events = zip(*((cause.source, cause.event_id) for cause in causes), strict=True)
        columns = (*_columns(given), people, sources, events, shared)
        if await connection.execute(GIVE, shop_id, *columns, now) != f"INSERT 0 {len(given)}":
            raise Overtaken


async def mark(connection: Connection, shop_id: str, names: Mapping[Name, tuple[bool, int]], now: datetime) -> None:
    """Writes of names that stand whether they are shared, and how often they brought people together; seen now."""
    if names:
        await connection.execute(HOLD_NAMES, shop_id, *_columns(names))
        shared, links = zip(*(names[name] for name in sorted(names)), strict=True)
        await connection.execute(MARK, shop_id, *_columns(names), shared, links, now)


async def hold(connection: Connection, shop_id: str, ids: Iterable[str]) -> None:
    """Takes the rows of people who live on, until the transaction ends. Raises Overtaken where one no longer does."""
    ordered = sorted(set(ids))
    await connection.execute(CLAIM, shop_id, ordered)
    rows = await connection.fetch(HOLD, shop_id, ordered)
    _check(rows)
    if any(row["into_id"] is not None for row in rows):
        raise Overtaken


async def merge(connection: Connection, shop_id: str, merges: Sequence[Merged], now: datetime) -> None:
    """Writes merges of people who are held."""
    rows = [(m.gone, m.parent, m.into, m.name.kind, m.name.value, m.cause.source, m.cause.event_id) for m in merges]
    columns = list(zip(*rows, strict=True))
    await connection.execute(MERGE, shop_id, *columns, now)
    await connection.execute(FOLLOW, shop_id, columns[0], columns[2])


async def split(
    connection: Connection, shop_id: str, gone: str, too: Sequence[str], parent: str, now: datetime
) -> None:
    """Makes `gone`, whose person is held, a person again, with those who go along `too`; kept apart from `parent`."""
    await connection.execute(SPLIT, shop_id, gone)
    await connection.execute(LEAVE_TOO, shop_id, too, gone)
    await connection.execute(KEEP_APART, shop_id, *sorted((gone, parent)), now)


async def bring_together(connection: Connection, shop_id: str, ones: Sequence[str], others: Sequence[str]) -> None:
    """Forgets that any of the ones was kept apart from any of the others."""
    await connection.execute(BRING_TOGETHER, shop_id, ones, others)


async def family(connection: Connection, shop_id: str, customer_id: str) -> dict[str, str | None]:
    """Who lives on of the id's person, first, and all who were merged into them: {customer_id: with whom at first}. To
    read: it may be otherwise a moment later."""
    return {row["customer_id"]: row["parent"] for row in await connection.fetch(FAMILY, shop_id, customer_id)}


async def family_to_change(connection: Connection, shop_id: str, customer_id: str) -> dict[str, str | None]:
    """The same, for who is about to change it. Raises Overtaken."""
    await merged(connection, [(shop_id, customer_id)])
    return await family(connection, shop_id, customer_id)


def _check(rows: Sequence[asyncpg.Record]) -> None:
    if any(row["newer"] for row in rows):
        raise Overtaken


def _columns(names: Iterable[Name]) -> tuple[list[str], list[str]]:
    """Names, each once and in order, as the columns that unnest takes."""
    ordered = sorted(set(names))
    return [name.kind for name in ordered], [name.value for name in ordered]
