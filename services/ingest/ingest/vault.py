"""The vault: the one room where personal data lives.

Each customer has a data key, wrapped by the master key; values are sealed with AES-256-GCM under the data key, with
shop, customer and field as associated data, so that no value can be moved to another place. Deleting a customer's
key erases the customer. A blind index, an HMAC, stands for a phone or an e-mail wherever a customer is found by one.
"""

import hmac
import os
from base64 import b64decode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple, Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.db.engine import Connection
from common.settings import Settings
from ingest import rotation
from ingest.domain.accept import Personal
from ingest.sealing import KEY_BYTES, Masters, open_, place_of, seal

PSEUDONYM_CHARS = 32  # 128 bits
OF_AN_EVENT = ("review_text", "consent_proof")  # each event's own, kept beside those before

Key = tuple[str, str]  # shop_id, customer_id
EventId = tuple[str, str]  # source, id: of the event that brought a value


class Part(NamedTuple):
    """What a name under which the vault keeps a value says: which field; of an event's own value, whose event."""

    field: str
    source: str = ""  # empty in names made before they held it, too
    event_id: str = ""


def names_of(field: str, event: EventId) -> tuple[str, ...]:
    """The name that a value is kept under, and after it the one that it may have been kept under before."""
    source, event_id = event
    return (f"{field}:{source} {event_id}", f"{field}:{event_id}") if field in OF_AN_EVENT else (field,)


def part_of(name: str) -> Part:
    """The name taken apart. Neither sources nor events' ids hold a space."""
    field, _, event = name.partition(":")
    source, _, event_id = event.rpartition(" ")
    return Part(field, source, event_id)


# The key that stands there wins: two processes may make one for the same customer at the same time. Keys that stood
# there are locked, in their order: who is being erased meanwhile is erased before this, or after it. A key that another
# made at this very moment is in neither half; it is found by asking again.
KEYS = """
WITH given AS (SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) AS k (shop_id, customer_id, wrapped_key)),
made AS (
    INSERT INTO vault_keys (shop_id, customer_id, wrapped_key) SELECT * FROM given ORDER BY 1, 2 ON CONFLICT DO NOTHING
    RETURNING shop_id, customer_id, wrapped_key),
standing AS (
    SELECT v.shop_id, v.customer_id, v.wrapped_key FROM vault_keys v JOIN given USING (shop_id, customer_id)
    ORDER BY 1, 2 FOR KEY SHARE OF v)
SELECT * FROM made UNION ALL SELECT * FROM standing
"""
PUT = """
INSERT INTO vault (shop_id, customer_id, field, sealed)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) ORDER BY 1, 2, 3
ON CONFLICT (shop_id, customer_id, field) DO UPDATE SET sealed = EXCLUDED.sealed
"""
GET = """
SELECT v.customer_id, v.field, v.sealed, k.wrapped_key FROM vault v JOIN vault_keys k USING (shop_id, customer_id)
WHERE v.shop_id = $1 AND v.customer_id = ANY($2) AND ($3::text[] IS NULL OR v.field = ANY($3))
"""
INDEX_KEY = "SELECT sealed FROM vault_index_key"
KEEP_INDEX_KEY = "INSERT INTO vault_index_key (sealed) VALUES ($1) ON CONFLICT DO NOTHING"
# Before the index key was one of its own it was made of the master key, and people are known by it.
IS_BEGUN = "SELECT EXISTS (SELECT FROM seen) OR EXISTS (SELECT FROM vault_keys) OR EXISTS (SELECT FROM sources)"


class Vault:
    """Seals and opens with the master keys. Before it finds anybody, or names anybody by a pseudonym, it is checked."""

    def __init__(self, master_key: bytes, old_keys: Sequence[bytes] = (), index_key: bytes | None = None) -> None:
        self.masters = Masters(master_key, old_keys)
        self._index_key = index_key

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """By the keys that the settings give. Raises ValueError where there is none."""
        if settings.vault_key is None:
            raise ValueError("REGULARS_VAULT_KEY is not set: 32 random bytes in base64, kept safe, never lost")
        old = settings.vault_old_keys.get_secret_value().split(",") if settings.vault_old_keys else []
        return cls(b64decode(settings.vault_key.get_secret_value()), [b64decode(key) for key in old])

    async def check(self, connection: Connection) -> None:
        """Takes the index key, made at the first start. Raises ValueError where anything here is sealed with a master
        key that is not given: nobody could read it any more."""
        await rotation.check(connection, self.masters)
        sealed = await connection.fetchval(INDEX_KEY)
        if sealed is None:
            await connection.execute(KEEP_INDEX_KEY, self.masters.seal(await self._first(connection), rotation.INDEX))
            sealed = await connection.fetchval(INDEX_KEY)
        try:
            self._index_key = self.masters.open(sealed, rotation.INDEX)
        except InvalidTag:
            raise ValueError(rotation.NOT_OURS.format(what="index key", key="of another name")) from None

    async def _first(self, connection: Connection) -> bytes:
        """The index key to begin with: where people are known already, the one that they were found by until now."""
        if not await connection.fetchval(IS_BEGUN):
            return os.urandom(KEY_BYTES)
        first = await rotation.first_key(connection, self.masters)
        return hmac.digest(first, b"blind index", sha256)

    def seal_letter(self, body: bytes) -> bytes:
        """A refused event for the dead letters: nobody knows what is in it, so it is treated as personal."""
        return self.masters.seal(body, rotation.LETTER)

    def open_letter(self, sealed: bytes) -> bytes:
        """The refused event again, for a replay."""
        return self.masters.open(sealed, rotation.LETTER)

    def seal_secret(self, source_id: str, secret: str) -> bytes:
        """A source's secret, sealed for this source."""
        return self.masters.seal(secret.encode(), rotation.secret_place(source_id))

    def open_secret(self, source_id: str, sealed: bytes) -> str:
        """The secret again, to check a signature with."""
        return self.masters.open(sealed, rotation.secret_place(source_id)).decode()

    def pseudonym(self, shop_id: str, value: str) -> str:
        """An id made of personal data, the same each time, of which nobody without the vault's keys can tell whose."""
        return self.blind_index(shop_id, "pseudonym", value).hex()[:PSEUDONYM_CHARS]

    async def put(
        self, connection: Connection, items: Sequence[tuple[Key, EventId, Personal]], also: Sequence[Key] = ()
    ) -> Mapping[Key, AESGCM]:
        """Seals `(customer, event, personal)` items in the caller's transaction; a later value replaces one. Gives
        the data keys of their customers, and of those `also` asked for: all at once, so that two transactions never
        wait for each other in a circle."""
        values = [
            (key, names_of(field, event)[0], value)
            for key, event, personal in items
            for field, value in msgspec.structs.asdict(personal).items()
            if value is not None
        ]
        return await self.keep(connection, values, [*(key for key, _, _ in items), *also])

    async def keep(
        self, connection: Connection, values: Sequence[tuple[Key, str, str]], also: Sequence[Key] = ()
    ) -> Mapping[Key, AESGCM]:
        """Seals `(customer, name, value)` under these very names, as `put` does."""
        if not values and not also:
            return {}
        opened = await self.data_keys(connection, [*(key for key, _, _ in values), *also])
        rows: dict[tuple[str, str, str], bytes] = {}
        for key, name, value in values:
            rows[*key, name] = seal(opened[key], value.encode(), place_of(key, name))
        if rows:
            await connection.execute(PUT, *zip(*((*place, sealed) for place, sealed in rows.items()), strict=True))
        return opened

    async def get(
        self, connection: Connection, shop_id: str, customer_ids: Sequence[str], fields: Sequence[str] | None
    ) -> Mapping[str, dict[str, str]]:
        """The named fields, or all, of the customers that have any: {customer_id: {field: value}}."""
        found: dict[str, dict[str, str]] = {}
        for customer_id, field, sealed, wrapped in await connection.fetch(GET, shop_id, customer_ids, fields):
            key = (shop_id, customer_id)
            found.setdefault(customer_id, {})[field] = open_(
                self.unwrapped(key, wrapped), sealed, place_of(key, field)
            ).decode()
        return found

    def blind_index(self, shop_id: str, field: str, value: str) -> bytes:
        """What finds a value without showing it."""
        assert self._index_key is not None, "nothing is found before check() has taken the index key"
        return hmac.digest(self._index_key, "\x1f".join((shop_id, field, value.strip().lower())).encode(), sha256)

    async def data_keys(self, connection: Connection, customers: Sequence[Key]) -> dict[Key, AESGCM]:
        """The customers' keys, made where there are none, in the caller's transaction."""
        wanted, found = set(customers), dict[Key, AESGCM]()
        while keys := sorted(wanted - found.keys()):
            fresh = [self.masters.seal(os.urandom(KEY_BYTES), place_of(key, rotation.KEY)) for key in keys]
            rows = await connection.fetch(KEYS, *zip(*keys, strict=True), fresh)
            found |= {(s, c): self.unwrapped((s, c), wrapped) for s, c, wrapped in rows}
        return found

    def unwrapped(self, key: Key, wrapped: bytes) -> AESGCM:
        """A customer's data key."""
        return AESGCM(self.masters.open(wrapped, place_of(key, rotation.KEY)))
