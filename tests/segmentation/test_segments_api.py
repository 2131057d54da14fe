"""What segmentation answers about segments: counts of now and over time, members, files, overlaps."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest
from prometheus_client import REGISTRY

from common.clock import FrozenClock
from common.settings import Settings
from common.shops import Shop
from common.web.app import create_app
from common.web.auth import KeyRing
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.grid import CELLS
from segmentation.domain.rules.rule import Group, Segment
from segmentation.segments import counting, exports
from segmentation.segments.api import router
from segmentation.segments.counting import MOST_SHOWN, OTHERS, Counting

SHOPS: Mapping[str, Shop] = {
    "shop": Shop("shop", "Asia/Shanghai", "CNY", "zh-CN"),
    "other": Shop("other", "America/Sao_Paulo", "BRL", "en"),
}
EVERYBODY = Group("$", "all", ())
OWN = (
    Segment("vip", EVERYBODY, frozenset(), {"zh-CN": "贵宾", "en": "VIP"}),
    Segment("mine", EVERYBODY, frozenset(), preset=False),
)
BOOKS: Mapping[str, Rulebook] = {
    shop_id: Rulebook(shop_id, ZoneInfo(shop.zone), shop.currency, segments=OWN if shop_id == "shop" else ())
    for shop_id, shop in SHOPS.items()
}
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
Keys = Mapping[str, dict[str, str]]

PUT = """
INSERT INTO memberships (shop_id, customer_id, segment, since, reason)
SELECT 'shop', customer_id, segment, $3, 'a reason' FROM unnest($1::text[], $2::text[]) AS row (customer_id, segment)
ON CONFLICT (shop_id, customer_id, segment) DO UPDATE SET since = EXCLUDED.since, reason = EXCLUDED.reason
"""
TAKE = "DELETE FROM memberships WHERE shop_id = 'shop' AND segment = $1 AND customer_id = ANY($2)"


@pytest.fixture
async def client(pool: asyncpg.Pool, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    routes = router(pool, SHOPS, BOOKS, FrozenClock(NOON + timedelta(days=60)))
    app = create_app("test", [routes], {}, settings.body_max_bytes)
    app.state.key_ring = KeyRing(pool)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


async def put(pool: asyncpg.Pool, places: Iterable[tuple[str, str]], since: datetime = NOON) -> None:
    """Customers into segments, as the road does."""
    customers, segments = zip(*places, strict=True)
    await pool.execute(PUT, customers, segments, since)


async def counted(client: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, int]:
    """Segments that are not empty."""
    segments = (await client.get("/v1/segments", headers=headers)).json()
    return {one["segment"]: one["customers"] for one in segments if one["customers"]}


async def test_presets_and_own_segments_are_listed_behind_the_grid(client: httpx.AsyncClient, keys: Keys) -> None:
    segments = (await client.get("/v1/segments", headers=keys["shop"])).json()
    assert segments[0] == {"segment": "prospect", "name": "潜在客户", "customers": 0, "kind": "grid"}
    assert segments[len(CELLS) :] == [
        {"segment": "vip", "name": "贵宾", "customers": 0, "kind": "preset"},
        {"segment": "mine", "name": "mine", "customers": 0, "kind": "own"},
    ]
    assert len((await client.get("/v1/segments", headers=keys["other"])).json()) == len(CELLS)


async def test_counts_are_exact_before_during_and_after_folding(
    pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys
) -> None:
    folding = Counting(pool, FrozenClock(NOON))
    await put(pool, [("a", "vip"), ("b", "vip"), ("a", "prospect")])
    await put(pool, [("a", "vip"), ("c", "vip")])  # a was there before: told again, counted once
    assert await counted(client, keys["shop"]) == {"vip": 3, "prospect": 1}
    await folding.step()
    assert await counted(client, keys["shop"]) == {"vip": 3, "prospect": 1}
    await pool.execute(TAKE, "vip", ["a", "nobody"])
    assert await counted(client, keys["shop"]) == {"vip": 2, "prospect": 1}
    async with pool.acquire() as other, other.transaction():  # one that has not committed: not counted, not lost
        await other.execute(PUT, ["d"], ["vip"], NOON)
        await folding.step()
        assert await counted(client, keys["shop"]) == {"vip": 2, "prospect": 1}
    await folding.step()
    assert await counted(client, keys["shop"]) == {"vip": 3, "prospect": 1}
    assert await pool.fetchval("SELECT count(*) FROM segment_moves") == 0
    assert await counted(client, keys["other"]) == {}


async def test_a_rolled_back_batch_counts_nothing(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(PUT, ["a"], ["vip"], NOON)
        await transaction.rollback()
    assert await counted(client, keys["shop"]) == {}


async def test_what_prometheus_is_shown(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"regulars_segmentation_{name}", {"shop": "shop"} | labels) or 0.0

    monkeypatch.setattr(counting, "MOST_SHOWN", 2)
    came, went, rest = (
        value("moves_total", segment=segment, direction=direction)
        for segment, direction in (("s1", "entered"), ("s1", "left"), (OTHERS, "entered"))
    )
    await put(pool, [("a", "s1"), ("b", "s1"), ("a", "s2"), ("a", "s3"), ("a", "s4")])
    folding = Counting(pool, FrozenClock(NOON))
    await folding.step()
    await pool.execute(TAKE, "s1", ["a"])
    await folding.step()
    assert value("members", segment="s1") == 1
    assert value("members", segment=OTHERS) == 2
    assert value("moves_total", segment="s1", direction="entered") == came + 2
    assert value("moves_total", segment="s1", direction="left") == went + 1
    assert value("moves_total", segment=OTHERS, direction="entered") == rest + 2
    assert MOST_SHOWN > 100  # the grid, the presets and a fair number of a shop's own


async def test_counts_of_a_segment_that_was_archived_are_still_told(
    pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys
) -> None:
    await put(pool, [("a", "of_old")])
    await Counting(pool, FrozenClock(NOON)).step()
    until = {"until": (NOON + timedelta(days=1)).isoformat()}
    told = await client.get("/v1/segments/of_old/counts", headers=keys["shop"], params=until)
    assert [each["customers"] for each in told.json()["items"]] == [1]
    assert (await client.get("/v1/segments/of_old/counts", headers=keys["other"], params=until)).status_code == 404


async def test_counts_over_time(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    url, until = "/v1/segments/vip/counts", {"until": (NOON + timedelta(days=1)).isoformat()}
    for minute, name in ((0, "a"), (7, "b"), (15, "c"), (21, "d")):  # b and c are sampled together, d waits
        await put(pool, [(name, "vip")])
        if name == "c":
            await pool.execute(TAKE, "vip", ["a"])
        await Counting(pool, FrozenClock(NOON + timedelta(minutes=minute))).step()
    first = {"at": "2026-05-01T12:00:00Z", "customers": 1, "entered": 1, "left": 0}
    second = {"at": "2026-05-01T12:15:00Z", "customers": 2, "entered": 2, "left": 1}
    page = (await client.get(url, headers=keys["shop"], params=until)).json()
    assert page == {"items": [first, second], "next": None}
    page = (await client.get(url, headers=keys["shop"], params=until | {"limit": "1"})).json()
    assert page["items"] == [first]
    page = (await client.get(url, headers=keys["shop"], params=until | {"limit": "1", "cursor": page["next"]})).json()
    assert page == {"items": [second], "next": None}
    later = until | {"since": (NOON + timedelta(minutes=1)).isoformat()}
    assert (await client.get(url, headers=keys["shop"], params=later)).json()["items"] == [second]
    assert (await client.get(url, headers=keys["shop"])).json()["items"] == []  # the last 30 days
    assert (await client.get("/v1/segments/mine/counts", headers=keys["shop"], params=until)).json()["items"] == []


async def test_samples_are_thinned_to_one_a_day_and_then_forgotten(pool: asyncpg.Pool) -> None:
    await put(pool, [("a", "vip")])
    for hour in (0, 6, 30, 31, 54):  # of a first, a second and a third day
        await Counting(pool, FrozenClock(NOON + timedelta(hours=hour))).step()

    async def kept(days: int) -> list[datetime]:
        await Counting(pool, FrozenClock(NOON + timedelta(days=days))).step()
        return [row["at"] for row in await pool.fetch("SELECT at FROM segment_samples ORDER BY at")]

    fine = counting.FINE_FOR.days
    assert await kept(fine) == [NOON + timedelta(hours=hours) for hours in (0, 6, 30, 31, 54, 24 * fine)]
    days = [NOON + timedelta(hours=hours) for hours in (0, 30, 54, 24 * fine)]
    assert await kept(fine + 3) == [*days, NOON + timedelta(days=fine + 3)]
    far = counting.DAILY_FOR.days + 1
    assert await kept(far) == [*days[1:], NOON + timedelta(days=fine + 3), NOON + timedelta(days=far)]


async def test_two_processes_fold_each_row_once(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    one, other = (Counting(pool, FrozenClock(NOON)) for _ in range(2))
    await put(pool, [("a", "vip")])
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", counting.ONE_FOLDS_AT_A_TIME)
        await one.step()  # somebody else is at it: it does not wait
        assert await pool.fetchval("SELECT count(*) FROM segment_moves") == 1
    await one.step()
    await other.step()
    assert await counted(client, keys["shop"]) == {"vip": 1}


async def test_everybody_in_a_segment_as_a_file(
    pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ROWS_AT_A_TIME", 3)
    names = ['a,"b"', *(f"c{n}" for n in range(5))]  # six: the last page is full
    await put(pool, [(name, "vip") for name in names])
    answer = await client.get("/v1/segments/vip/export", headers=keys["shop"])
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="vip.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["customer_id"] for row in rows] == names
    assert rows[0] == {"customer_id": 'a,"b"', "since": "2026-05-01T12:00:00Z", "reason": "a reason"}
    answer = await client.get("/v1/segments/vip/export?format=ndjson", headers=keys["shop"])
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == rows
    assert (await client.get("/v1/segments/mine/export", headers=keys["shop"])).text == "customer_id,since,reason\r\n"


async def test_what_segments_share(pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys) -> None:
    of_segments = {"vip": "abcd", "mine": "bce", "prospect": "cef"}
    await put(pool, [(name, segment) for segment, names in of_segments.items() for name in names])
    answer = await client.get("/v1/segments/overlap?segments=vip,mine,prospect", headers=keys["shop"])
    assert {tuple(one["segments"]): (one["customers"], one["only"]) for one in answer.json()} == {
        ("vip",): (4, 2),
        ("mine",): (3, 0),
        ("prospect",): (3, 1),
        ("vip", "mine"): (2, 1),
        ("vip", "prospect"): (1, 0),
        ("mine", "prospect"): (2, 1),
        ("vip", "mine", "prospect"): (1, 1),
    }


@pytest.mark.parametrize(
    ("key", "path", "status", "title"),
    [
        ("shop", "/v1/segments/overlap", 422, "Invalid request"),
        ("shop", "/v1/segments/overlap?segments=vip", 422, "Invalid request"),
        ("shop", "/v1/segments/overlap?segments=vip,vip", 422, "Invalid request"),
        ("shop", "/v1/segments/overlap?segments=vip,nowhere", 404, "Unknown segment"),
        ("other", "/v1/segments/overlap?segments=vip,prospect", 404, "Unknown segment"),
        ("shop", "/v1/segments/nowhere/export", 404, "Unknown segment"),
        ("shop", "/v1/segments/vip/export?format=xlsx", 422, "Invalid request"),
        ("shop", "/v1/segments/nowhere/counts", 404, "Unknown segment"),
        ("shop", "/v1/segments/vip/counts?since=yesterday", 422, "Invalid request"),
        ("shop", "/v1/segments/vip/counts?since=2026-05-01T12:00:00", 422, "Invalid request"),
        ("shop", "/v1/segments/vip/counts?until=0001-01-01T00:00:00%2B14:00", 422, "Invalid request"),
        ("shop", "/v1/segments/vip/counts?cursor=x", 400, "Bad cursor"),
        ("ingest", "/v1/segments/vip/export", 403, "Forbidden"),
        ("gone", "/v1/segments/overlap?segments=vip,mine", 403, "Unknown shop"),
    ],
)
async def test_what_goes_wrong_is_a_problem(
    client: httpx.AsyncClient, keys: Keys, key: str, path: str, status: int, title: str
) -> None:
    answer = await client.get(path, headers=keys[key])
    assert (answer.status_code, answer.json()["title"]) == (status, title), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_nobody_reads_without_a_key(client: httpx.AsyncClient) -> None:
    for path in ("", "/vip/members", "/vip/export", "/vip/counts", "/overlap?segments=vip,mine"):
        assert (await client.get(f"/v1/segments{path}")).status_code == 401
