"""API keys: who calls, for which shop, and what the caller may do."""

import hmac
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from typing import Annotated, Literal, TypeVar, get_args

import asyncpg
from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from msgspec import Struct
from pydantic import SecretStr

from common.db.engine import Connection
from common.web.limits import Limits
from common.web.problems import Problem

Scope = Literal["ingest", "read", "operate", "admin", "internal"]
SCOPES: frozenset[str] = frozenset(get_args(Scope))

KEY = re.compile(r"rk_[0-9a-f]{8}_[A-Za-z0-9_-]{32,64}")  # rk_<key id>_<secret>
SECRET_BYTES = 32  # of randomness, so that a plain fast hash is right: there is nothing to guess from a stolen table
HIT_S = 30.0  # how long a revoked key may still be taken
MISS_S = 1.0  # how long a new key may still be refused
NO_KEY = "Send an API key as `X-API-Key: <key>` or `Authorization: Bearer <key>`."
HELD_MAX = 10_000  # keys remembered

ACCESS_DDL = """
CREATE SCHEMA IF NOT EXISTS access;
CREATE TABLE IF NOT EXISTS access.api_keys (
    key_hash bytea PRIMARY KEY,
    key_id text NOT NULL,
    shop_id text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS api_keys_by_id ON access.api_keys (key_id);
"""
_ADD = "INSERT INTO access.api_keys (key_hash, key_id, shop_id, scopes) VALUES ($1, $2, $3, $4)"
_FIND = "SELECT shop_id, scopes, key_id FROM access.api_keys WHERE key_hash = $1 AND revoked_at IS NULL"  # by its key


class Caller(Struct, frozen=True):
    """Who a request speaks for. The house's own key (scope internal) speaks for every shop: "*"."""

    shop_id: str
    scopes: frozenset[str]
    key_id: str

    def may(self, scope: Scope) -> bool:
        """Whether the key has the scope; admin has all but internal, which opens the vault."""
        return scope in self.scopes or ("admin" in self.scopes and scope != "internal")


INTERNAL = Caller("*", frozenset(("internal",)), "internal")


async def create_key(connection: Connection, shop_id: str, scopes: Collection[str]) -> str:
    """A new key of the shop, told this once: only its hash is kept."""
    if not scopes or not SCOPES.issuperset(scopes):
        raise ValueError(f"scopes {sorted(scopes)}: expected some of {sorted(SCOPES)}")
    key_id = secrets.token_hex(4)
    key = f"rk_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    await connection.execute(_ADD, _hash(key), key_id, shop_id, sorted(set(scopes)))
    return key


def key_id_of(key: str) -> str:
    """The part of a key by which it is known without being told."""
    return key.split("_")[1]


class KeyRing:
    """Finds callers by key and remembers them. Only hashes are compared, so timing tells nothing of a key."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        internal_key: SecretStr | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
    ) -> None:
        self._pool, self._limits = pool, limits
        self._internal = _hash(internal_key.get_secret_value()) if internal_key is not None else b""
        self._monotonic = monotonic
        self._held: dict[bytes, tuple[Caller | None, float]] = {}  # and until when

    async def caller(self, key: str, address: str = "") -> Caller | None:
        """Who holds the key, or None; counted as a request of the key's, or as a failure of the address's.

        Raises a 429 beyond a limit. An address that was wrong too often is asked no more about in the database, but a
        key that is remembered is good all the same: behind a proxy everybody has one address.
        """
        digest = _hash(key)
        if hmac.compare_digest(digest, self._internal):
            return INTERNAL
        now_s = self._monotonic()
        caller, until_s = self._held.get(digest, (None, 0.0))
        if self._limits is not None and caller is None:
            self._limits.addresses.check(address)
        if now_s >= until_s and KEY.fullmatch(key):
            if digest in self._held:  # one asks again; those who come meanwhile take the old answer
                self._held[digest] = (caller, now_s + MISS_S)
            caller = await self._find(digest, now_s)
        if self._limits is not None:
            if caller is None:
                self._limits.addresses.charge(address)
            else:
                self._limits.keys.check(caller.key_id)
                self._limits.keys.charge(caller.key_id)
        return caller

    async def _find(self, digest: bytes, now_s: float) -> Caller | None:
        row = await self._pool.fetchrow(_FIND, digest)
        caller = Caller(row["shop_id"], frozenset(row["scopes"]), row["key_id"]) if row is not None else None
        self._held[digest] = (caller, now_s + (HIT_S if caller is not None else MISS_S))
        if len(self._held) > HELD_MAX:
            del self._held[next(iter(self._held))]
        return caller

    def forget(self, key_id: str) -> None:
        """The key has been revoked; other processes may take it for up to HIT_S more."""
        self._held = {
            digest: held for digest, held in self._held.items() if held[0] is None or held[0].key_id != key_id
        }


def address_of(request: Request) -> str:
    """Where a request comes from: the proxy's address, behind one."""
    return request.client.host if request.client is not None else ""


class Requires(SecurityBase):
    """A dependency that gives the caller or ends the request; FastAPI documents it as a key to be sent."""

    def __init__(self, scope: Scope) -> None:
        self.model = HTTPBearer(description="An API key. `X-API-Key: <key>` does as well.")
        self.scheme_name = "API key"
        self._scope = scope

    async def __call__(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        key = request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        ring: KeyRing = request.app.state.key_ring
        caller = await ring.caller(key, address_of(request)) if key else None
        if caller is None:
            fault = "This API key is unknown or revoked." if key else NO_KEY
            raise Problem(401, "Unauthorized", fault, headers={"WWW-Authenticate": 'Bearer realm="regulars"'})
        if not caller.may(self._scope):
            raise Problem(403, "Forbidden", f"The API key {caller.key_id} lacks the scope {self._scope!r}.")
        return caller


requires = Requires  # `caller: Annotated[Caller, Depends(requires("read"))]`; the app's `state.key_ring` answers
Reader = Annotated[Caller, Depends(requires("read"))]
Own = TypeVar("Own")


def shop_of(of_shops: Mapping[str, Own], caller: Caller) -> Own:
    """What is the caller's shop's among what each shop has; a problem for a shop that was taken away."""
    if caller.shop_id not in of_shops:
        raise Problem(403, "Unknown shop", f"The key's shop {caller.shop_id!r} is not among the shops of this system.")
    return of_shops[caller.shop_id]


def _hash(key: str) -> bytes:
    return sha256(key.encode()).digest()
