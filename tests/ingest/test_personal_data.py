"""Personal data stays in its room: planted in events, sound and refused, it is found in no table, log or answer."""

import asyncio
import json
import logging
import socket
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import asyncpg
import httpx
import pytest
import structlog

from common.contracts.topics import INGEST_EVENTS
from common.db import outbox
from common.db.migrate import migrate
from common.house import build_house, running
from common.ids import partition_of
from common.settings import Settings
from common.telemetry import logs
from common.web.auth import create_key
from regulars.drain import drained
from regulars.embedded_postgres import EmbeddedPostgres
from regulars.services import ALL, NAMES
from tests.contract.waiting import until
from tests.ingest.conftest import lines, settings_for, visit

FACTOR = 4_000  # an hour of the shop passes in a second: the reminder by SMS falls due
LONG_S = 30.0
PHONE, EMAIL, NAME = "13905718888", "wang.fang@example.com", "王小芳"
STREET, REVIEW = "文三路九十号", "口罩有点小不过快递员很好"
PLANTED = (PHONE, EMAIL, NAME, STREET, REVIEW)
PERSONAL = {
    "phone": f"+86{PHONE}",
    "email": EMAIL,
    "name": NAME,
    "address": f"杭州市{STREET}\n3 幢",
    "review_text": f"{REVIEW}\n还会再来",
}
AMOUNT = {"amount_minor": 12_900, "currency": "CNY"}
COLUMNS = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
"""


FILLED = (
    '"ingest"."vault"',
    '"ingest"."dead_letters"',
    '"segmentation"."dead_letters"',
    '"journeys"."states"',
    '"loyalty"."postings"',
    '"notifier"."messages"',
    '"notifier"."mailbox"',
)


def event(number: int, type_: str, data: Any, **more: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "type": type_, "subject": "c1", "data": data, "personal": PERSONAL, **more}


SOUND = [
    event(1, "customer.registered", {"locale": "zh-CN", "city": "杭州"}),
    event(2, "cart.item_added", {"item": {"item_id": "i1", "category": "masks"}}),
    event(3, "order.placed", {"order_id": "o1", "amount": AMOUNT}),
    event(4, "order.placed", {"order_id": "o2", "amount": AMOUNT}),
    event(5, "order.paid", {"order_id": "o2", "amount": AMOUNT}),
    event(6, "shipment.dispatched", {"order_id": "o2"}),
    event(7, "order.completed", {"order_id": "o2", "amount": AMOUNT}),
    event(8, "review.submitted", {"rating": 5, "order_id": "o2", "topics": ["logistics"]}),
    event(9, "customer.updated", {"city": "苏州"}, personal=PERSONAL | {"name": f"{NAME}女士"}),
    event(3, "order.placed", {"order_id": "o1", "amount": AMOUNT}),
]
# Wrong in every way that lets a sender's words come near to a reason.
REFUSED: list[Any] = [
    event(20, "visit", {}, typo=1),
    event(21, PHONE, {}),
    event(22, f"{NAME}.visited", {}),
    event(23, "visit", {}, **{PHONE: 1}),
    event(24, "visit", {}, **{EMAIL: 1}),
    event(25, "visit", {NAME: 1}),
    event(26, "visit", {}, subject=PHONE),
    event(27, "visit", {}, subject=EMAIL),
    event(28, "visit", {}, subject=f"{NAME} {STREET}"),
    event(29, "visit", {}, shopid=PHONE),
    event(30, "visit", {}, source=f"{STREET} 9"),
    event(31, "visit", {}, time=PHONE),
    event(32, "visit", {}, personal={"phone": int(PHONE)}),
    event(33, "visit", {}, personal=PERSONAL | {STREET: NAME}),
    event(34, "visit", {}, personal={"name": f"{NAME}\x00"}),
    event(35, "visit", {}, personal=NAME),
    event(36, "review.submitted", {"rating": 5, "topics": [REVIEW]}),
    event(37, "review.submitted", {"rating": 5, "topics": [f"x - at `$.{PHONE}"]}),
    event(38, "review.submitted", {"rating": REVIEW}),
    event(39, "order.paid", {"order_id": "o9", "amount": AMOUNT | {"currency": NAME}}),
    event(40, "order.paid", {"order_id": f"{STREET} 9", "amount": AMOUNT}),
    PHONE,
    [NAME, STREET],
    {REVIEW: 1},
]
BROKEN = [
    (f'{{"id": "e50", "personal": {{"phone": "{PHONE}", "name": "{NAME}"'.encode(), {}),
    (f'[{{"id": "e51"}}, {{"review": "{REVIEW}'.encode(), {}),
    (f"{PHONE},{NAME},{STREET}".encode(), {"content-type": "text/csv"}),
    (f"{PHONE},{NAME},{STREET}".encode(), {}),
    (EMAIL.encode(), {"content-encoding": "gzip"}),
    (NAME.encode("gbk"), {}),
]


@contextmanager
def logged() -> Iterator[StringIO]:
    """All that is logged, down to the last detail, as the processes log it."""
    level, handlers = logging.root.level, logging.root.handlers
    told = StringIO()
    logs.configure("debug", "json")
    (handler,) = logging.root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(told)
    try:
        yield told
    finally:
        logging.root.handlers = handlers
        logging.root.setLevel(level)
        structlog.reset_defaults()


def disguises(value: str) -> Iterator[bytes]:
    """The value as it stands in texts, in escaped JSON, and in base64 at any place."""
    yield value.encode()
    yield json.dumps(value)[1:-1].encode()
    for before, first in enumerate((0, 2, 3)):  # how many characters of base64 the bytes before it take part in
        plain = b"\0" * before + value.encode()
        yield b64encode(plain)[first : len(plain) * 8 // 6]


def found_in(what: bytes) -> list[str]:
    return [value for value in PLANTED if any(disguise in what for disguise in disguises(value))]


def test_it_would_be_found() -> None:
    for value in PLANTED:
        for before in ("", "a", "ab"):
            body = f"{before}{value} and more".encode()
            assert found_in(body) == [value]
            assert found_in(json.dumps({"body": b64encode(body).decode()}).encode()) == [value]
        assert found_in(json.dumps({"name": value}).encode()) == [value]
    assert found_in(b"139****8888 w***@example.com") == []


async def tables(database: str) -> Mapping[str, list[asyncpg.Record]]:
    """Every row of every table of every schema."""
    admin = await asyncpg.connect(database)
    try:
        names = [f'"{schema}"."{table}"' for schema, table in await admin.fetch(COLUMNS)]
        return {name: await admin.fetch(f"SELECT * FROM {name}") for name in names}
    finally:
        await admin.close()


def cells(value: Any) -> bytes:
    match value:
        case bytes():
            return value
        case list() | tuple() | asyncpg.Record():
            return b"\n".join(cells(inner) for inner in value)
        case _:
            return str(value).encode()


@pytest.fixture
async def everything(fresh_database: str) -> Settings:
    """A database for all services, and settings under which notifier finds ingest's vault."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    now = datetime.now(UTC).isoformat()
    settings = settings_for(
        fresh_database,
        port=port,
        ingest_url=f"http://127.0.0.1:{port}",
        clock=f"accelerated:{FACTOR}@{now}@{now}",
        tick_ms=20,
        tick_idle_ms=20,
    )
    await migrate(settings, NAMES)
    return settings


async def tell_everything(client: httpx.AsyncClient, database: str) -> None:
    """All that is planted, by every door."""
    for one in SOUND:
        assert (await client.post("/v1/events", json=one)).status_code == 202
    refused: list[httpx.Response] = [
        await client.post("/v1/events", json=one) for one in REFUSED if isinstance(one, dict)
    ]
    batch = await client.post("/v1/events", json=REFUSED)
    assert batch.json()["rejected"] == len(REFUSED)
    by_line = await client.post("/v1/events", content=lines(REFUSED), headers={"content-type": "application/x-ndjson"})
    assert by_line.json()["rejected"] == len(REFUSED)
    broken = [await client.post("/v1/events", content=body, headers=headers) for body, headers in BROKEN]
    assert {answer.status_code for answer in refused} == {422}
    assert {answer.status_code for answer in broken} == {400, 415, 422}
    old = datetime.now(UTC) - timedelta(days=90)
    history = [
        visit("h1", "c2", time=old.isoformat(), personal=PERSONAL),
        {"id": "h2", "type": "history.ended", "subject": "c2"},
    ]
    imported = await client.post("/v1/events?historic=true", json=history)
    assert imported.json()["accepted"] == 2
    listed = await client.get("/v1/events/refused", params={"limit": 500})
    assert len(listed.json()["items"]) > 2 * len(REFUSED)
    for answer in (*refused, *broken, batch, by_line, listed, await client.get("/metrics")):
        assert found_in(answer.content) == [], answer.text
    # And what nobody can read makes dead letters of every reader.
    admin = await asyncpg.connect(database)
    garbage = (INGEST_EVENTS.name, partition_of("demo", "c1"), "demo/c1", b"no event")
    await admin.execute("SET search_path = ingest")
    await outbox.write(admin, [garbage])
    await admin.close()


async def test_it_stays_in_the_vault(everything: Settings, postgres_server: EmbeddedPostgres) -> None:
    assert everything.admin_database is not None
    admin = await asyncpg.connect(everything.admin_database)
    headers = {"X-API-Key": await create_key(admin, "demo", ["ingest", "operate", "read"])}

    async def sms_is_sent() -> bool:
        return bool(await admin.fetchval("SELECT count(*) FROM notifier.mailbox WHERE channel = 'sms'"))

    with logged() as told:
        async with (
            running(build_house(everything), ALL, "test") as url,
            httpx.AsyncClient(base_url=url, headers=headers, timeout=LONG_S) as client,
        ):
            await tell_everything(client, everything.admin_database)
            await until(sms_is_sent, "the reminder by SMS")
            assert await drained(everything.admin_database, LONG_S)
            for path in ("/v1/customers/c1", "/v1/accounts/c1", "/v1/inbox/c1", "/v1/mailbox", "/health/ready"):
                answer = await client.get(path)
                assert answer.status_code == 200, (path, answer.text)
                assert found_in(answer.content) == [], answer.text
    await admin.close()

    rows = await tables(everything.admin_database)
    assert all(rows[name] for name in FILLED), {name: len(found) for name, found in rows.items()}
    for name, found in rows.items():
        assert found_in(cells(found)) == [], name
    # The reminder did reach the phone in the vault.
    assert {row["to_masked"][-4:] for row in rows['"notifier"."mailbox"']} == {PHONE[-4:]}
    assert "Started server process" in told.getvalue()
    assert found_in(told.getvalue().encode()) == []
    server_log = await asyncio.to_thread(postgres_server.log.read_bytes)
    assert found_in(server_log) == []
