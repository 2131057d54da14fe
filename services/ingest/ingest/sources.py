"""Sources: a shop's connections to platforms, with their sealed secrets; what is asked often is held for a moment."""

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from cryptography.exceptions import InvalidTag
from msgspec import Struct
from pydantic import BaseModel

from common.db.engine import Connection
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Connector, Origin
from ingest.vault import Vault

ID_BYTES = 12  # of randomness: an address is not guessed
SECRET_BYTES = 24
HELD_S = 2.0  # how long a change may go unnoticed by the other processes

ADD = """
INSERT INTO sources (source_id, shop_id, kind, name, options, created_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
ADD_SEALED = "INSERT INTO source_secrets (source_id, sealed) VALUES ($1, $2)"
LOCK = "SELECT kind FROM sources WHERE source_id = $1 AND shop_id = $2 FOR UPDATE"
# Two at once: of the older ones only the newest stays, and only for a while.
RETIRE = "UPDATE source_secrets SET valid_until = LEAST(valid_until, $2) WHERE source_id = $1"
DROP = """
DELETE FROM source_secrets WHERE source_id = $1
AND (valid_until <= $2 OR id < (SELECT max(id) FROM source_secrets WHERE source_id = $1))
"""
FIND = """
SELECT s.shop_id, s.kind, s.options, k.sealed, k.valid_until
FROM sources s LEFT JOIN source_secrets k USING (source_id) WHERE s.source_id = $1
"""
LIST = """
SELECT s.*, (SELECT count(*) FROM source_secrets k
             WHERE k.source_id = s.source_id AND (k.valid_until IS NULL OR k.valid_until > $4)) AS secrets
FROM sources s WHERE s.shop_id = $1 AND s.source_id > $2 ORDER BY s.source_id LIMIT $3
"""
ANY_SEALED = "SELECT source_id, sealed FROM source_secrets LIMIT 1"


class Refused(ValueError):
    """What is wrong with a source as it was asked for; `path` leads to it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class Told(BaseModel):
    """A source that was made, or its new secret. `secret` is there when we made it, and is not told again."""

    source_id: str
    kind: str
    path: str
    secret: str | None


class Listed(BaseModel):
    """A source and how it does. Counts are of deliveries but for `accepted`, which is of events."""

    source_id: str
    kind: str
    name: str
    path: str
    options: Mapping[str, Any]
    secrets: int
    created_at: datetime
    last_delivery_at: datetime | None
    accepted: int
    repeated: int
    ignored: int
    refused: int
    signature_failures: int


class Source(Struct, frozen=True):
    """What a delivery is checked and converted with."""

    shop_id: str
    connector: Connector[Any]
    origin: Origin[Any]
    secrets: tuple[tuple[str, datetime | None], ...]

    def active(self, now: datetime) -> list[str]:
        """The secrets that are good now."""
        return [secret for secret, until in self.secrets if until is None or now < until]


class Sources:
    """Finds sources by id."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._vault, self._monotonic = pool, vault, monotonic
        self._held: dict[str, tuple[Source, float]] = {}  # and until when

    def holds(self, source_id: str) -> bool:
        """Whether there was such a source when it was last looked for."""
        return source_id in self._held

    async def find(self, source_id: str) -> Source | None:
        """The source, or None where there is none of this id."""
        held, until_s = self._held.get(source_id, (None, 0.0))
        if held is not None and self._monotonic() < until_s:
            return held
        rows = await self._pool.fetch(FIND, source_id) if source_id.isprintable() else []
        if not rows:
            self._held.pop(source_id, None)
            return None
        shop_id, kind, options = rows[0]["shop_id"], rows[0]["kind"], rows[0]["options"]
        connector = CONNECTORS[kind]
        source = Source(
            shop_id,
            connector,
            Origin(
                source_id,
                msgspec.json.decode(options, type=connector.options),
                lambda text: self._vault.pseudonym(shop_id, text),
            ),
            tuple(
                (self._vault.open_secret(source_id, row["sealed"]), row["valid_until"]) for row in rows if row["sealed"]
            ),
        )
        self._held[source_id] = (source, self._monotonic() + HELD_S)
        return source

    def forget(self, source_id: str) -> None:
        """The source has changed."""
        self._held.pop(source_id, None)


def path_of(source_id: str) -> str:
    """Where the platform is to send, behind the installation's public address."""
    return f"/v1/hooks/{source_id}"


async def add(
    connection: Connection,
    vault: Vault,
    now: datetime,
    shop_id: str,
    kind: str,
    name: str,
    options: Mapping[str, Any],
    secret: str | None,
) -> Told:
    """Makes a source. Without a secret we make one, where it is ours to make; else nothing is taken until it is given.

    Raises Refused.
    """
    connector = CONNECTORS.get(kind)
    if connector is None:
        raise Refused("$.kind", f"expected one of {', '.join(CONNECTORS)}")
    try:
        checked = msgspec.convert(options, connector.options)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise Refused("$.options" + path.rstrip("`"), reason) from None
    source_id = f"src_{secrets.token_hex(ID_BYTES)}"
    made = _made(connector) if secret is None else None
    async with connection.transaction():
        await connection.execute(ADD, source_id, shop_id, kind, name, msgspec.json.encode(checked).decode(), now)
        if given := secret or made:
            await connection.execute(ADD_SEALED, source_id, vault.seal_secret(source_id, given))
    return Told(source_id=source_id, kind=kind, path=path_of(source_id), secret=made)


async def rotate(
    connection: Connection,
    vault: Vault,
    now: datetime,
    shop_id: str,
    source_id: str,
    secret: str | None,
    old_valid: timedelta,
) -> Told | None:
    """Gives a source another secret, ours if none is given; the one before stays good for `old_valid`.

    None where the shop has no such source. Raises Refused.
    """
    async with connection.transaction():
        kind = await connection.fetchval(LOCK, source_id, shop_id)
        if kind is None:
            return None
        made = _made(CONNECTORS[kind]) if secret is None else None
        given = secret or made
        if given is None:
            raise Refused("$.secret", f"missing: {kind} makes it, and shows it to the shop")
        await connection.execute(RETIRE, source_id, now + old_valid)
        await connection.execute(DROP, source_id, now)
        await connection.execute(ADD_SEALED, source_id, vault.seal_secret(source_id, given))
    return Told(source_id=source_id, kind=kind, path=path_of(source_id), secret=made)


async def listed(connection: Connection, now: datetime, shop_id: str, after: str, limit: int) -> list[Listed]:
    """The shop's sources."""
    rows = await connection.fetch(LIST, shop_id, after, limit, now)
    return [
        Listed(**{**row, "options": msgspec.json.decode(row["options"]), "path": path_of(row["source_id"])})
        for row in rows
    ]


async def check(connection: Connection, vault: Vault) -> None:
    """Raises ValueError where secrets were sealed with another master key: no delivery could be verified."""
    for source_id, sealed in await connection.fetch(ANY_SEALED):
        try:
            vault.open_secret(source_id, sealed)
        except InvalidTag:
            raise ValueError("REGULARS_VAULT_KEY is not the key that the sources' secrets were sealed with") from None


def _made(connector: Connector[Any]) -> str | None:
    return secrets.token_urlsafe(SECRET_BYTES) if connector.secrets_by == "us" else None
