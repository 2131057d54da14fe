"""Platforms' deliveries as they came, sealed, for some days: what a connector got wrong can be converted again.

Where all of a delivery is one customer's it is sealed under that customer's key, and goes when the customer is erased;
else under the master key, where an erasure looks for it.
"""

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from common.beside import repeat
from common.clock import Clock
from common.db.engine import Connection
from ingest import store
from ingest.connectors.port import Delivery
from ingest.domain.accept import Accepted
from ingest.people.whose import Whose
from ingest.rotation import DELIVERY
from ingest.sealing import open_, place_of, seal
from ingest.vault import Key, Vault

FIELD = "raw delivery"  # the place that one is sealed for, under a customer's key
QUICKLY = 1  # of zlib: most of the gain for a tenth of the work
EXPIRE_EVERY_S = 60.0
EXPIRE_ROWS = 1_000

KEEP = """
INSERT INTO raw_deliveries (shop_id, source_id, customer_id, received_at, sealed)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bytea[])
"""
# Served by raw_deliveries_by_age.
EXPIRE = """
DELETE FROM raw_deliveries WHERE id IN (
    SELECT id FROM raw_deliveries WHERE received_at < $1 ORDER BY received_at LIMIT $2)
"""
# In the order in which they came; served by raw_deliveries_of_a_source.
READ = """
SELECT r.id, r.source_id, r.customer_id, r.received_at, r.sealed, k.wrapped_key
FROM raw_deliveries r LEFT JOIN vault_keys k USING (shop_id, customer_id)
WHERE r.shop_id = $1 AND r.source_id = ANY($2) AND (r.received_at, r.id) > ($3, $4)
    AND ($5::timestamptz IS NULL OR r.received_at < $5)
ORDER BY r.received_at, r.id LIMIT $6
"""
OF_CUSTOMERS = """
SELECT r.id, r.source_id, r.customer_id, r.received_at, r.sealed, k.wrapped_key
FROM raw_deliveries r JOIN vault_keys k USING (shop_id, customer_id)
WHERE r.shop_id = $1 AND r.customer_id = ANY($2) ORDER BY r.received_at, r.id
"""
FORGET = "DELETE FROM raw_deliveries WHERE shop_id = $1 AND customer_id = ANY($2)"

_DELIVERY = msgspec.json.Decoder(Delivery)


class Raw(Struct, frozen=True):
    """A delivery to be kept, with the events it told of; not `clear` where some of it could not be understood. With
    `only_news` it is kept if one of its events is new: what we fetch ourselves comes again and again."""

    shop_id: str
    source_id: str
    delivery: Delivery
    received_at: datetime
    accepted: tuple[Accepted, ...] = ()
    clear: bool = True
    only_news: bool = False


Owned = tuple[Raw, Key | None]


class Kept(Struct, frozen=True):
    """One that was kept; without a delivery where it cannot be opened any more."""

    id: int
    source_id: str
    received_at: datetime
    delivery: Delivery | None


async def owned(connection: Connection, whose: Whose, raws: Sequence[Raw], told: Sequence[Accepted]) -> list[Owned]:
    """Each delivery with the one customer whose it is, or None; `told` are the events as they were settled."""
    settled = {store.key_of(each.event): each.event.customer_id for each in told} if raws else {}
    return [
        (raw, await _owner(connection, whose, raw, settled))
        for raw in raws
        if not raw.only_news or any(store.key_of(each.event) in settled for each in raw.accepted)
    ]


async def keep(connection: Connection, vault: Vault, deliveries: Sequence[Owned], keys: Mapping[Key, AESGCM]) -> None:
    """Keeps the deliveries, in the transaction that writes their events; `keys` are their customers'."""
    rows = []
    for raw, owner in deliveries:
        plain = zlib.compress(msgspec.json.encode(raw.delivery), QUICKLY)
        sealed = vault.masters.seal(plain, DELIVERY) if owner is None else seal(keys[owner], plain, _place(owner))
        rows.append((raw.shop_id, raw.source_id, owner[1] if owner else None, raw.received_at, sealed))
    if rows:
        await connection.execute(KEEP, *zip(*rows, strict=True))


async def _owner(connection: Connection, whose: Whose, raw: Raw, settled: Mapping[store.EventKey, str]) -> Key | None:
    """The one customer whose delivery it is. None where there is another, or a part of it is nobody's we know."""
    if not raw.clear or not raw.accepted:
        return None
    owners = {settled.get(store.key_of(each.event)) or each.event.customer_id for each in raw.accepted}
    if "" in owners:  # repeats: whose they are was settled when they were new
        names = {name for each in raw.accepted if not each.event.customer_id for name in each.identities}
        owners = (owners - {""}) | set((await whose.found(connection, raw.shop_id, names)).values())
    return (raw.shop_id, owners.pop()) if len(owners) == 1 else None


def _place(owner: Key) -> bytes:
    return place_of(owner, FIELD)


async def read(
    connection: Connection,
    vault: Vault,
    shop_id: str,
    source_ids: Sequence[str],
    after: tuple[datetime, int],
    until: datetime | None,
    limit: int,
) -> list[Kept]:
    """Deliveries of these sources after `(received_at, id)`, in the order in which they came."""
    rows = await connection.fetch(READ, shop_id, source_ids, *after, until, limit)
    return [_opened(vault, shop_id, row) for row in rows]


async def of_customers(connection: Connection, vault: Vault, shop_id: str, ids: Sequence[str]) -> list[Kept]:
    """The deliveries that are one of these customers' alone."""
    return [_opened(vault, shop_id, row) for row in await connection.fetch(OF_CUSTOMERS, shop_id, ids)]


def opened_by_master(vault: Vault, sealed: bytes) -> bytes:
    """A delivery as JSON, of those sealed under the master key. Raises InvalidTag."""
    return zlib.decompress(vault.masters.open(sealed, DELIVERY))


def _opened(vault: Vault, shop_id: str, row: asyncpg.Record) -> Kept:
    try:
        if row["customer_id"] is None:
            plain = opened_by_master(vault, row["sealed"])
        elif row["wrapped_key"] is None:
            raise InvalidTag  # erased between the two reads of one statement's snapshot, or by hand
        else:
            owner = (shop_id, row["customer_id"])
            plain = zlib.decompress(open_(vault.unwrapped(owner, row["wrapped_key"]), row["sealed"], _place(owner)))
    except InvalidTag:
        return Kept(row["id"], row["source_id"], row["received_at"], None)
    return Kept(row["id"], row["source_id"], row["received_at"], _DELIVERY.decode(plain))


async def forget(connection: Connection, shop_id: str, ids: Sequence[str]) -> int:
    """Deletes what is kept under the keys of these customers; returns how many."""
    return int((await connection.execute(FORGET, shop_id, ids)).split()[1])


class Housekeeping:
    """Drops what was kept long enough."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, keep_days: int) -> None:
        self._pool, self._clock, self._keep = pool, clock, timedelta(days=keep_days)

    async def run(self) -> None:
        """Until cancelled; when the database is away, the next time."""

        async def step() -> bool:
            return await self.expire() == EXPIRE_ROWS

        await repeat(step, EXPIRE_EVERY_S, "deliveries expire later")

    async def expire(self) -> int:
        """One chunk; returns how many it dropped."""
        told = await self._pool.execute(EXPIRE, self._clock.now() - self._keep, EXPIRE_ROWS)
        return int(told.split()[1])
