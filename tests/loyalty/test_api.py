"""Loyalty's answers over HTTP."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.contracts.ingest import CustomerMerged, CustomerSplit, OrderCancelled, OrderCompleted, OrderRefunded, Visit
from common.money import Money
from common.web.paging import encode_cursor
from tests.laws.streams import event
from tests.loyalty.conftest import Tell

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NUL = encode_cursor(["\0"])
HOUR = timedelta(hours=1)
SOUND = {
    "postings": 0,
    "points_issued": 0,
    "points_reversed": 0,
    "points_in_transit": 0,
    "balances": 0,
    "differences": [],
}

Keys = Mapping[str, dict[str, str]]


def cny(amount_minor: int) -> Money:
    return Money(amount_minor, "CNY")


async def test_an_account_in_full(tell: Tell, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(
        event(1, "ann", OrderCompleted("a", cny(60_050)), NOON),
        event(2, "ann", OrderCompleted("b", cny(99)), NOON + HOUR),
        event(3, "ann", OrderRefunded("a", "r1", cny(10_000)), NOON + 2 * HOUR),
    )
    answer = await client.get("/v1/accounts/ann", headers=keys["shop"])
    assert answer.status_code == 200
    assert answer.json() == {
        "customer_id": "ann",
        "points": 500,
        "tier": "silver",
        "spend_minor": 50_149,
        "window_days": 365,
        "currency": "CNY",
        "next_review_at": "2026-06-30T16:00:00Z",
        "as_of": "2026-05-10T12:00:00Z",
        "statement": {
            "items": [
                {
                    "posting_id": "00000002",
                    "at": "2026-05-01T14:00:00Z",
                    "points": -100,
                    "balance": 500,
                    "order_id": "a",
                    "reason": "order refunded or cancelled",
                },
                {
                    "posting_id": "00000001",
                    "at": "2026-05-01T12:00:00Z",
                    "points": 600,
                    "balance": 600,
                    "order_id": "a",
                    "reason": "order completed",
                },
            ],
            "next": None,
        },
    }


async def test_spend_is_that_of_the_moment_asked_at(tell: Tell, client: httpx.AsyncClient, keys: Keys) -> None:
    """As of 10 May 2026 12:00, spend of 10 May 2025 12:00 is just out of the window; nothing was told in between."""
    year_ago = datetime(2025, 5, 10, 12, tzinfo=UTC)
    await tell(
        event(1, "ann", OrderCompleted("a", cny(1_000)), year_ago),
        event(2, "ann", OrderCompleted("b", cny(200)), year_ago + timedelta(seconds=1)),
    )
    answer = (await client.get("/v1/accounts/ann", headers=keys["shop"])).json()
    assert (answer["points"], answer["spend_minor"]) == (12, 200)


async def test_the_statement_comes_page_by_page(tell: Tell, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(*(event(n, "ann", OrderCompleted(f"o{n}", cny(100 * n)), NOON + n * HOUR) for n in range(1, 6)))
    pages: list[list[int]] = []
    cursor: str | None = None
    while True:
        query: dict[str, str | int] = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        answer = (await client.get("/v1/accounts/ann", headers=keys["shop"], params=query)).json()
        pages.append([entry["points"] for entry in answer["statement"]["items"]])
        cursor = answer["statement"]["next"]
        if cursor is None:
            break
    assert pages == [[5, 4], [3, 2], [1]]


async def test_an_account_begins_with_a_completed_order(tell: Tell, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(
        event(1, "visitor", Visit(), NOON),
        event(2, "refunded", OrderRefunded("a", "r1", cny(100)), NOON),
        event(3, "cancelled", OrderCancelled("b"), NOON),
        event(4, "cancelled", OrderCompleted("b", cny(100)), NOON),
        event(5, "small", OrderCompleted("c", cny(99)), NOON),
    )
    for name in ("visitor", "refunded", "cancelled", "nobody"):
        answer = await client.get(f"/v1/accounts/{name}", headers=keys["shop"])
        assert (answer.status_code, answer.json()["title"]) == (404, "Unknown account")
    small = (await client.get("/v1/accounts/small", headers=keys["shop"])).json()
    assert (small["points"], small["tier"], small["next_review_at"]) == (0, "ordinary", None)
    assert small["statement"] == {"items": [], "next": None}
    assert (await client.get("/v1/tiers", headers=keys["shop"])).json()["accounts"] == 1


async def test_tiers_are_counted_per_shop(tell: Tell, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(
        event(1, "ann", OrderCompleted("a", cny(100)), NOON),
        event(2, "bob", OrderCompleted("b", cny(200_000)), NOON),
        event(3, "ann", OrderCompleted("a", Money(500_000, "BRL")), NOON, shop_id="other"),
    )
    assert (await client.get("/v1/tiers", headers=keys["shop"])).json() == {
        "accounts": 2,
        "tiers": {"ordinary": 1, "silver": 0, "gold": 1, "diamond": 0},
    }
    assert (await client.get("/v1/tiers", headers=keys["other"])).json() == {
        "accounts": 1,
        "tiers": {"ordinary": 0, "silver": 0, "gold": 0, "diamond": 1},
    }
    assert (await client.get("/v1/accounts/bob", headers=keys["other"])).status_code == 404
    await tell(event(4, "ann", OrderCompleted("c", cny(49_900)), NOON + HOUR))
    moved = (await client.get("/v1/tiers", headers=keys["shop"])).json()["tiers"]
    assert (moved["ordinary"], moved["silver"]) == (0, 1)


async def test_the_audit_adds_up(tell: Tell, client: httpx.AsyncClient, keys: Keys) -> None:
    assert await audit(client, keys["shop"]) == SOUND
    await tell(
        event(1, "ann", OrderCompleted("a", cny(1_000)), NOON),
        event(2, "ann", OrderCancelled("a"), NOON),
        event(3, "bob", OrderCompleted("b", cny(700)), NOON),
        event(4, "bob", OrderCompleted("b", Money(900, "BRL")), NOON, shop_id="other"),
    )
    assert await audit(client, keys["shop"]) == SOUND | {
        "postings": 3,
        "points_issued": 17,
        "points_reversed": 10,
        "balances": 7,
    }


async def test_two_accounts_of_one_person_are_one(tell: Tell, client: httpx.AsyncClient, keys: Keys) -> None:
    await tell(
        event(1, "ann", OrderCompleted("a", cny(60_000)), NOON),
        event(2, "bob", OrderCompleted("b", cny(700)), NOON),
        event(3, "ann", CustomerMerged("bob"), NOON + HOUR),
    )
    for name in ("ann", "bob"):
        account = (await client.get(f"/v1/accounts/{name}", headers=keys["shop"])).json()
        assert (account["customer_id"], account["points"], account["tier"]) == ("bob", 607, "silver")
        assert account["spend_minor"] == 60_700
    account = (await client.get("/v1/accounts/bob", headers=keys["shop"])).json()
    assert account["statement"]["items"][0] == {
        "posting_id": "00000002",
        "at": "2026-05-01T13:00:00Z",
        "points": 600,
        "balance": 607,
        "order_id": None,
        "reason": "two customers are one",
    }
    tiers = (await client.get("/v1/tiers", headers=keys["shop"])).json()
    assert (tiers["accounts"], tiers["tiers"]["silver"]) == (1, 1)
    sound = SOUND | {"postings": 4, "points_issued": 607, "balances": 607}
    assert await audit(client, keys["shop"]) == sound
    await tell(event(4, "ann", CustomerSplit("bob"), NOON + 2 * HOUR))
    assert [
        (await client.get(f"/v1/accounts/{name}", headers=keys["shop"])).json()["points"] for name in ("ann", "bob")
    ] == [600, 7]
    assert (await client.get("/v1/tiers", headers=keys["shop"])).json()["accounts"] == 2
    assert await audit(client, keys["shop"]) == sound | {"postings": 6}


async def test_points_on_their_way_are_seen(
    tell: Tell, client: httpx.AsyncClient, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(event(1, "ann", OrderCompleted("a", cny(700)), NOON))
    with monkeypatch.context() as lost:
        lost.setattr("common.decision.Aggregate._hand_over", lambda *_, **__: None)
        await tell(event(2, "ann", CustomerMerged("bob"), NOON))
    assert await audit(client, keys["shop"]) == SOUND | {"postings": 2, "points_issued": 7, "points_in_transit": 7}


@pytest.mark.parametrize(
    ("damage", "difference"),
    [
        ("UPDATE accounts SET balance = 8", {"customer_id": "ann", "balance": 8, "posted": 7}),
        ("DELETE FROM accounts", {"customer_id": "ann", "balance": None, "posted": 7}),
        ("DELETE FROM postings", {"customer_id": "ann", "balance": 7, "posted": 0}),
        ("UPDATE postings SET points = 6", {"customer_id": "ann", "balance": 7, "posted": 6}),
    ],
)
async def test_the_audit_names_who_differs(
    tell: Tell, client: httpx.AsyncClient, keys: Keys, pool: asyncpg.Pool, damage: str, difference: dict[str, Any]
) -> None:
    await tell(event(1, "ann", OrderCompleted("a", cny(700)), NOON))
    await pool.execute(damage)
    assert (await audit(client, keys["shop"]))["differences"] == [difference]


async def audit(client: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get("/v1/ledger/audit", headers=headers)).json()
    return answer


@pytest.mark.parametrize(
    ("key", "path", "status", "title"),
    [
        ("shop", "/v1/accounts/ann?cursor=x", 400, "Bad cursor"),
        ("shop", "/v1/accounts/ann?limit=0", 422, "Invalid request"),
        ("shop", "/v1/accounts/%00", 422, "Invalid request"),
        ("shop", f"/v1/accounts/ann?cursor={NUL}", 400, "Bad cursor"),
        ("ingest", "/v1/accounts/ann", 403, "Forbidden"),
        ("ingest", "/v1/ledger/audit", 403, "Forbidden"),
        ("gone", "/v1/tiers", 403, "Unknown shop"),
        ("gone", "/v1/accounts/ann", 403, "Unknown shop"),
    ],
)
async def test_what_goes_wrong_is_a_problem(
    client: httpx.AsyncClient, keys: Keys, key: str, path: str, status: int, title: str
) -> None:
    answer = await client.get(path, headers=keys[key])
    assert (answer.status_code, answer.json()["title"]) == (status, title)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_nobody_reads_without_a_key(client: httpx.AsyncClient) -> None:
    for path in ("/v1/accounts/ann", "/v1/tiers", "/v1/ledger/audit"):
        assert (await client.get(path)).status_code == 401
