"""Who may ask ingest for what: keys and scopes, imports, the list of refused events, the vault."""

import json
from typing import Any

import httpx
import pytest

from common.settings import Settings
from common.web.paging import encode_cursor
from ingest.vault import Vault
from tests.ingest.conftest import MASTER_KEY, Keys, assert_problem, open_ingest, rows_of, settings_for, visit

# fmt: off
FORBIDDEN: list[tuple[str | None, str, str, int, str, str]] = [
    (None, "POST", "/v1/events", 401, "Unauthorized", "Authorization: Bearer"),
    ("reader", "POST", "/v1/events", 403, "Forbidden", "lacks the scope 'ingest'"),
    ("house", "POST", "/v1/events", 403, "Forbidden", "lacks the scope 'ingest'"),
    ("gone", "POST", "/v1/events", 403, "Unknown shop", "'gone' is not among the shops"),
    ("sender", "POST", "/v1/events?historic=true", 403, "Forbidden", "needs the scope 'operate'"),
    (None, "GET", "/v1/events/refused", 401, "Unauthorized", "Authorization: Bearer"),
    ("sender", "GET", "/v1/events/refused", 403, "Forbidden", "lacks the scope 'operate'"),
    ("reader", "GET", "/v1/events/refused", 403, "Forbidden", "lacks the scope 'operate'"),
    (None, "POST", "/internal/vault/contacts", 401, "Unauthorized", "Authorization: Bearer"),
    ("operator", "POST", "/internal/vault/contacts", 403, "Forbidden", "lacks the scope 'internal'"),
    ("admin", "POST", "/internal/vault/contacts", 403, "Forbidden", "lacks the scope 'internal'"),
    ("sender", "POST", "/v1/event", 404, "Not Found", "Not Found"),
    ("sender", "DELETE", "/v1/events", 405, "Method Not Allowed", "Method Not Allowed"),
]
# fmt: on


async def test_who_may_not(settings: Settings, keys: Keys) -> None:
    wanted = {"shop_id": "shop", "customer_ids": ["ann"], "fields": ["phone"]}
    async with open_ingest(settings) as (pool, client, _):
        for key, method, path, status, title, detail in FORBIDDEN:
            body = (wanted if "vault" in path else visit("e1")) if method == "POST" else None
            answer = await client.request(method, path, headers=keys[key] if key else {}, json=body)
            assert detail in assert_problem(answer, status, title)
        assert await rows_of(pool) == []


async def test_a_key_that_is_none(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as (_, client, _):
        for headers in (
            {"X-API-Key": "rk_00000000_" + "x" * 43},
            {"Authorization": "Bearer no"},
            {"Authorization": "Basic x"},
        ):
            answer = await client.post("/v1/events", json=visit("e1"), headers=headers)
            assert_problem(answer, 401, "Unauthorized")
            assert answer.headers["www-authenticate"] == 'Bearer realm="regulars"'


async def test_an_import_needs_who_operates(settings: Settings, keys: Keys) -> None:
    batch = [visit("e1", time="2001-02-03T04:05:06Z"), {"id": "h", "type": "history.ended", "subject": "ann"}]
    async with open_ingest(settings) as (pool, client, _):
        answer = await client.post("/v1/events?historic=true", json=batch, headers=keys["operator"])
        assert answer.json()["accepted"] == 2, answer.text
        first, ended = await rows_of(pool)
        assert (first.event.historic, first.event.received_at.year) == (True, 2001)
        assert (ended.event.historic, ended.event.received_at.year >= 2026) == (False, True)
        live = await client.post("/v1/events", json=batch, headers=keys["operator"])
        assert [one["path"] for one in live.json()["results"]] == ["$[0].time", "$[1].type"]
        # What an import brought must never come back as news, so it is kept apart.
        bad = [visit("b1"), visit("b2", time="2001-02-03")]
        await client.post("/v1/events?historic=true", json=bad, headers=keys["operator"])
        kept = await pool.fetch("SELECT topic, path FROM dead_letters ORDER BY id")
        assert [tuple(letter) for letter in kept] == [
            ("edge", "$.time"),
            ("edge", "$.type"),
            ("edge.historic", "$.time"),
            ("edge.historic", "$.time"),
        ]
        wrong = await client.post("/v1/events?historic=perhaps", json=batch, headers=keys["operator"])
        assert_problem(wrong, 422, "Invalid request", "$.historic")


async def test_refused_events_are_listed_page_by_page_to_their_own_shop(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as (pool, client, _):
        for number in range(5):
            mixed = [visit(f"e{number}"), visit(f"b{number}", **{f"typo{number}": 1})]
            await client.post("/v1/events", json=mixed, headers=keys["sender"])
            await client.post("/v1/events", json=visit("x", shopid="shop"), headers=keys["other"])
        pages: list[list[str]] = []
        query: dict[str, Any] = {"limit": 2}
        while query.get("cursor", "") is not None:
            page = (await client.get("/v1/events/refused", params=query, headers=keys["operator"])).json()
            pages.append([item["path"] for item in page["items"]])
            query["cursor"] = page["next"]
        assert pages == [["$.typo0", "$.typo1"], ["$.typo2", "$.typo3"], ["$.typo4"]]
        others = (await client.get("/v1/events/refused", headers=keys["other"])).json()
        assert len(others["items"]) == 5
        first = others["items"][0]
        assert (first["path"], first["reason"]) == ("$.shopid", "unknown shop: the key is for 'other'")
        assert first["replayed_at"] is None
        assert others["next"] is None
        # What was refused is kept whole, and sealed.
        bodies = [
            row["body"] for row in await pool.fetch("SELECT body FROM dead_letters WHERE shop_id = 'shop' ORDER BY id")
        ]
        assert json.loads(Vault(MASTER_KEY).open_letter(bodies[4])) == visit("b4", typo4=1)
        assert b"typo4" not in bodies[4]


NO_KEYS: tuple[tuple[object, ...], ...] = ((), ("a",), (-1,), (2**63,), (1, 2))


async def test_a_cursor_that_is_none(settings: Settings, keys: Keys) -> None:
    no_cursors = ["x", *(encode_cursor(key) for key in NO_KEYS)]
    async with open_ingest(settings) as (_, client, _):
        for cursor in no_cursors:
            answer = await client.get("/v1/events/refused", params={"cursor": cursor}, headers=keys["operator"])
            assert_problem(answer, 400, "Bad cursor", "$.cursor")
        last = {"cursor": encode_cursor([2**63 - 1])}
        assert (await client.get("/v1/events/refused", params=last, headers=keys["operator"])).json()["items"] == []


async def test_the_vault_answers_the_house_alone(settings: Settings, keys: Keys) -> None:
    ann = {"phone": "+8613800138000", "email": "ann@example.com", "name": "王小芳", "address": "文三路\n90 号"}
    bob = {"phone": "+5511987654321"}
    wanted: dict[str, Any] = {"shop_id": "shop", "customer_ids": ["ann", "eve", "bob"], "fields": ["phone", "name"]}
    async with open_ingest(settings) as (_, client, _):
        await client.post("/v1/events", json=visit("e1", personal=ann), headers=keys["sender"])
        await client.post("/v1/events", json=visit("e1", "bob", personal=bob), headers=keys["other"])

        async def contacts(key: str, **changed: Any) -> httpx.Response:
            return await client.post("/internal/vault/contacts", json=wanted | changed, headers=keys[key])

        found = {"ann": {"phone": "+8613800138000", "name": "王小芳"}}
        assert (await contacts("house")).json() == found
        assert (await contacts("house", shop_id="other")).json() == {"bob": bob}
        assert (await contacts("house", fields=["address", "email"])).json()["ann"]["address"] == "文三路\n90 号"
        assert (await contacts("house", fields=[])).json() == {}
        # A key with the scope that belongs to one shop opens that shop's vault only.
        assert (await contacts("sending service of shop")).json() == {
            "ann": {"phone": "+8613800138000", "name": "王小芳"}
        }
        denied = await contacts("sending service of shop", shop_id="other")
        assert_problem(denied, 403, "Forbidden", "$.shop_id")
        for changed, path in (
            ({"fields": ["review_text"]}, "$.fields[0]"),
            ({"customer_ids": ["a\x00"]}, "$.customer_ids[0]"),
            ({"customer_ids": ["a"] * 1_001}, "$.customer_ids"),
            ({"shop_id": "\x00"}, "$.shop_id"),
        ):
            assert_problem(await contacts("house", **changed), 422, "Invalid request", path)


async def test_another_master_key_does_not_start(fresh_database: str, settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as (_, client, _):
        await client.post("/v1/events", json=visit("e1", personal={"phone": "+8613800138000"}), headers=keys["sender"])
    wrong = settings_for(fresh_database, vault_key="b" * 43 + "=")
    with pytest.raises(ValueError, match="REGULARS_VAULT_KEY is not the key that this database's vault was begun with"):
        async with open_ingest(wrong):
            pass
    async with open_ingest(settings) as (pool, _, _):
        assert await pool.fetchval("SELECT count(*) FROM vault") == 1
