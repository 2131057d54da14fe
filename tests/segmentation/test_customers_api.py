"""What segmentation answers about one customer: in full, why it is somewhere, its timeline; and about models."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest

from common.clock import Clock
from common.contracts.ingest import CustomerErased, CustomerMerged, CustomerSplit, CustomerUpdated, OrderPaid, Visit
from common.money import Money
from common.settings import Settings
from common.shops import Shop
from common.web.app import create_app
from common.web.auth import KeyRing
from segmentation.api import router
from segmentation.app import service
from segmentation.customers import queries
from segmentation.customers.queries import FAMILY
from segmentation.customers.told import FACTS
from segmentation.domain.models.lifecycle import Thresholds
from segmentation.domain.profile.records import MAX_RECORDS
from segmentation.domain.rules.rule import Segment
from segmentation.models import queries as model_queries
from segmentation.presets.segment_files import parse_segments
from tests.books import book
from tests.laws.streams import event
from tests.segmentation import telling

SHOPS: Mapping[str, Shop] = {"shop": Shop("shop", "Asia/Shanghai", "CNY", "en")}
THRESHOLDS = Thresholds(
    currency="CNY",
    repeat_from=2,
    loyal_from=3,
    stimulate_from=timedelta(days=15),
    winback_from=timedelta(days=60),
    lost_from=timedelta(days=180),
)
SEGMENTS = """
- segment: lookers
  names: {en: Lookers, zh-CN: 浏览}
  in: {count: visit, over: 7d, op: gte, value: 2}
- segment: good
  names: {en: Good ones, zh-CN: 好}
  in:
    any:
      - {segment: lookers}
      - {field: lifecycle, op: in, value: [repeat, loyal]}
- segment: lookers_who_buy
  names: {en: Lookers who buy, zh-CN: 买}
  in:
    all:
      - {segment: lookers}
      - {count: purchase, op: gte, value: 1}
      - {field: activity, op: eq, value: active}
"""
KNOWN = tuple(one for one in parse_segments(SEGMENTS, ZoneInfo("Asia/Shanghai")) if isinstance(one, Segment))
BOOKS = {"shop": book("shop", THRESHOLDS, KNOWN)}
SERVICE = service(BOOKS)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)"
# Of years: what every customer was told already, often, an hour after the other.
MANY_FACTS = """
INSERT INTO outbox (topic, part, key, body) SELECT topic, part, key, convert_to(
    jsonb_set(convert_from(body, 'UTF8')::jsonb, '{time}', to_jsonb('2026-06-01Z'::timestamptz + n * interval '1h')
    )::text, 'UTF8') FROM outbox, generate_series(1, 50) AS n WHERE topic = 'segmentation.memberships.v1' ORDER BY n
"""
Keys = Mapping[str, dict[str, str]]
tell = partial(telling.tell, SERVICE)


class Movable(Clock):
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Movable:
    return Movable()


@pytest.fixture
async def client(
    pool: asyncpg.Pool, settings: Settings, keys: Keys, clock: Movable
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may read."""
    app = create_app("test", [router(pool, SHOPS, BOOKS, clock)], {}, settings.body_max_bytes)
    app.state.key_ring = KeyRing(pool)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://test", headers=keys["shop"]
    ) as client:
        yield client


async def got(client: httpx.AsyncClient, path: str, **params: str | int) -> dict[str, Any]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def paid(number: int, customer: str, at: datetime, order_id: str = "o1") -> Any:
    return event(number, customer, OrderPaid(order_id, Money(129_00, "CNY")), at)


async def test_every_membership_with_its_reason_and_its_end(
    pool: asyncpg.Pool, client: httpx.AsyncClient, clock: Movable
) -> None:
    await tell(pool, event(1, "ann", Visit(item_id="i"), NOON), event(2, "ann", Visit(), NOON + DAY))
    await tell(
        pool, paid(3, "ann", NOON + 2 * DAY), event(4, "ann", CustomerUpdated(tags_added=("vip",)), NOON + 2 * DAY)
    )
    clock.at = NOON + 3 * DAY
    ann = await got(client, "/v1/customers/ann")
    assert {one["segment"]: (one["name"], one["since"], one["next_change_at"]) for one in ann["memberships"]} == {
        "good": ("Good ones", "2026-05-02T12:00:00Z", "2026-05-08T12:00:00Z"),
        "lookers": ("Lookers", "2026-05-02T12:00:00Z", "2026-05-08T12:00:00Z"),
        "lookers_who_buy": ("Lookers who buy", "2026-05-03T12:00:00Z", "2026-05-08T12:00:00Z"),
        "new-active": ("New · active", "2026-05-03T12:00:00Z", "2026-05-18T12:00:00Z"),
    }
    assert {one["segment"]: one["reason"] for one in ann["memberships"]}["lookers_who_buy"] == "purchase o1"
    assert ann["models"] == [
        {
            "model": "lifecycle",
            "facts": {"lifecycle": "new", "activity": "active"},
            "until": "2026-05-18T12:00:00Z",
        }
    ]
    assert (
        ann["facts"].items() >= {"lifecycle": "new", "tags": ["vip"], "first_seen_at": "2026-05-01T12:00:00Z"}.items()
    )
    assert (ann["exact_from"], ann["lists"]) == ({}, [])


async def test_what_was_dropped_is_said(pool: asyncpg.Pool, client: httpx.AsyncClient) -> None:
    hour = timedelta(hours=1)
    await tell(pool, *(event(n, "ann", Visit(), NOON + n * hour) for n in range(MAX_RECORDS + 3)))
    last = (NOON + 2 * hour).isoformat().replace("+00:00", "Z")
    assert (await got(client, "/v1/customers/ann"))["exact_from"] == {"visit": last}
    page = await got(client, "/v1/customers/ann/timeline", limit=1)
    first = "2026-05-01T12:00:00Z"
    assert page["earlier"] == [{"type": "visit", "events": 3, "first_at": first, "last_at": last}]


async def test_why_shows_what_holds_and_what_does_not(
    pool: asyncpg.Pool, client: httpx.AsyncClient, clock: Movable
) -> None:
    await tell(pool, *(event(n, "ann", Visit(), NOON + n * timedelta(hours=1)) for n in range(3)))
    clock.at = NOON + DAY
    why = await got(client, "/v1/customers/ann/why", segment="lookers_who_buy")
    assert (
        why.items()
        >= {
            "customer_id": "ann",
            "segment": "lookers_who_buy",
            "name": "Lookers who buy",
            "version": 1,
            "holds": False,
            "told": None,
            "next_change_at": None,  # by time alone nobody comes to have bought
        }.items()
    )
    looks, buys, _ = why["rule"]["parts"]
    assert (looks["asked"], looks["holds"], looks["until"]) == ("segment lookers", True, "2026-05-08T13:00:00Z")
    assert (buys["holds"], buys["found"], buys["settles"]) == (False, 0, True)
    why = await got(client, "/v1/customers/ann/why", segment="lookers")
    assert (why["holds"], why["next_change_at"]) == (True, "2026-05-08T13:00:00Z")
    assert [one["at"] for one in why["rule"]["events"]] == [f"2026-05-01T{hour}:00:00Z" for hour in (12, 13, 14)]
    assert why["told"] == {
        "segment": "lookers",
        "name": "Lookers",
        "since": "2026-05-01T13:00:00Z",
        "reason": why["told"]["reason"],
        "next_change_at": "2026-05-08T13:00:00Z",
    }


async def test_why_a_cell_of_the_grid(pool: asyncpg.Pool, client: httpx.AsyncClient, clock: Movable) -> None:
    await tell(pool, paid(1, "ann", NOON))
    clock.at = NOON + DAY
    why = await got(client, "/v1/customers/ann/why", segment="new-active")
    assert (why["holds"], why["next_change_at"]) == (True, "2026-05-16T12:00:00Z")
    assert [part["found"] for part in why["rule"]["parts"]] == ["new", "active"]
    assert (await got(client, "/v1/customers/ann/why", segment="prospect"))["holds"] is False


async def test_why_asks_what_is_due_and_not_decided_yet_and_leaves_all_as_it_is(
    pool: asyncpg.Pool, client: httpx.AsyncClient, clock: Movable
) -> None:
    await tell(pool, event(1, "ann", Visit(), NOON), event(2, "ann", Visit(), NOON), paid(3, "ann", NOON))
    before = await pool.fetchval("SELECT body::text FROM states")
    clock.at = NOON + 7 * DAY - timedelta(microseconds=1)
    assert (await got(client, "/v1/customers/ann/why", segment="lookers"))["holds"] is True
    clock.at = NOON + 7 * DAY
    why = await got(client, "/v1/customers/ann/why", segment="lookers")
    assert (why["holds"], why["told"]["since"], why["rule"]["found"]) == (False, "2026-05-01T12:00:00Z", 0)
    clock.at = NOON + 15 * DAY
    why = await got(client, "/v1/customers/ann/why", segment="new-stimulate")
    assert (why["holds"], why["told"]) == (True, None)
    assert await pool.fetchval("SELECT body::text FROM states") == before


async def test_who_is_forgotten_is_in_nothing_but_its_cell(
    pool: asyncpg.Pool, client: httpx.AsyncClient, clock: Movable
) -> None:
    await tell(pool, paid(1, "ann", NOON, "a"), paid(2, "ann", NOON, "b"))
    assert (await got(client, "/v1/customers/ann/why", segment="good"))["holds"] is True
    await tell(pool, event(3, "ann", CustomerErased(), NOON + DAY))
    clock.at = NOON + 2 * DAY
    assert (await got(client, "/v1/customers/ann/why", segment="good"))["holds"] is False
    assert [one["segment"] for one in (await got(client, "/v1/customers/ann"))["memberships"]] == ["repeat-active"]


async def test_the_timeline_of_who_is_forgotten_begins_anew(pool: asyncpg.Pool, client: httpx.AsyncClient) -> None:
    await tell(pool, paid(1, "ann", NOON, "a"), paid(2, "ann", NOON, "b"))
    assert (await got(client, "/v1/customers/ann/timeline"))["items"]
    await tell(pool, event(3, "ann", CustomerErased(), NOON + DAY))
    told = [one for one in (await got(client, "/v1/customers/ann/timeline"))["items"] if one["told"]]
    assert told == []
    await tell(pool, event(4, "ann", Visit(), NOON + 2 * DAY), event(5, "ann", Visit(), NOON + 2 * DAY))
    told = [one for one in (await got(client, "/v1/customers/ann/timeline"))["items"] if one["told"]]
    assert {one["at"][:10] for one in told} == {"2026-05-03"}


async def test_the_timeline_has_what_happened_and_what_was_told(pool: asyncpg.Pool, client: httpx.AsyncClient) -> None:
    await tell(pool, event(1, "ann", Visit(item_id="mug"), NOON), event(2, "bob", Visit(), NOON))
    await tell(pool, event(3, "ann", Visit(), NOON + 2 * DAY))
    await tell(pool, paid(4, "ann", NOON + DAY))  # late: it stands at the time it was received
    page = await got(client, "/v1/customers/ann/timeline")
    shown = [(one["at"][:10], one["type"], one["told"]) for one in page["items"]]
    days = ["2026-05-01", "2026-05-02", "2026-05-03"]
    assert shown[-2:] == [(days[0], "lifecycle.changed", True), (days[0], "visit", False)]
    assert (days[1], "purchase", False) in shown
    assert (days[2], "segment.entered", True) in shown
    assert [at for at, *_ in shown] == sorted((at for at, *_ in shown), reverse=True)
    assert page["items"][-1]["about"] == {"item": "mug"}
    assert next(one["about"] for one in page["items"] if one["type"] == "segment.entered")["segment"]
    assert (page["next"], page["earlier"]) == (None, [])
    for limit in (1, 2, 3):
        paged: list[Any] = []
        params: dict[str, str | int] = {"limit": limit}
        while True:
            part = await got(client, "/v1/customers/ann/timeline", **params)
            assert len(part["items"]) <= limit
            paged += part["items"]
            if part["next"] is None:
                break
            params["cursor"] = part["next"]
        assert paged == page["items"]


async def test_ids_that_end_like_routes(pool: asyncpg.Pool, client: httpx.AsyncClient) -> None:
    names = ["a", "a/why", "a/timeline", "a/b"]
    await tell(pool, *(event(n, name, Visit(), NOON) for n, name in enumerate(names)))
    for name, path in zip(names, ("a", "a%2Fwhy", "a%2ftimeline", "a/b"), strict=True):
        assert (await got(client, f"/v1/customers/{path}"))["customer_id"] == name
        assert (await got(client, f"/v1/customers/{path}/why", segment="prospect"))["customer_id"] == name
        assert len((await got(client, f"/v1/customers/{path}/timeline"))["items"]) == 2


async def test_who_was_merged_is_asked_about_as_who_lives_on(pool: asyncpg.Pool, client: httpx.AsyncClient) -> None:
    await tell(pool, paid(1, "ann", NOON, "a"), paid(2, "bob", NOON, "b"))
    await tell(pool, event(3, "ann", CustomerMerged("bob"), NOON + timedelta(hours=1)))
    why = await got(client, "/v1/customers/ann/why", segment="good")
    assert (why["customer_id"], why["holds"]) == ("bob", True)
    shown = (await got(client, "/v1/customers/ann/timeline"))["items"]
    assert {one["id"] for one in shown if one["type"] == "purchase"} == {"a", "b"}


async def facts_of(client: httpx.AsyncClient, customer_id: str, limit: int = 500) -> list[tuple[str, str, str]]:
    """All that was told of it, page by page: of which id, when, what."""
    found: list[tuple[str, str, str]] = []
    page = await got(client, f"/v1/customers/{customer_id}/timeline", limit=limit)
    while True:
        found += [(one["told_of"], one["at"], one["type"]) for one in page["items"] if one["told"]]
        if page["next"] is None:
            return found
        page = await got(client, f"/v1/customers/{customer_id}/timeline", limit=limit, cursor=page["next"])


async def test_what_was_told_of_merged_ids_is_told_of_who_lives_on_until_a_split(
    pool: asyncpg.Pool, client: httpx.AsyncClient
) -> None:
    """In the order of times, though the oldest was written last."""
    await tell(pool, paid(1, "bob", NOON + DAY, "b"), event(2, "bob", Visit(), NOON + 3 * DAY))
    await tell(pool, paid(3, "ann", NOON, "a"), paid(4, "ann", NOON + 2 * DAY, "a2"))
    await tell(pool, event(5, "cid", Visit(), NOON - DAY))
    before = {name: await facts_of(client, name) for name in ("ann", "bob", "cid")}
    assert {name: {of for of, *_ in told} for name, told in before.items()} == {name: {name} for name in before}
    await tell(pool, event(6, "cid", CustomerMerged("ann"), NOON + 4 * DAY))
    await tell(pool, event(7, "ann", CustomerMerged("bob"), NOON + 4 * DAY))
    merged = await facts_of(client, "bob")
    assert [at for _, at, _ in merged] == sorted((at for _, at, _ in merged), reverse=True)
    assert set(merged) >= {fact for told in before.values() for fact in told}
    for name, limit in (("cid", 1), ("bob", 1), ("bob", 3)):
        assert await facts_of(client, name, limit) == merged
    await tell(pool, event(8, "ann", CustomerSplit("bob"), NOON + 5 * DAY))
    assert {of for of, *_ in await facts_of(client, "bob")} == {"bob"}
    assert set(await facts_of(client, "ann")) >= {*before["ann"], *before["cid"]}


async def test_what_was_told_of_an_id_before_it_was_erased_comes_back_with_no_merge(
    pool: asyncpg.Pool, client: httpx.AsyncClient
) -> None:
    await tell(pool, paid(1, "ann", NOON, "a"), paid(2, "bob", NOON, "b"))
    await tell(pool, event(3, "ann", CustomerErased(), NOON + DAY))
    await tell(pool, event(4, "ann", CustomerMerged("bob"), NOON + 2 * DAY))
    assert {of for of, *_ in await facts_of(client, "bob")} == {"bob"}


async def test_facts_of_one_time_are_told_once_each_however_they_are_cut_into_pages(
    pool: asyncpg.Pool, client: httpx.AsyncClient
) -> None:
    """Of a chain of ids: within one, and across them, a page may end between facts of one time."""
    names = ["ann", "bob", "cid", "dan"]
    for n, name in enumerate(names):
        await tell(pool, event(n, name, Visit(), NOON), event(10 + n, name, Visit(), NOON), paid(20 + n, name, NOON))
    for n, (name, into) in enumerate(pairwise(names)):
        await tell(pool, event(30 + n, name, CustomerMerged(into), NOON))
    once = await facts_of(client, "dan")
    rows = await pool.fetch("SELECT key FROM outbox WHERE topic = 'segmentation.memberships.v1'")
    assert Counter(f"shop/{of}" for of, *_ in once) == Counter(row["key"] for row in rows)
    assert {at for _, at, _ in once} == {"2026-05-01T12:00:00Z"}
    for limit in (1, 3):
        assert await facts_of(client, "ann", limit) == once


async def test_a_page_is_of_one_moment(
    pool: asyncpg.Pool, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is erased while it is put together is shown as before in all, or not at all."""
    await tell(pool, paid(1, "ann", NOON, "a"), paid(2, "ann", NOON, "b"))
    before = await got(client, "/v1/customers/ann/timeline")
    family = queries.family

    async def erased_meanwhile(*asked: Any) -> dict[str, datetime | None]:
        await tell(pool, event(3, "ann", CustomerErased(), NOON + DAY))
        return await family(*asked)

    monkeypatch.setattr(queries, "family", erased_meanwhile)
    assert await got(client, "/v1/customers/ann/timeline") == before
    monkeypatch.undo()
    assert await facts_of(client, "ann") == []


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


async def test_a_timeline_looks_at_no_facts_but_its_own_and_sorts_no_more_than_a_page_of_each_id(
    pool: asyncpg.Pool,
) -> None:
    ids, page = 5, 7
    await tell(pool, *(event(n, f"c{n}", Visit(), NOON) for n in range(300)))
    await tell(pool, *(event(300 + n, f"c{n}", CustomerMerged("c0"), NOON) for n in range(1, ids)))
    await pool.execute(MANY_FACTS)
    await pool.execute("ANALYZE")
    keys = [f"shop/c{n}" for n in range(ids)]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")  # the tables are small: is there another way?
        family = await connection.fetchval(f"{EXPLAIN} {FAMILY}", "shop", "c0")
        facts = await connection.fetchval(f"{EXPLAIN} {FACTS}", keys, [None] * ids, None, None, page)
    for plan, index in ((family, "merged_into"), (family, "states_pkey"), (facts, "outbox_of_customer")):
        assert index in plan, plan
        assert "Seq Scan" not in plan, plan
    plan = json.loads(facts)[0]["Plan"]
    sorts = [one["Plans"][0] for one in nodes(plan) if "Sort" in one["Node Type"]]
    assert sorts, facts
    for one in (*sorts, *(one for one in nodes(plan) if one.get("Index Name") == "outbox_of_customer")):
        assert one["Actual Rows"] * one["Actual Loops"] <= ids * page, facts
        assert not one.get("Rows Removed by Filter"), facts


async def test_models_with_their_thresholds_and_how_they_are_spread(
    pool: asyncpg.Pool, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers = [f"c{number}" for number in range(30)]
    await tell(pool, *(event(n, name, Visit(), NOON) for n, name in enumerate(customers)))
    await tell(pool, *(paid(n, name, NOON) for n, name in enumerate(customers[:10])))
    await tell(pool, event(99, "c29", CustomerMerged("c28"), NOON))
    found = await got(client, "/v1/models")
    assert (found["customers"], found["sampled"]) == (29, 29)
    (lifecycle,) = found["models"]
    assert (lifecycle["model"], lifecycle["facts"]) == ("lifecycle", ["lifecycle", "activity"])
    assert "purchase" in lifecycle["reads"]
    assert lifecycle["definition"]["activity"].items() >= {"stimulate": 15, "winback": 60, "lost": 180}.items()
    assert lifecycle["spread"]["lifecycle"]["values"] == {"prospect": 19, "new": 10}
    assert lifecycle["spread"]["activity"] == {"known": 10, "values": {"active": 10}, "percentiles": None}
    monkeypatch.setattr(model_queries, "SAMPLED", 28)  # a sample of pages, of which there are few here
    sampled = await got(client, "/v1/models")
    assert sampled["customers"] == 29
    assert 0 <= sampled["sampled"] <= 29


@pytest.mark.parametrize(
    ("key", "path", "status", "title"),
    [
        ("shop", "/v1/customers/nobody/why?segment=good", 404, "Unknown customer"),
        ("shop", "/v1/customers/ann/why?segment=nowhere", 404, "Unknown segment"),
        ("shop", "/v1/customers/ann/why", 422, "Invalid request"),
        ("shop", "/v1/customers/ann/why?segment=", 422, "Invalid request"),
        ("shop", "/v1/customers/nobody/timeline", 404, "Unknown customer"),
        ("shop", "/v1/customers/ann/timeline?cursor=x", 400, "Bad cursor"),
        ("shop", "/v1/customers/ann/timeline?limit=0", 422, "Invalid request"),
        ("ingest", "/v1/customers/ann/why?segment=good", 403, "Forbidden"),
        ("ingest", "/v1/customers/ann/timeline", 403, "Forbidden"),
        ("ingest", "/v1/models", 403, "Forbidden"),
        ("gone", "/v1/models", 403, "Unknown shop"),
    ],
)
async def test_what_goes_wrong_is_a_problem(
    pool: asyncpg.Pool, client: httpx.AsyncClient, keys: Keys, key: str, path: str, status: int, title: str
) -> None:
    await tell(pool, event(1, "ann", Visit(), NOON))
    answer = await client.get(path, headers=keys[key])
    assert (answer.status_code, answer.json()["title"]) == (status, title)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_nobody_reads_without_a_key(client: httpx.AsyncClient) -> None:
    for path in ("/v1/customers/ann/why?segment=good", "/v1/customers/ann/timeline", "/v1/models"):
        assert (await client.get(path, headers={"Authorization": ""})).status_code == 401
