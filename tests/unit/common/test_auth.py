"""API keys at the door: who gets in, what is remembered for how long. The table itself: tests/contract."""

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Annotated, Any, cast

import asyncpg
import httpx
import pytest
from fastapi import APIRouter, Depends
from pydantic import SecretStr

from common.web.app import create_app
from common.web.auth import HELD_MAX, Caller, KeyRing, Scope, requires

READ_KEY = "rk_00000001_" + "r" * 43
ADMIN_KEY = "rk_00000002_" + "a" * 43
HOUSE_KEY = "h" * 32


class Rows:
    """Stands in for a pool: answers look-ups by hash, and counts them."""

    def __init__(self) -> None:
        self.asked = 0
        self.rows: dict[bytes, dict[str, Any]] = {}

    def add(self, key: str, shop_id: str, *scopes: str) -> None:
        row = {"shop_id": shop_id, "scopes": list(scopes), "key_id": key[3:11]}
        self.rows[sha256(key.encode()).digest()] = row

    async def fetchrow(self, _query: str, digest: bytes) -> dict[str, Any] | None:
        self.asked += 1
        return self.rows.get(digest)


class Stopwatch:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def rows() -> Rows:
    rows = Rows()
    rows.add(READ_KEY, "demo", "read")
    rows.add(ADMIN_KEY, "olist", "admin")
    return rows


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def ring(rows: Rows, watch: Stopwatch) -> KeyRing:
    return KeyRing(cast(asyncpg.Pool, rows), SecretStr(HOUSE_KEY), watch)


router = APIRouter()


def protect(scope: Scope) -> None:
    @router.get(f"/{scope}")
    async def shop(caller: Annotated[Caller, Depends(requires(scope))]) -> str:
        return caller.shop_id


for each in ("ingest", "read", "internal"):
    protect(each)


@pytest.fixture
async def client(ring: KeyRing) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app("test", [router], {}, 1_000)
    app.state.key_ring = ring
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {READ_KEY}"},
        {"Authorization": f"bearer  {READ_KEY} "},
        {"X-API-Key": READ_KEY},
    ],
)
async def test_a_key_is_taken_from_either_header(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await client.get("/read", headers=headers)
    assert (response.status_code, response.json()) == (200, "demo")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {READ_KEY}"},
        {"Authorization": f"Bearer {READ_KEY}x"},
        {"X-API-Key": "rk_"},
        {"X-API-Key": "é" * 50},
    ],
)
async def test_without_a_right_key_nobody_gets_in(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await client.get("/read", headers=[(name.encode(), value.encode()) for name, value in headers.items()])
    assert (response.status_code, response.json()["title"]) == (401, "Unauthorized")
    assert response.headers["www-authenticate"] == 'Bearer realm="regulars"'


async def test_who_sends_no_key_is_told_both_ways_to_send_it(client: httpx.AsyncClient) -> None:
    detail = (await client.get("/read")).json()["detail"]
    assert ("X-API-Key: <key>" in detail, "Authorization: Bearer <key>" in detail) == (True, True)


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        (READ_KEY, "/read", 200),
        (READ_KEY, "/ingest", 403),
        (ADMIN_KEY, "/read", 200),
        (ADMIN_KEY, "/ingest", 200),
        (ADMIN_KEY, "/internal", 403),
        (HOUSE_KEY, "/internal", 200),
        (HOUSE_KEY, "/read", 403),
    ],
)
async def test_a_key_does_what_its_scopes_say(client: httpx.AsyncClient, key: str, path: str, status: int) -> None:
    assert (await client.get(path, headers={"X-API-Key": key})).status_code == status


async def test_a_refusal_names_the_scope_that_is_missing(client: httpx.AsyncClient) -> None:
    response = await client.get("/ingest", headers={"X-API-Key": READ_KEY})
    assert response.json()["detail"] == "The API key 00000001 lacks the scope 'ingest'."


async def test_the_documentation_asks_for_a_key(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"]["API key"]["scheme"] == "bearer"
    assert document["paths"]["/read"]["get"]["security"] == [{"API key": []}]
    assert "parameters" not in document["paths"]["/read"]["get"]


async def test_a_key_is_remembered_for_thirty_seconds(ring: KeyRing, rows: Rows, watch: Stopwatch) -> None:
    assert await ring.caller(READ_KEY) == Caller("demo", frozenset(("read",)), "00000001")
    rows.rows.clear()
    watch.now_s += 29.9
    assert await ring.caller(READ_KEY) is not None
    assert rows.asked == 1
    watch.now_s += 0.2
    assert await ring.caller(READ_KEY) is None


async def test_a_miss_is_remembered_for_one_second(ring: KeyRing, rows: Rows, watch: Stopwatch) -> None:
    new_key = "rk_00000003_" + "n" * 43
    assert await ring.caller(new_key) is None
    rows.add(new_key, "demo", "ingest")
    watch.now_s += 0.9
    assert await ring.caller(new_key) is None
    assert rows.asked == 1
    watch.now_s += 0.2
    assert await ring.caller(new_key) == Caller("demo", frozenset(("ingest",)), "00000003")


async def test_what_cannot_be_a_key_never_reaches_the_database(ring: KeyRing, rows: Rows) -> None:
    for key in ("", "rk_", "x" * 60, READ_KEY + " ", READ_KEY.upper(), "rk_0000000g_" + "r" * 43):
        assert await ring.caller(key) is None
    assert rows.asked == 0


async def test_memory_is_bounded_and_the_oldest_is_forgotten(ring: KeyRing, rows: Rows) -> None:
    await ring.caller(READ_KEY)
    for number in range(HELD_MAX):
        await ring.caller(f"rk_{number:08x}_" + "x" * 43)
    assert len(ring._held) == HELD_MAX
    asked = rows.asked
    await ring.caller(READ_KEY)
    assert rows.asked == asked + 1


async def test_without_a_house_key_an_empty_one_does_not_open(rows: Rows) -> None:
    assert await KeyRing(cast(asyncpg.Pool, rows)).caller("") is None
