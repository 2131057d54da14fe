"""Sources: a shop's connections to platforms, with their sealed secrets; what is asked often is held for a moment."""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import asyncpg
import msgspec
from msgspec import Struct
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from common.db.engine import Connection
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Connector, Origin
from ingest.reconcile import polls
from ingest.reconcile.known import DIALECTS
from ingest.reconcile.rest import MAX_URL_CHARS, shop_address
from ingest.vault import Vault

ID_BYTES = 12  # of randomness: an address is not guessed
SECRET_BYTES = 24
HELD_S = 2.0  # how long a change may go unnoticed by the other processes

WEBHOOK, REST = "webhook", "rest"  # purposes of secrets

ADD = """
INSERT INTO sources (source_id, shop_id, kind, name, options, created_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
ADD_SEALED = "INSERT INTO source_secrets (source_id, sealed, purpose) VALUES ($1, $2, $3)"
LOCK = "SELECT kind, created_at FROM sources WHERE source_id = $1 AND shop_id = $2 FOR UPDATE"
# Two at once: of the older ones only the newest stays, and only for a while.
RETIRE = """
UPDATE source_secrets SET valid_until = LEAST(valid_until, $2) WHERE source_id = $1 AND purpose = 'webhook'
"""
DROP = """
DELETE FROM source_secrets WHERE source_id = $1 AND purpose = 'webhook'
AND (valid_until <= $2 OR id < (SELECT max(id) FROM source_secrets WHERE source_id = $1 AND purpose = 'webhook'))
"""
SET_REST = "UPDATE sources SET rest_url = $2 WHERE source_id = $1"
DROP_REST = "DELETE FROM source_secrets WHERE source_id = $1 AND purpose = 'rest'"
REMOVE = "DELETE FROM sources WHERE source_id = $1 AND shop_id = $2 RETURNING 1"  # its secrets and polls with it
FIND = """
SELECT s.shop_id, s.kind, s.options, k.sealed, k.valid_until
FROM sources s LEFT JOIN source_secrets k ON k.source_id = s.source_id AND k.purpose = 'webhook'
WHERE s.source_id = $1
"""
LIST = """
SELECT s.*, (SELECT count(*) FROM source_secrets k WHERE k.source_id = s.source_id AND k.purpose = 'webhook'
             AND (k.valid_until IS NULL OR k.valid_until > $4)) AS secrets,
    (SELECT json_agg(json_build_object('resource', p.resource, 'up_to', p.up_to, 'polled_at', p.polled_at,
        'due_at', p.due_at, 'found', p.found, 'failures', p.failures, 'fault', p.fault) ORDER BY p.resource)
     FROM polls p WHERE p.source_id = s.source_id) AS polls,
    (SELECT f.said FROM feeds f WHERE f.source_id = s.source_id) AS connection
FROM sources s WHERE s.shop_id = $1 AND s.source_id > $2 ORDER BY s.source_id LIMIT $3
"""


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


class Rest(BaseModel):
    """How a platform's REST API is asked for what webhooks missed: from `since` on, else since the source is there."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(max_length=MAX_URL_CHARS)]
    key: Annotated[str, Field(min_length=8, max_length=500, pattern=r"^[\x21-\x7e]+$")]
    since: AwareDatetime | None = None


class Polled(BaseModel):
    """How far one resource is known by asking: all changes before `up_to`; `polled_at`: when that was last complete."""

    resource: str
    up_to: datetime
    polled_at: datetime | None
    due_at: datetime
    found: int  # events that no webhook had brought by then
    failures: int  # in a row
    fault: str | None


class Listed(BaseModel):
    """A source and how it does. Counts are of webhooks' deliveries but for `accepted`, which is of events. `lag_s`: how
    long ago the platform was last asked in full for what webhooks missed, absent where it is not asked. `connection`
    is there where we connect to the platform, in words."""

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
    rest_url: str | None
    polls: list[Polled]
    lag_s: float | None
    connection: str | None


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


def rest(url: str, key: str, since: datetime | None) -> Rest:
    """How a platform is asked. Raises Refused, in words that do not repeat the key."""
    try:
        return Rest(url=url, key=key, since=since)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise Refused(f"$.rest.{fault['loc'][0]}", fault["msg"]) from None


async def add(
    connection: Connection,
    vault: Vault,
    now: datetime,
    shop_id: str,
    kind: str,
    name: str,
    options: Mapping[str, Any],
    secret: str | None,
    rest: Rest | None = None,
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
            await connection.execute(ADD_SEALED, source_id, vault.seal_secret(source_id, given), WEBHOOK)
        if rest is not None:
            await _ask(connection, vault, now, source_id, kind, rest, now)
    return Told(source_id=source_id, kind=kind, path=path_of(source_id), secret=made)


async def ask(
    connection: Connection, vault: Vault, now: datetime, shop_id: str, source_id: str, rest: Rest | None
) -> bool:
    """Asks the platform from now on for what its webhooks missed, or no more. Whether the shop has such a source.

    Raises Refused.
    """
    async with connection.transaction():
        row = await connection.fetchrow(LOCK, source_id, shop_id)
        if row is None:
            return False
        if rest is not None:
            await _ask(connection, vault, now, source_id, row["kind"], rest, row["created_at"])
        else:
            await connection.execute(SET_REST, source_id, None)
            await connection.execute(DROP_REST, source_id)
            await polls.stop(connection, source_id)
    return True


async def _ask(
    connection: Connection, vault: Vault, now: datetime, source_id: str, kind: str, rest: Rest, usual_since: datetime
) -> None:
    dialect = DIALECTS.get(kind)
    if dialect is None:
        raise Refused("$.rest", f"{kind} is not asked; these are: {', '.join(DIALECTS)}")
    try:
        url = shop_address(rest.url)
    except ValueError as error:
        raise Refused("$.rest.url", str(error)) from None
    if not re.fullmatch(dialect.key_form, rest.key):
        raise Refused("$.rest.key", dialect.key_words)
    await connection.execute(SET_REST, source_id, url)
    await connection.execute(DROP_REST, source_id)
    await connection.execute(ADD_SEALED, source_id, vault.seal_secret(source_id, rest.key), REST)
    since = (rest.since or usual_since).astimezone(UTC)
    await polls.start(connection, source_id, dialect.resources, since, now, anew=rest.since is not None)


async def remove(connection: Connection, shop_id: str, source_id: str) -> bool:
    """Removes a source: what it brought stays, what comes to its address is refused. Whether there was one."""
    return await connection.fetchval(REMOVE, source_id, shop_id) is not None


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
        await connection.execute(ADD_SEALED, source_id, vault.seal_secret(source_id, given), WEBHOOK)
    return Told(source_id=source_id, kind=kind, path=path_of(source_id), secret=made)


async def listed(connection: Connection, now: datetime, shop_id: str, after: str, limit: int) -> list[Listed]:
    """The shop's sources."""
    rows = await connection.fetch(LIST, shop_id, after, limit, now)
    return [_listed(row, now) for row in rows]


def _listed(row: asyncpg.Record, now: datetime) -> Listed:
    polled = [Polled(**each) for each in msgspec.json.decode(row["polls"] or "[]")]
    asked_at = min((each.polled_at or row["created_at"] for each in polled), default=None)
    lag_s = max(0.0, (now - asked_at).total_seconds()) if asked_at else None
    told = {"options": msgspec.json.decode(row["options"]), "path": path_of(row["source_id"]), "polls": polled}
    return Listed(**{**row, **told, "lag_s": lag_s})


def _made(connector: Connector[Any]) -> str | None:
    return secrets.token_urlsafe(SECRET_BYTES) if connector.secrets_by == "us" else None
