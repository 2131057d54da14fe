"""Segmentation's answers over HTTP."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import httpx
import pytest

from common.clock import FrozenClock
from common.contracts.ingest import (
    CartItemAdded,
    CustomerMerged,
    CustomerRegistered,
    CustomerSplit,
    Item,
    OrderPaid,
    ReviewSubmitted,
    Visit,
)
from common.money import Money
from common.settings import Settings
from common.shops import Shop
from common.web.app import create_app
from common.web.auth import KeyRing
from common.web.paging import encode_cursor
from segmentation import presets
from segmentation.api import router
from segmentation.app import service
from tests.laws.streams import event
from tests.segmentation import telling

SHOPS: Mapping[str, Shop] = {
    "shop": Shop("shop", "Asia/Shanghai", "CNY", "zh-CN"),
    "other": Shop("other", "America/Sao_Paulo", "BRL", "en", "olist"),
}
BOOKS = presets.load(SHOPS)
SERVICE = service(BOOKS)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NUL = encode_cursor(["\0"])


tell = partial(telling.tell, SERVICE)


@pytest.fixture
async def client(pool: asyncpg.Pool, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    app = create_app(
        "test", [router(pool, SHOPS, BOOKS, FrozenClock(NOON + timedelta(days=4)))], {}, settings.body_max_bytes
    )
    app.state.key_ring = KeyRing(pool)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


Keys = Mapping[str, dict[str, str]]


async def test_a_customer_in_full(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(
        pool,
        event(1, "ann", CustomerRegistered(locale="zh-CN", country="CN", city="Hangzhou"), NOON),
        event(2, "ann", CartItemAdded(Item("i", category="masks")), NOON + timedelta(minutes=1)),
        event(3, "ann", OrderPaid("a", Money(12_50, "CNY")), NOON + timedelta(minutes=2)),
        event(4, "ann", Visit(), NOON + timedelta(days=2)),
        event(5, "ann", OrderPaid("b", Money(1_00, "CNY")), NOON + timedelta(days=3)),
        event(6, "ann", ReviewSubmitted(5, has_photo=True), NOON + timedelta(days=4)),
    )
    answer = await client.get("/v1/customers/ann", headers=keys["shop"])
    assert answer.status_code == 200
    assert (
        answer.json().items()
        >= {
            "customer_id": "ann",
            "lifecycle": "repeat",
            "activity": "active",
            "segment": "repeat-active",
            "since": "2026-05-04T12:00:00Z",
            "reason": "purchase b",
            "next_change_at": "2026-05-19T12:00:00Z",
            "purchases": 2,
            "first_purchase": "2026-05-01T12:02:00Z",
            "last_purchase": "2026-05-04T12:00:00Z",
            "monetary_minor": 1350,
            "currency": "CNY",
            "carts": 1,
            "last_cart": "2026-05-01T12:01:00Z",
            "cart_category": "masks",
            "visits": 1,
            "last_visit": "2026-05-03T12:00:00Z",
            "reviews": 1,
            "photo_reviews": 1,
            "locale": "zh-CN",
            "country": "CN",
            "city": "Hangzhou",
            "as_of": "2026-05-05T12:00:00Z",
        }.items()
    )


async def test_a_prospect_has_nothing_but_its_place(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(pool, event(1, "bob", Visit(), NOON))
    customer = (await client.get("/v1/customers/bob", headers=keys["shop"])).json()
    assert (customer["lifecycle"], customer["activity"], customer["segment"]) == ("prospect", None, "prospect")
    assert (customer["since"], customer["reason"]) == ("2026-05-01T12:00:00Z", "first seen")
    assert (customer["purchases"], customer["last_purchase"], customer["next_change_at"]) == (0, None, None)


async def test_only_the_callers_shop_is_seen(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(
        pool,
        event(1, "ann", Visit(), NOON, shop_id="shop"),
        event(2, "ann", OrderPaid("a", Money(100, "BRL")), NOON, shop_id="other"),
        event(3, "eve", Visit(), NOON, shop_id="other"),
    )
    assert (await client.get("/v1/customers/ann", headers=keys["shop"])).json()["segment"] == "prospect"
    assert (await client.get("/v1/customers/ann", headers=keys["other"])).json()["currency"] == "BRL"
    missing = await client.get("/v1/customers/eve", headers=keys["shop"])
    assert (missing.status_code, missing.json()["title"]) == (404, "Unknown customer")
    prospects = (await client.get("/v1/segments/prospect/members", headers=keys["shop"])).json()
    assert [item["customer_id"] for item in prospects["items"]] == ["ann"]
    assert await counted(client, keys["shop"]) == {"prospect": 1}
    assert await counted(client, keys["other"]) == {"prospect": 1, "new-active": 1}


async def counted(client: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, int]:
    """Cells of the grid that are not empty."""
    segments = (await client.get("/v1/segments", headers=headers)).json()
    return {one["segment"]: one["customers"] for one in segments if one["customers"] and one["kind"] == "grid"}


async def test_all_segments_are_listed_in_the_shops_language(client: httpx.AsyncClient, keys: Keys) -> None:
    chinese: list[dict[str, Any]] = (await client.get("/v1/segments", headers=keys["shop"])).json()
    assert chinese[0] == {"segment": "prospect", "name": "潜在客户", "customers": 0, "kind": "grid"}
    english = (await client.get("/v1/segments", headers=keys["other"])).json()
    assert english[12] == {"segment": "loyal-lost", "name": "Loyal · lost", "customers": 0, "kind": "grid"}


async def test_members_come_page_by_page(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    names = ["c5", "c1", "c3", "c2", "c4"]
    paid = [event(n, name, OrderPaid("a", Money(100, "CNY")), NOON) for n, name in enumerate(names)]
    await tell(pool, *paid, event(9, "c0", Visit(), NOON))
    url = "/v1/segments/new-active/members"
    pages: list[list[str]] = []
    cursor: str | None = None
    while True:
        query: dict[str, str | int] = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = (await client.get(url, headers=keys["shop"], params=query)).json()
        pages.append([item["customer_id"] for item in page["items"]])
        cursor = page["next"]
        if cursor is None:
            break
    assert pages == [["c1", "c2"], ["c3", "c4"], ["c5"]]
    first = (await client.get(url, headers=keys["shop"], params={"limit": 1})).json()["items"]
    assert first == [{"customer_id": "c1", "since": "2026-05-01T12:00:00Z", "reason": "purchase a"}]


async def test_who_moves_is_in_one_segment_only(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(pool, event(1, "ann", Visit(), NOON))
    await tell(pool, event(2, "ann", OrderPaid("a", Money(100, "CNY")), NOON + timedelta(hours=1)))
    assert await counted(client, keys["shop"]) == {"new-active": 1}
    await tell(pool, event(3, "ann", OrderPaid("b", Money(100, "CNY")), NOON + timedelta(days=61)))
    assert await counted(client, keys["shop"]) == {"repeat-active": 1}


async def test_who_was_merged_is_shown_as_who_lives_on(
    pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys
) -> None:
    await tell(
        pool,
        event(1, "ann", OrderPaid("a", Money(100, "CNY")), NOON),
        event(2, "bob", OrderPaid("b", Money(200, "CNY")), NOON),
        event(3, "ann", CustomerMerged("bob"), NOON + timedelta(hours=1)),
    )
    assert await counted(client, keys["shop"]) == {"repeat-active": 1}
    for name in ("ann", "bob"):
        shown = (await client.get(f"/v1/customers/{name}", headers=keys["shop"])).json()
        assert (shown["customer_id"], shown["purchases"], shown["monetary_minor"]) == ("bob", 2, 300)
        assert shown["reason"] == "merged with ann"
    await tell(pool, event(4, "ann", CustomerSplit("bob"), NOON + timedelta(hours=2)))
    assert await counted(client, keys["shop"]) == {"new-active": 2}
    shown = (await client.get("/v1/customers/ann", headers=keys["shop"])).json()
    assert (shown["customer_id"], shown["purchases"], shown["reason"]) == ("ann", 1, "split from bob")
    shown = (await client.get("/v1/customers/bob", headers=keys["shop"])).json()
    assert (shown["purchases"], shown["reason"]) == (1, "ann split off")


@pytest.mark.parametrize(
    ("key", "path", "status", "title"),
    [
        ("shop", "/v1/customers/nobody", 404, "Unknown customer"),
        ("shop", "/v1/segments/nowhere/members", 404, "Unknown segment"),
        ("shop", "/v1/segments/prospect/members?cursor=x", 400, "Bad cursor"),
        ("shop", "/v1/segments/prospect/members?limit=0", 422, "Invalid request"),
        ("shop", "/v1/customers/%00", 422, "Invalid request"),
        ("shop", "/v1/segments/%00/members", 422, "Invalid request"),
        ("shop", f"/v1/segments/prospect/members?cursor={NUL}", 400, "Bad cursor"),
        ("ingest", "/v1/segments", 403, "Forbidden"),
        ("gone", "/v1/segments", 403, "Unknown shop"),
    ],
)
async def test_what_goes_wrong_is_a_problem(
    client: httpx.AsyncClient, keys: Keys, key: str, path: str, status: int, title: str
) -> None:
    answer = await client.get(path, headers=keys[key])
    assert (answer.status_code, answer.json()["title"]) == (status, title)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_nobody_reads_without_a_key(client: httpx.AsyncClient) -> None:
    for path in ("/v1/customers/ann", "/v1/segments", "/v1/segments/prospect/members"):
        assert (await client.get(path)).status_code == 401
