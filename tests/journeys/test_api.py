"""Journeys' answers over HTTP."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.batch import Batch, Codec
from common.bus.port import Mark, Message
from common.contracts.envelope import Data, Event, encode
from common.contracts.ingest import CustomerMerged, OrderCancelled, OrderPaid, OrderPlaced, ShipmentDispatched
from common.contracts.topics import INGEST_EVENTS
from common.db import states
from common.ids import partition_of
from common.money import Money
from common.settings import Settings
from common.shops import Shop
from common.web.app import create_app
from common.web.auth import KeyRing, create_key
from common.web.paging import encode_cursor
from journeys import presets
from journeys.api import router
from journeys.app import service
from tests.laws.streams import event

DEFINITIONS = presets.load(
    {
        "shop": Shop("shop", "Asia/Shanghai", "CNY", "zh-CN"),
        "other": Shop("other", "America/Sao_Paulo", "BRL", "en", "olist"),
    }
)
SERVICE = service(DEFINITIONS)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NUL = encode_cursor([NOON, "\0", "b"])
NAIVE = encode_cursor(["2026-05-01T12:00:00", "a", "b"])  # without a zone
MINUTE = timedelta(minutes=1)
PRICE = Money(99_00, "CNY")

Keys = Mapping[str, dict[str, str]]


async def tell(pool: asyncpg.Pool, *events: Event[Data], watermark: datetime | None = None) -> None:
    """Decides and saves as the road does, in one batch; then the timers due before the watermark."""
    messages = [
        Message(INGEST_EVENTS.name, partition_of(x.shop_id, x.customer_id), Mark(1, number), "", encode(x))
        for number, x in enumerate(events)
    ]
    batch = Batch(SERVICE, Codec(SERVICE), messages)
    async with pool.acquire() as connection, connection.transaction():
        bodies = await states.load(connection, list(batch.events))
        for key in batch.events:
            batch.decide(key, bodies.get(key), watermark)
        await states.save(connection, batch.state_rows())
        await SERVICE.project(connection, batch.saved)
    if batch.sent:
        await tell(pool, *batch.sent)


@pytest.fixture
async def client(pool: asyncpg.Pool, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    app = create_app("test", [router(pool, DEFINITIONS)], {}, settings.body_max_bytes)
    app.state.key_ring = KeyRing(pool)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


@pytest.fixture
async def keys(fresh_database: str, settings: Settings) -> Keys:
    """Headers of a caller: one that reads each shop, one that may only ingest."""
    admin = await asyncpg.connect(fresh_database)
    try:
        made = {
            "shop": await create_key(admin, "shop", ["read"]),
            "other": await create_key(admin, "other", ["read"]),
            "ingest": await create_key(admin, "shop", ["ingest"]),
        }
    finally:
        await admin.close()
    return {name: {"Authorization": f"Bearer {key}"} for name, key in made.items()}


async def test_the_journeys_of_a_shop_and_who_is_on_them(
    pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys
) -> None:
    await tell(
        pool,
        event(1, "ann", OrderPlaced("a", PRICE), NOON),
        event(2, "ann", OrderPlaced("b", PRICE), NOON),
        event(3, "bob", OrderPlaced("c", PRICE), NOON),
        event(4, "ann", OrderPaid("a", PRICE), NOON + MINUTE),
        event(5, "eve", ShipmentDispatched("d"), NOON, shop_id="other"),
    )
    await tell(pool, event(6, "bob", OrderCancelled("c"), NOON + MINUTE))
    answer = await client.get("/v1/journeys", headers=keys["shop"])
    assert answer.status_code == 200
    dispatch, gift, reminder = answer.json()
    assert reminder == {
        "journey": "payment_reminder",
        "purpose": "transactional",
        "enters_on": "order.placed",
        "key": "order_id",
        "leaves_on": ["order.paid", "order.cancelled"],
        "steps": [
            {"step": "5m", "after_s": 300, "channel": "in_app", "template": "payment_reminder_5m"},
            {"step": "1h", "after_s": 3_600, "channel": "sms", "template": "payment_reminder_1h"},
            {"step": "24h", "after_s": 86_400, "channel": "sms", "template": "payment_reminder_24h"},
        ],
        "on": 1,
        "left": {"order.paid": 1, "order.cancelled": 1},
    }
    assert (gift["journey"], gift["on"], gift["left"]) == ("gift_30d", 1, {})
    assert (dispatch["journey"], dispatch["on"], dispatch["left"]) == ("dispatch_notice", 0, {})
    others = (await client.get("/v1/journeys", headers=keys["other"])).json()
    assert [(one["journey"], one["on"], one["left"]) for one in others] == [
        ("dispatch_notice", 0, {"finished": 1}),
        ("gift_30d", 0, {}),
        ("payment_reminder", 0, {}),
    ]


async def test_where_a_customer_stands(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(pool, event(1, "ann", OrderPlaced("a", PRICE), NOON), event(2, "ann", OrderPlaced("b", PRICE), NOON))
    await tell(pool, event(3, "ann", OrderPaid("b", PRICE), NOON + 10 * MINUTE))
    answer = await client.get("/v1/customers/ann/journeys", headers=keys["shop"])
    assert answer.status_code == 200
    assert answer.json() == {
        "items": [
            {
                "journey": "gift_30d",
                "enrollment": "b",
                "entered_at": "2026-05-01T12:10:00Z",
                "left_at": None,
                "reason": None,
                "next": {"step": "gift", "at": "2026-05-31T12:10:00Z", "channel": "email", "template": "gift_30d"},
            },
            {
                "journey": "payment_reminder",
                "enrollment": "b",
                "entered_at": "2026-05-01T12:00:00Z",
                "left_at": "2026-05-01T12:10:00Z",
                "reason": "order.paid",
                "next": None,
            },
            {
                "journey": "payment_reminder",
                "enrollment": "a",
                "entered_at": "2026-05-01T12:00:00Z",
                "left_at": None,
                "reason": None,
                "next": {
                    "step": "1h",
                    "at": "2026-05-01T13:00:00Z",
                    "channel": "sms",
                    "template": "payment_reminder_1h",
                },
            },
        ],
        "next": None,
    }


async def test_who_was_merged_is_shown_as_who_lives_on(
    pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys
) -> None:
    await tell(pool, event(1, "ann", OrderPlaced("a", PRICE), NOON), event(2, "bob", OrderPlaced("b", PRICE), NOON))
    await tell(pool, event(3, "ann", CustomerMerged("bob"), NOON + MINUTE))
    for name in ("ann", "bob"):
        shown = (await client.get(f"/v1/customers/{name}/journeys", headers=keys["shop"])).json()["items"]
        assert [(one["enrollment"], one["left_at"]) for one in shown] == [("b", None)]
    (reminder,) = [
        one
        for one in (await client.get("/v1/journeys", headers=keys["shop"])).json()
        if one["journey"] == "payment_reminder"
    ]
    assert (reminder["on"], reminder["left"]) == (1, {"customer.merged": 1})


async def test_enrollments_come_page_by_page(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    placed = [event(n, "ann", OrderPlaced(f"o{n}", PRICE), NOON + n // 2 * MINUTE) for n in range(5)]
    await tell(pool, *placed, event(9, "bob", OrderPlaced("x", PRICE), NOON))
    pages: list[list[str]] = []
    query: dict[str, Any] = {"limit": 2}
    while "cursor" not in query or query["cursor"]:
        page = (await client.get("/v1/customers/ann/journeys", headers=keys["shop"], params=query)).json()
        pages.append([item["enrollment"] for item in page["items"]])
        query["cursor"] = page["next"]
    assert pages == [["o4", "o3"], ["o2", "o1"], ["o0"]]


async def test_only_the_callers_shop_is_seen(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(
        pool,
        event(1, "ann", OrderCancelled("b"), NOON),
        event(2, "ann", OrderPlaced("a", PRICE), NOON, shop_id="other"),
    )
    assert (await client.get("/v1/customers/ann/journeys", headers=keys["shop"])).json() == {"items": [], "next": None}
    own = (await client.get("/v1/customers/ann/journeys", headers=keys["other"])).json()
    assert [item["enrollment"] for item in own["items"]] == ["a"]


@pytest.mark.parametrize(
    ("key", "path", "status", "title"),
    [
        ("shop", "/v1/customers/nobody/journeys", 404, "Unknown customer"),
        ("shop", "/v1/customers/nobody/journeys?cursor=x", 400, "Bad cursor"),
        ("shop", "/v1/customers/nobody/journeys?limit=501", 422, "Invalid request"),
        ("shop", "/v1/customers/%00/journeys", 422, "Invalid request"),
        ("shop", f"/v1/customers/ann/journeys?cursor={NAIVE}", 400, "Bad cursor"),
        ("shop", f"/v1/customers/ann/journeys?cursor={NUL}", 400, "Bad cursor"),
        ("ingest", "/v1/journeys", 403, "Forbidden"),
        ("ingest", "/v1/customers/nobody/journeys", 403, "Forbidden"),
    ],
)
async def test_what_goes_wrong_is_a_problem(
    client: httpx.AsyncClient, keys: Keys, key: str, path: str, status: int, title: str
) -> None:
    answer = await client.get(path, headers=keys[key])
    assert (answer.status_code, answer.json()["title"]) == (status, title)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_nobody_reads_without_a_key(client: httpx.AsyncClient) -> None:
    for path in ("/v1/journeys", "/v1/customers/ann/journeys"):
        assert (await client.get(path)).status_code == 401
