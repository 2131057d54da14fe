"""The vault: the one room where personal data lives.

Each customer has a data key, wrapped by the master key; values are sealed with AES-256-GCM under the data key, with
shop, customer and field as associated data, so that no value can be moved to another place. Deleting a customer's
key erases the customer. A blind HMAC index finds a customer by phone or e-mail without storing either in the clear.
"""

import hmac
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.db.engine import Connection
from ingest.domain.accept import Personal

NONCE_BYTES = 12  # of AES-GCM (NIST SP 800-38D)
KEY_BYTES = 32
PSEUDONYM_CHARS = 32  # 128 bits
INDEXED = ("phone", "email")

Key = tuple[str, str]  # shop_id, customer_id

# The key that stands there wins: two processes may make one for the same customer at the same time.
MAKE_KEYS = """
INSERT INTO vault_keys (shop_id, customer_id, wrapped_key)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""
LOAD_KEYS = """
SELECT shop_id, customer_id, wrapped_key FROM vault_keys
JOIN unnest($1::text[], $2::text[]) AS k (shop_id, customer_id) USING (shop_id, customer_id)
"""
ANY_KEY = "SELECT shop_id, customer_id, wrapped_key FROM vault_keys LIMIT 1"
PUT = """
INSERT INTO vault (shop_id, customer_id, field, sealed, blind_index)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) ORDER BY 1, 2, 3
ON CONFLICT (shop_id, customer_id, field) DO UPDATE SET sealed = EXCLUDED.sealed, blind_index = EXCLUDED.blind_index
"""
GET = """
SELECT v.customer_id, v.field, v.sealed, k.wrapped_key FROM vault v JOIN vault_keys k USING (shop_id, customer_id)
WHERE v.shop_id = $1 AND v.customer_id = ANY($2) AND v.field = ANY($3)
"""


class Vault:
    """Seals and opens with one master key."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError(f"the vault's master key has {len(master_key)} bytes, it needs {KEY_BYTES}")
        self._master = AESGCM(master_key)
        self._index_key = hmac.digest(master_key, b"blind index", sha256)

    async def check(self, connection: Connection) -> None:
        """Raises ValueError where the vault was begun with another master key: nobody could read all of it any more."""
        for shop_id, customer_id, wrapped in await connection.fetch(ANY_KEY):
            try:
                _open(self._master, wrapped, _place((shop_id, customer_id), "key"))
            except InvalidTag:
                raise ValueError(
                    "REGULARS_VAULT_KEY is not the key that this database's vault was begun with"
                ) from None

    def seal_letter(self, body: bytes) -> bytes:
        """A refused event for the dead letters: nobody knows what is in it, so it is treated as personal."""
        return _seal(self._master, body, b"dead letter")

    def open_letter(self, sealed: bytes) -> bytes:
        """The refused event again, for a replay."""
        return _open(self._master, sealed, b"dead letter")

    def seal_secret(self, source_id: str, secret: str) -> bytes:
        """A source's secret, sealed for this source."""
        return _seal(self._master, secret.encode(), _place(("source", source_id), "secret"))

    def open_secret(self, source_id: str, sealed: bytes) -> str:
        """The secret again, to check a signature with."""
        return _open(self._master, sealed, _place(("source", source_id), "secret")).decode()

    def pseudonym(self, shop_id: str, value: str) -> str:
        """An id made of personal data, the same each time, of which nobody without the master key can tell whose."""
        return self.blind_index(shop_id, "pseudonym", value).hex()[:PSEUDONYM_CHARS]

    async def put(self, connection: Connection, items: Sequence[tuple[Key, str, Personal]]) -> None:
        """Seals `(customer, event_id, personal)` items in the caller's transaction; a later value replaces one."""
        if not items:
            return
        keys = sorted({key for key, _, _ in items})
        opened = await self._data_keys(connection, keys)
        rows: dict[tuple[str, str, str], tuple[bytes, bytes | None]] = {}
        for key, event_id, personal in items:
            for field, value in msgspec.structs.asdict(personal).items():
                if value is not None:
                    name = f"review_text:{event_id}" if field == "review_text" else field
                    sealed = _seal(opened[key], value.encode(), _place(key, name))
                    rows[*key, name] = (sealed, self.blind_index(key[0], field, value) if field in INDEXED else None)
        columns = zip(*((*place, *sealed) for place, sealed in rows.items()), strict=True)
        await connection.execute(PUT, *columns)

    async def get(
        self, connection: Connection, shop_id: str, customer_ids: Sequence[str], fields: Sequence[str]
    ) -> Mapping[str, dict[str, str]]:
        """The named fields of the customers that have any: {customer_id: {field: value}}."""
        found: dict[str, dict[str, str]] = {}
        for customer_id, field, sealed, wrapped in await connection.fetch(GET, shop_id, customer_ids, fields):
            key = (shop_id, customer_id)
            data_key = AESGCM(_open(self._master, wrapped, _place(key, "key")))
            found.setdefault(customer_id, {})[field] = _open(data_key, sealed, _place(key, field)).decode()
        return found

    def blind_index(self, shop_id: str, field: str, value: str) -> bytes:
        """What finds a value without showing it."""
        return hmac.digest(self._index_key, "\x1f".join((shop_id, field, value.strip().lower())).encode(), sha256)

    async def _data_keys(self, connection: Connection, keys: Sequence[Key]) -> dict[Key, AESGCM]:
        shops, customers = [k[0] for k in keys], [k[1] for k in keys]
        fresh = [_seal(self._master, os.urandom(KEY_BYTES), _place(key, "key")) for key in keys]
        await connection.execute(MAKE_KEYS, shops, customers, fresh)
        rows = await connection.fetch(LOAD_KEYS, shops, customers)
        return {(s, c): AESGCM(_open(self._master, wrapped, _place((s, c), "key"))) for s, c, wrapped in rows}


def _place(key: Key, field: str) -> bytes:
    return "\x1f".join((*key, field)).encode()


def _seal(key: AESGCM, plain: bytes, place: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, place)


def _open(key: AESGCM, sealed: bytes, place: bytes) -> bytes:
    return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
