"""Ingest as its app.py wires it, on a fresh database, behind its real routes."""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MethodType
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest

from common.clock import RealClock
from common.contracts.envelope import Data, Decoder, Event
from common.contracts.ingest import CustomerUpdated, Tick
from common.contracts.topics import INGEST_EVENTS
from common.db.engine import open_pool
from common.house import House
from common.settings import Settings
from common.shops import Shop
from common.web.app import create_app
from common.web.auth import KeyRing, create_key
from ingest.app import open_service
from ingest.flusher import Flusher
from tests.postgres_fixture import copied

SHOPS: Mapping[str, Shop] = {
    "shop": Shop("shop", "Asia/Shanghai", "CNY", "zh-CN"),
    "other": Shop("other", "America/Sao_Paulo", "BRL", "en", "olist"),
}
MASTER_KEY = b"m" * 32
INTERNAL_KEY = "the-key-the-services-know-each-other-by"
SENT = "SELECT xid::text::bigint AS xid, part, body FROM ingest.outbox WHERE topic = $1 AND key <> '' ORDER BY xid, id"
TICKS = "SELECT xid::text::bigint AS xid, part, body FROM ingest.outbox WHERE topic = $1 AND key = '' ORDER BY xid, id"

_DECODER = Decoder(INGEST_EVENTS.events)

Keys = Mapping[str, dict[str, str]]  # headers of callers, by what they may do


class Row(NamedTuple):
    """An event as the readers of the bus find it."""

    xid: int
    part: int
    event: Event[Data]


class Ingest(NamedTuple):
    """A running ingest and a client of it, without a key."""

    pool: asyncpg.Pool
    client: httpx.AsyncClient
    flusher: Flusher


def settings_for(database: str, **more: Any) -> Settings:
    """Settings on the superuser's address of a database."""
    vault_key = b64encode(MASTER_KEY).decode()
    without_role = re.sub("//[^@/]*@", "//", database)
    given = {"database": without_role, "admin_database": database, "vault_key": vault_key, "internal_key": INTERNAL_KEY}
    return Settings(**{**given, **more})


@asynccontextmanager
async def open_ingest(settings: Settings) -> AsyncIterator[Ingest]:
    """Ingest with its loops running, for as long as the context lasts."""
    house = House(settings, RealClock(), SHOPS)
    async with open_service(house) as part, asyncio.TaskGroup() as tasks:
        loops = [tasks.create_task(_forever(loop)) for loop in part.loops]
        app = create_app("test", [part.router], {part.name: part.ready}, settings.body_max_bytes)
        app.state.key_ring = KeyRing(part.pool, settings.internal_key, limits=house.limits)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            flusher = part.ready.__self__ if isinstance(part.ready, MethodType) else None
            assert isinstance(flusher, Flusher)
            yield Ingest(part.pool, client, flusher)
        for loop in loops:
            loop.cancel()


def lend(monkeypatch: pytest.MonkeyPatch, ingest: Ingest) -> None:
    """Every client that is made from now on reaches this ingest, whatever address it was told."""
    made = httpx.AsyncClient

    def lent(**told: Any) -> httpx.AsyncClient:
        return made(transport=ingest.client._transport, **told)

    monkeypatch.setattr(httpx, "AsyncClient", lent)


async def _forever(loop: Callable[[], Any]) -> None:
    await loop()


fresh_database = copied("ingest")


@pytest.fixture
def settings(fresh_database: str) -> Settings:
    """On the migrated database."""
    return settings_for(fresh_database)


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """Connections under ingest's role, beside those of ingest itself."""
    async with open_pool(settings, "ingest") as pool:
        yield pool


@pytest.fixture
async def admin(fresh_database: str) -> AsyncIterator[asyncpg.Connection]:
    """The superuser's connection."""
    connection = await asyncpg.connect(fresh_database)
    yield connection
    await connection.close()


@pytest.fixture
async def keys(fresh_database: str, settings: Settings) -> Keys:
    """Headers of callers: a shop's and another's sender and operator, one who only reads, the house itself."""
    return await make_keys(fresh_database)


async def make_keys(database: str) -> Keys:
    """The same, in any migrated database."""
    admin = await asyncpg.connect(database)
    try:
        made = {
            "sender": await create_key(admin, "shop", ["ingest"]),
            "operator": await create_key(admin, "shop", ["ingest", "operate"]),
            "reader": await create_key(admin, "shop", ["read"]),
            "other": await create_key(admin, "other", ["ingest", "operate"]),
            "admin": await create_key(admin, "shop", ["admin"]),
            "sending service of shop": await create_key(admin, "shop", ["internal"]),
            "gone": await create_key(admin, "gone", ["ingest"]),
            "house": INTERNAL_KEY,
        }
    finally:
        await admin.close()
    return {name: {"Authorization": f"Bearer {key}"} for name, key in made.items()}


def assert_problem(answer: httpx.Response, status: int, title: str, path: str | None = None) -> str:
    """A problem in the one form they all have; gives its detail."""
    told = answer.json()
    assert (answer.status_code, told["status"], told["title"], told.get("path")) == (status, status, title, path), told
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["type"] == "about:blank"
    assert answer.headers["x-request-id"]
    return str(told["detail"])


def visit(id_: Any, subject: Any = "ann", **more: Any) -> dict[str, Any]:
    """The smallest event there is."""
    return {"id": id_, "type": "visit", "subject": subject, **more}


def lines(events: Sequence[Any]) -> bytes:
    """Events as NDJSON."""
    return b"\n".join(json.dumps(event).encode() for event in events)


async def rows_of(source: asyncpg.Pool | asyncpg.Connection, query: str = SENT, classes: bool = False) -> list[Row]:
    """What stands in the outbox, in the order it is read; what is told of `classes` beside it only when asked for."""
    found = await source.fetch(query, INGEST_EVENTS.name)
    rows = [Row(row["xid"], row["part"], _decoded(row["body"])) for row in found]
    return [row for row in rows if classes or not is_of_classes(row.event)]


def is_of_classes(event: Event[Data]) -> bool:
    """Whether ingest made it to tell the classes that another event brought."""
    return event.type == CustomerUpdated.TYPE and event.causation_id != ""


def _decoded(body: bytes) -> Event[Data]:
    event = _DECODER.decode(body)
    assert isinstance(event, Event), event
    return event


def watermarks(ticks: Sequence[Row], part: int = 0) -> list[Any]:
    """What one partition was told."""
    return [row.event.data.watermark for row in ticks if row.part == part and isinstance(row.event.data, Tick)]
