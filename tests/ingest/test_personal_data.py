"""Personal data stays in its room: planted at every door, sound and refused, it is found in no table, log or answer, in
no spelling; and once the person is erased, in nothing that our own keys open."""

import asyncio
import hmac
import json
import logging
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha256
from io import StringIO
from typing import Any
from urllib.parse import quote, urlencode

import asyncpg
import httpx
import pytest
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography.exceptions import InvalidTag
from pydantic import SecretStr

from common.contracts.topics import INGEST_EVENTS, TOPICS
from common.db import outbox
from common.db.migrate import migrate
from common.house import build_house, running
from common.ids import PARTITIONS, partition_of
from common.settings import Settings
from common.telemetry import logs
from common.web.auth import create_key
from ingest import rotation
from ingest.deliveries import opened_by_master
from ingest.vault import Vault
from regulars.drain import drained
from regulars.embedded_postgres import EmbeddedPostgres
from regulars.openers import ALL
from regulars.services import NAMES
from tests.contract.waiting import until
from tests.ingest.conftest import MASTER_KEY, lines, settings_for, visit
from tests.kafka_fixture import StartKafka

FACTOR = 100_000  # a month of the shop passes in 26 seconds: the reminders and the gift fall due
LONG_S = 60.0
PHONE, EMAIL, NAME = "13905718888", "wang.fang@example.com", "王小芳"
STREET, REVIEW = "文三路九十号", "口罩有点小不过快递员很好"
PLANTED = (PHONE, EMAIL, NAME, STREET, REVIEW)
PERSONAL = {
    "phone": f"+86{PHONE}",
    "email": EMAIL,
    "name": NAME,
    "address": f"杭州市{STREET}\n3 幢",
    "review_text": f"{REVIEW}\n还会再来",
    "consent_proof": f"signed by {NAME} at {STREET}",
}
AMOUNT = {"amount_minor": 12_900, "currency": "CNY"}
COLUMNS = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
"""


FILLED = (
    '"ingest"."vault"',
    '"ingest"."dead_letters"',
    '"ingest"."raw_deliveries"',
    '"ingest"."consents"',
    '"ingest"."told_classes"',
    '"ingest"."consent_history"',
    '"segmentation"."dead_letters"',
    '"journeys"."states"',
    '"loyalty"."postings"',
    '"notifier"."messages"',
    '"notifier"."mailbox"',
)


AFTER_ERASURE = ('"ingest"."outbox"', '"loyalty"."postings"', '"notifier"."messages"')


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
    event(10, "consent.changed", {"channel": "email", "purpose": "marketing", "granted": True}),
    event(11, "consent.changed", {"channel": "sms", "purpose": "marketing", "granted": True}),
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
    event(48, "customer.updated", {"attributes": {"wechat": PHONE}}),
    event(49, "customer.updated", {"attributes": {EMAIL: "x"}}),
    event(50, "customer.updated", {"attributes": {f"{NAME} {STREET}": "x"}}),
    event(51, "customer.updated", {"tags_added": [EMAIL]}),
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
SECRET = "a-secret-of-the-shop"
RAW = """
SELECT r.customer_id, k.wrapped_key, r.sealed FROM raw_deliveries r LEFT JOIN vault_keys k USING (shop_id, customer_id)
"""
BILLING = {"first_name": NAME[1:], "last_name": NAME[0], "address_1": STREET, "city": "杭州", "phone": PHONE}
ORDER = {"id": 7, "status": "processing", "currency": "CNY", "total": "12.50", "line_items": []}
TODAY = f"{datetime.now(UTC):%FT%T}"
TIMES = {"date_created_gmt": TODAY, "date_paid_gmt": TODAY}
# A guest's order, a customer's, the latter once more, one that is refused, one that is ignored, one that is no JSON;
# and somebody else's.
HOOKED: list[Any] = [
    ORDER | TIMES | {"billing": BILLING | {"email": EMAIL}},
    ORDER | TIMES | {"id": 8, "customer_id": 3, "billing": BILLING},
    ORDER | TIMES | {"id": 8, "customer_id": 3, "billing": BILLING},
    ORDER | {"id": 9, "billing": BILLING, "date_created_gmt": NAME},
    ORDER | TIMES | {"id": 10, "status": "draft", "billing": BILLING},
    f'{{"id": 11, "billing": {{"phone": "{PHONE}"',
    ORDER | TIMES | {"id": 12, "status": "draft", "billing": {"phone": "13900000000"}},
]
# Somebody else, of whom everything stays.
OTHER = "c9"
OTHERS = [
    event(70, "visit", {}, subject=OTHER, personal={"phone": "+8613900000000", "name": "韩梅梅"}),
    event(71, "visit", {}, subject=OTHER, personal={"phone": "+8613900000000"}, typo=1),
    event(
        73,
        "consent.changed",
        {"channel": "sms", "purpose": "marketing", "granted": False},
        subject=OTHER,
        personal=None,
    ),
    event(72, "review.submitted", {"rating": 9}, subject=OTHER, personal={"review_text": "一般"}),
]
ANSWERS: tuple[str, ...] = (
    "/v1/customers/c1",
    "/v1/accounts/c1",
    "/v1/inbox/c1",
    "/v1/customers/c1/messages",
    "/v1/mailbox",
)
ANSWERS += ("/v1/sources", "/v1/privacy/requests", "/health/ready", "/metrics")
TRAVELLED = {"ingest.events.v1", "ingest.events.v1.dead", "journeys.requests.v1", "loyalty.accounts.v1"}
TOLD_ERASED = """
SELECT DISTINCT key FROM ingest.outbox WHERE convert_from(body, 'UTF8') LIKE '%"type":"customer.erased"%'
"""
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
    """The value as it stands in texts, in other cases and encodings, in escaped JSON, in a form, in hex and in base64
    at any place; a number in other groups of digits."""
    spellings = {value, value.upper()}
    if value.isdigit():
        spellings |= {sign.join((value[:3], value[3:7], value[7:])) for sign in " -."}
    for spelling in spellings:
        yield json.dumps(spelling)[1:-1].encode()
        yield quote(spelling).encode()
        yield spelling.encode("gb18030")
        plain = spelling.encode()
        yield plain
        yield plain.hex().encode()
        for before, first in enumerate((0, 2, 3)):  # how many characters of base64 the bytes before it take part in
            begun = b"\0" * before + plain
            yield b64encode(begun)[first : len(begun) * 8 // 6]


def found_in(what: bytes) -> list[str]:
    return [value for value in PLANTED if any(disguise in what for disguise in disguises(value))]


def test_it_would_be_found() -> None:
    for value in PLANTED:
        for before in ("", "a", "ab"):
            body = f"{before}{value} and more".encode()
            assert found_in(body) == [value]
            assert found_in(json.dumps({"body": b64encode(body).decode()}).encode()) == [value]
        assert found_in(json.dumps({"name": value}).encode()) == [value]
        assert found_in(urlencode({"param": value}).encode()) == [value]
        assert found_in(value.encode().hex().encode()) == [value]
        assert found_in(value.encode("gb18030")) == [value]
    assert found_in(b"tel. +86 139 0571 8888") == [PHONE]
    assert found_in(b"WANG.FANG@EXAMPLE.COM") == [EMAIL]
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
        raw_days=3_650,
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
    await _by_other_doors(client)
    for one in OTHERS:
        await client.post("/v1/events", json=one)
    # And what nobody can read makes dead letters of every reader.
    admin = await asyncpg.connect(database)
    garbage = (INGEST_EVENTS.name, partition_of("demo", "c1"), "demo/c1", b"no event")
    await admin.execute("SET search_path = ingest")
    await outbox.write(admin, [garbage])
    await admin.close()


async def _by_other_doors(client: httpx.AsyncClient) -> None:
    """CloudEvents, Segment's clients, webhooks: what is sound, and what is refused."""
    attributes = {"ce-id": "e60", "ce-source": "shop", "ce-type": "com.shop.visit", "ce-subject": "c1"}
    binary = attributes | {"ce-specversion": "1.0", "content-type": "application/json"}
    answers = [await client.post("/v1/events", headers=binary, json={"personal": PERSONAL})]
    structured = {"content-type": "application/cloudevents+json"}
    body = json.dumps(event(61, "visit", {"personal": PERSONAL}, specversion="1.0", source="shop") | {"personal": None})
    answers.append(await client.post("/v1/events", headers=structured, content=body))
    answers.append(await client.post("/v1/events", headers=structured, content=body.replace("visit", PHONE)))
    traits = {"phone": f"+86 {PHONE}", "email": EMAIL, "name": NAME, "address": {"street": STREET, "city": "杭州"}}
    traits |= {"nickname": NAME, "home": STREET, "plan": PHONE, "gender": EMAIL, "tags": [EMAIL, PHONE]}
    reviewed = {"event": "Product Reviewed", "properties": {"rating": 4, "review_body": REVIEW}}
    messages = [
        {"type": "identify", "userId": "c1", "messageId": "m1", "traits": traits},
        {"type": "track", "userId": "c1", "messageId": "m2", **reviewed},
        {"type": "track", "userId": f"{NAME} {STREET}", "messageId": "m3", **reviewed, "context": {"traits": traits}},
        {"type": PHONE, "userId": "c1", "messageId": "m4", "traits": traits},
    ]
    answers.append(await client.post("/v1/batch", json={"batch": messages}))
    assert {answer.status_code for answer in answers} == {200, 202, 422}, [answer.text for answer in answers]
    made = await client.post("/v1/sources", json={"kind": "woocommerce", "secret": SECRET})
    for told in HOOKED:
        body = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
        mac = b64encode(hmac.digest(SECRET.encode(), body.encode(), sha256)).decode()
        headers = {"X-WC-Webhook-Signature": mac, "X-WC-Webhook-Topic": "order.updated"}
        answers.append(await client.post(made.json()["path"], content=body.encode(), headers=headers))
        assert answers[-1].status_code == 200
    made = await client.post("/v1/sources", json={"kind": "kuaidi100", "secret": SECRET})
    line = {"time": "2026-06-30 10:34:33", "context": f"已签收，{NAME}，{PHONE}", "statusCode": "301"}
    param = json.dumps({"lastResult": {"nu": "SF1", "com": "sf", "state": "3", "data": [line]}}, ensure_ascii=False)
    sign = md5((param + SECRET).encode(), usedforsecurity=False).hexdigest().upper()
    content = urlencode({"sign": sign, "param": param})
    for query in ({"order": "o2", "customer": "c1"}, {"phone": PHONE}, {}):
        answers.append(await client.post(made.json()["path"], params=query, content=content))
        assert answers[-1].status_code == 200, answers[-1].text
    for answer in answers:
        assert found_in(answer.content) == [], answer.text


@asynccontextmanager
async def posting() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A real mail server, and what it took."""

    class Server:
        async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
            assert isinstance(envelope.content, bytes)
            took.append(repr(envelope.rcpt_tos).encode() + envelope.content)
            return "250 OK"

    took: list[bytes] = []
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # the server's own, which is no part of the house
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(Server(), loop=loop, enable_SMTPUTF8=True), "127.0.0.1", 0)
    try:
        yield f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}", took
    finally:
        listening.close()


async def assert_nothing_opens(database: str) -> None:
    """Whatever the master key still opens says nothing of the erased person; nor does what is not sealed."""
    vault = Vault(MASTER_KEY)
    admin = await asyncpg.connect(database)
    try:
        await admin.execute("SET search_path = ingest")
        opened: list[bytes] = []
        for (body,) in await admin.fetch("SELECT body FROM dead_letters"):
            opened.append(vault.open_letter(body))
        for customer, wrapped, sealed in await admin.fetch(RAW):
            assert customer is None or wrapped is not None
            opened += [opened_by_master(vault, sealed)] if customer is None else []
        for each in rotation.EVERYTHING:
            if each.table in ("vault_keys", "vault_index_key"):
                continue
            for row in await admin.fetch(
                each.sql("SELECT {column} AS sealed, {keys_and_place} FROM {table} WHERE {where}")
            ):
                try:
                    opened.append(vault.masters.open(row["sealed"], rotation._place(each, row)))
                except InvalidTag:
                    raise AssertionError(each.table) from None
        for customer in await admin.fetch("SELECT DISTINCT shop_id, customer_id FROM vault_keys"):
            fields = await vault.get(admin, customer["shop_id"], [customer["customer_id"]], None)
            opened += [str(fields).encode()]
    finally:
        await admin.close()
    assert len(opened) > 5, "some of what does not speak of her is still there"
    for plain in opened:
        assert found_in(plain) == [], plain


async def test_it_stays_in_the_vault(everything: Settings, postgres_server: EmbeddedPostgres) -> None:
    assert everything.admin_database is not None
    admin = await asyncpg.connect(everything.admin_database)
    headers = {"X-API-Key": await create_key(admin, "demo", ["admin"])}

    async def all_is_sent() -> bool:
        channels = {row["channel"] for row in await admin.fetch("SELECT channel FROM notifier.mailbox")}
        return channels == {"sms", "email"} and bool(mail)

    with logged() as told:
        async with posting() as (smtp_url, mail):
            settings = everything.model_copy(update={"smtp_url": SecretStr(smtp_url)})
            async with (
                running(build_house(settings), ALL, "test") as url,
                httpx.AsyncClient(base_url=url, headers=headers, timeout=LONG_S) as client,
            ):
                await tell_everything(client, everything.admin_database)
                await until(all_is_sent, "the reminder by SMS and the gift by e-mail", LONG_S)
                assert await drained(everything.admin_database, LONG_S)
                for path in ANSWERS:
                    answer = await client.get(path)
                    assert answer.status_code == 200, (path, answer.text)
                    assert found_in(answer.content) == [], answer.text
                await assert_clean(everything.admin_database)
                # They did reach the phone and the address in the vault.
                assert EMAIL in str(mail)
                kept = await admin.fetch("SELECT to_masked FROM notifier.mailbox WHERE channel = 'sms'")
                assert PHONE[-4:] in {row["to_masked"][-4:] for row in kept}
                await erase_everybody_but(client, admin, OTHER)
                assert await drained(everything.admin_database, LONG_S)
        await assert_clean(everything.admin_database, AFTER_ERASURE)
        await assert_nothing_opens(everything.admin_database)
    await admin.close()
    assert "Started server process" in told.getvalue()
    leaking = [line for line in told.getvalue().splitlines() if found_in(line.encode())]
    assert leaking == []
    server_log = await asyncio.to_thread(postgres_server.log.read_bytes)
    assert found_in(server_log) == []


async def assert_clean(database: str, filled: Sequence[str] = FILLED) -> None:
    """Nothing that is planted stands in any table of any schema, those that hold something among them."""
    rows = await tables(database)
    assert all(rows[name] for name in filled), {name: len(found) for name, found in rows.items()}
    for name, found in rows.items():
        assert found_in(cells(found)) == [], name


async def erase_everybody_but(client: httpx.AsyncClient, admin: asyncpg.Connection, other: str) -> None:
    """The person by all ids: most are one by now, some that nothing connects with the others."""
    rows = await admin.fetch("SELECT DISTINCT customer_id FROM ingest.vault_keys WHERE customer_id <> $1", other)
    for row in rows:
        answer = await client.post(f"/v1/customers/{quote(row['customer_id'])}/erase")
        assert answer.status_code == 200, answer.text
    left = await admin.fetch("SELECT customer_id FROM ingest.vault_keys")
    assert {row["customer_id"] for row in left} == {other}
    told = await admin.fetch(TOLD_ERASED)
    assert {row["key"] for row in told} >= {f"demo/{row['customer_id']}" for row in rows}


async def test_nor_does_it_travel_over_kafka(everything: Settings, start_kafka: StartKafka) -> None:
    """Every topic there is, from its beginning, dead letters' too."""
    cluster = await start_kafka()
    settings = everything.model_copy(update={"kafka": cluster.bootstrap})
    assert settings.admin_database is not None
    admin = await asyncpg.connect(settings.admin_database)
    headers = {"X-API-Key": await create_key(admin, "demo", ["admin"])}
    async with (
        running(build_house(settings), ALL, "test") as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=LONG_S) as client,
    ):
        await tell_everything(client, settings.admin_database)
        assert await drained(settings.admin_database, LONG_S)
        await erase_everybody_but(client, admin, OTHER)
        assert await drained(settings.admin_database, LONG_S)

        async def is_carried() -> bool:
            return (await everything_on(cluster.bootstrap)).keys() >= TRAVELLED

        await until(is_carried, f"something on each of {TRAVELLED}")
        carried = await everything_on(cluster.bootstrap)
    await admin.close()
    assert any(b'"type":"customer.erased"' in body for body in carried["ingest.events.v1"])
    classes = (b'"occupation":"home"', b'"phone_carrier":"china_mobile"', b'"email_class":"company"')
    for told in classes:  # made of what must not travel
        assert any(told in body for body in carried["ingest.events.v1"]), told
    for topic, bodies in carried.items():
        assert found_in(b"\n".join(bodies)) == [], topic


async def everything_on(bootstrap: str) -> Mapping[str, list[bytes]]:
    """Keys and bodies of every topic that holds any."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        names = [name for topic in TOPICS for name in (topic.name, topic.dead)]
        places = [TopicPartition(name, part) for name in names for part in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: dict[str, list[bytes]] = {}
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, records in (await consumer.getmany(timeout_ms=1_000)).items():
                bodies = [(record.key or b"") + (record.value or b"") for record in records]
                found.setdefault(place.topic, []).extend(bodies)
        return found
    finally:
        await consumer.stop()


async def test_a_leak_would_be_found(fresh_database: str) -> None:
    """The search itself, on a table as no service has one."""
    admin = await asyncpg.connect(fresh_database)
    try:
        await admin.execute("CREATE SCHEMA leaking")
        await admin.execute("CREATE TABLE leaking.body (a bytea, b text, c json, d text[])")
        for column, value in (
            ("a", f"tel. {PHONE}".encode()),
            ("b", b64encode(f"to {NAME}".encode()).decode()),
            ("c", json.dumps({"x": [{"y": STREET}]})),
            ("d", ["nothing", EMAIL.upper()]),
        ):
            await admin.execute("DELETE FROM leaking.body")
            await admin.execute(f"INSERT INTO leaking.body ({column}) VALUES ($1)", value)
            rows = await tables(fresh_database)
            assert len(found_in(cells(rows['"leaking"."body"']))) == 1, column
    finally:
        await admin.close()
