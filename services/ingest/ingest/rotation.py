"""Change of the master key: what an older one sealed is found by the mark it begins with, and sealed anew.

Data keys stay what they are, so nothing that a customer's key sealed is touched, and who reads or writes meanwhile
notices nothing. Every chunk is one statement: cut off anywhere, the next run does what is left.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from msgspec import Struct

from common.db.engine import Connection
from ingest.sealing import MARK, Masters, place_of

CHUNK_ROWS = 500
KEY = "key"  # the field that a customer's wrapped data key stands for
LETTER = b"dead letter"
DELIVERY = b"raw delivery"
REQUEST = b"privacy request"
INDEX = b"index key"
NOT_OURS = (
    "REGULARS_VAULT_KEY is not the key that this database's vault was begun with, and none of REGULARS_VAULT_OLD_KEYS "
    "is: the {what} was sealed with the master key {key}"
)

# As in the migration that makes the indexes of it.
SEALED_BY = (
    "(CASE WHEN substring({0} from 1 for 4) = '\\x00726b31'::bytea THEN substring({0} from 1 for 12) ELSE '' END)"
)


def secret_place(source_id: str) -> bytes:
    """Where a source's secret belongs."""
    return place_of(("source", source_id), "secret")


class Sealed(Struct, frozen=True):
    """A column of what master keys sealed. `keys` is the table's primary key, with its types; `place` is made of it."""

    table: str
    column: str
    what: str
    keys: Sequence[tuple[str, str]]
    place: Callable[..., bytes]
    place_of: Sequence[str] = ()  # the columns that `place` takes
    where: str = "true"
    was_nameless: bool = False  # whether it was there before keys had names, with nothing in it that is not sealed

    def sql(self, query: str) -> str:
        """A query with this column's names in it."""
        by = SEALED_BY.format(self.column)
        names = [name for name, _ in self.keys]
        return query.format(
            table=self.table,
            column=self.column,
            by=by,
            where=self.where,
            keys=", ".join(names),
            keys_and_place=", ".join(dict.fromkeys((*names, *self.place_of))),
            after=f"({', '.join(names)}) > ({', '.join(f'${n}' for n in range(3, 3 + len(names)))})",
            arrays=", ".join(f"${n}::{kind}[]" for n, (_, kind) in enumerate(self.keys, start=3)),
            same=" AND ".join(f"t.{name} = n.{name}" for name in names),
        )


# Everything that master keys seal. Whoever seals something new by one adds it here.
EVERYTHING: tuple[Sealed, ...] = (
    Sealed(
        "vault_keys",
        "wrapped_key",
        "key of a customer",
        (("shop_id", "text"), ("customer_id", "text")),
        lambda shop_id, customer_id: place_of((shop_id, customer_id), KEY),
        ("shop_id", "customer_id"),
        was_nameless=True,
    ),
    Sealed("vault_index_key", "sealed", "index key", (("one", "boolean"),), lambda: INDEX),
    Sealed(
        "source_secrets",
        "sealed",
        "secret of a source",
        (("id", "bigint"),),
        secret_place,
        ("source_id",),
        was_nameless=True,
    ),
    Sealed("dead_letters", "body", "body of a dead letter", (("id", "bigint"),), lambda: LETTER),
    Sealed(
        "raw_deliveries",
        "sealed",
        "body of a delivery",
        (("id", "bigint"),),
        lambda: DELIVERY,
        where="customer_id IS NULL",
    ),
    Sealed(
        "kept_apart",
        "reason",
        "reason why two are kept apart",
        (("shop_id", "text"), ("one", "text"), ("other", "text")),
        lambda: LETTER,
        where="reason IS NOT NULL",
    ),
    Sealed(
        "privacy_requests",
        "names",
        "name in a request",
        (("id", "bigint"),),
        lambda: REQUEST,
        where="names IS NOT NULL",
    ),
)

# Each mark there is, found by leaps through the index.
MARKS = """
WITH RECURSIVE marks AS (
    (SELECT {by} AS mark FROM {table} WHERE {where} ORDER BY {by} LIMIT 1)
    UNION ALL
    SELECT (SELECT {by} FROM {table} WHERE {where} AND {by} > m.mark ORDER BY {by} LIMIT 1)
    FROM marks m WHERE m.mark IS NOT NULL)
SELECT mark FROM marks WHERE mark IS NOT NULL
"""
ONE_OF = "SELECT {column} AS sealed, {keys_and_place} FROM {table} WHERE {where} AND {by} = $1 LIMIT 1"
FIRST = """
SELECT {keys_and_place}, {column} AS sealed FROM {table} WHERE {where} AND {by} <> $1 ORDER BY {keys} LIMIT $2
"""
NEXT = """
SELECT {keys_and_place}, {column} AS sealed FROM {table} WHERE {where} AND {by} <> $1 AND {after}
ORDER BY {keys} LIMIT $2
"""
# What has changed since it was read is left to the next run.
RESEAL = """
UPDATE {table} t SET {column} = n.fresh
FROM unnest($1::bytea[], $2::bytea[], {arrays}) AS n (old, fresh, {keys}) WHERE {same} AND t.{column} = n.old
"""


class Chunk(Struct, frozen=True):
    """What one chunk came to. `unreadable` were sealed with none of the keys, or moved here from elsewhere."""

    table: str
    resealed: int
    unreadable: int


async def rewrap(connection: Connection, masters: Masters) -> AsyncGenerator[Chunk, None]:
    """Seals with the present key all that others sealed, in bounded chunks; what is written meanwhile too."""
    for each in EVERYTHING:
        rows = await connection.fetch(each.sql(FIRST), masters.mark, CHUNK_ROWS)
        while rows:
            yield await _reseal(connection, masters, each, rows)
            last = [rows[-1][name] for name, _ in each.keys]
            rows = await connection.fetch(each.sql(NEXT), masters.mark, CHUNK_ROWS, *last)


async def left(connection: Connection, masters: Masters) -> dict[str, int]:
    """How much of each table another key than the present one sealed."""
    count = "SELECT count(*) FROM {table} WHERE {where} AND {by} <> $1"
    return {each.table: await connection.fetchval(each.sql(count), masters.mark) for each in EVERYTHING}


async def check(connection: Connection, masters: Masters) -> None:
    """Raises ValueError where anything is sealed with a key that is not among them."""
    for each in EVERYTHING:
        for (mark,) in await connection.fetch(each.sql(MARKS)):
            if masters.knows(mark) or not (mark or each.was_nameless):
                continue
            row = await connection.fetchrow(each.sql(ONE_OF), mark)
            if row is not None and not _opens(masters, each, row):
                name = mark[len(MARK) :].hex() if mark else "that was the first"
                raise ValueError(NOT_OURS.format(what=each.what, key=name))


async def first_key(connection: Connection, masters: Masters) -> bytes:
    """The master key of before keys had names: the one that opens what bears none, else the oldest that is given."""
    for each in EVERYTHING:
        row = await connection.fetchrow(each.sql(ONE_OF), b"") if each.was_nameless else None
        if row is not None:
            return masters.opener(row["sealed"], _place(each, row))
    return list(masters.keys.values())[-1]


async def _reseal(connection: Connection, masters: Masters, each: Sealed, rows: Sequence[Any]) -> Chunk:
    changed: list[tuple[Any, ...]] = []
    for row in rows:
        try:
            plain = masters.open(row["sealed"], _place(each, row))
        except InvalidTag:
            continue  # counted, left as it is
        fresh = masters.seal(plain, _place(each, row))
        changed.append((row["sealed"], fresh, *(row[name] for name, _ in each.keys)))
    if changed:
        await connection.execute(each.sql(RESEAL), *zip(*changed, strict=True))
    return Chunk(each.table, len(changed), len(rows) - len(changed))


def _opens(masters: Masters, each: Sealed, row: Any) -> bool:
    try:
        masters.open(row["sealed"], _place(each, row))
    except InvalidTag:
        return False
    return True


def _place(each: Sealed, row: Any) -> bytes:
    return each.place(*(row[name] for name in each.place_of))
