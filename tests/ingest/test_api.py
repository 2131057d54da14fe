"""Ingest's answers over HTTP: what was taken, what was refused and why, and who may ask for what."""

import gzip
import json
from typing import Any

import asyncpg
import httpx
import pytest
from prometheus_client import REGISTRY

from common.settings import Settings
from common.web.paging import encode_cursor
from ingest.vault import Vault
from tests.ingest.conftest import MASTER_KEY, Keys, lines, open_ingest, rows_of, settings_for, visit

AMOUNT = {"amount_minor": 1250, "currency": "CNY"}
PAID = {"id": "p1", "type": "order.paid", "subject": "ann", "data": {"order_id": "o1", "amount": AMOUNT}}
NDJSON = {"content-type": "application/x-ndjson"}


def assert_problem(answer: httpx.Response, status: int, title: str, path: str | None = None) -> str:
    """A problem in the one form they all have; gives its detail."""
    told = answer.json()
    assert (answer.status_code, told["status"], told["title"], told.get("path")) == (status, status, title, path), told
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["type"] == "about:blank"
    assert answer.headers["x-request-id"]
    return str(told["detail"])


async def test_one_event(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as (pool, client, _):
        answer = await client.post("/v1/events", json=PAID, headers=keys["sender"])
        assert (answer.status_code, answer.json()) == (202, {"id": "p1", "status": "accepted"})
        assert answer.headers["content-type"] == "application/json"
        again = await client.post("/v1/events", json=PAID, headers=keys["sender"])
        assert (again.status_code, again.json()) == (202, {"id": "p1", "status": "duplicate"})
        (row,) = await rows_of(pool)
        assert (row.event.shop_id, row.event.customer_id, row.event.source) == ("shop", "ann", "api")
        assert row.event.received_at == row.event.occurred_at  # it named no time


async def test_a_refused_event_names_its_fault(settings: Settings, keys: Keys) -> None:
    bad = PAID | {"data": {"order_id": "o1", "amount": {"amount_minor": 12.5, "currency": "CNY"}}}
    async with open_ingest(settings) as (pool, client, _):
        answer = await client.post("/v1/events", json=bad, headers=keys["sender"])
        detail = assert_problem(answer, 422, "Event rejected", "$.data.amount.amount_minor")
        assert detail == "expected an integer of minor units (cents, fen), got `float`"
        assert await rows_of(pool) == []


async def test_a_batch_is_answered_event_by_event(settings: Settings, keys: Keys) -> None:
    batch: list[Any] = [
        visit("e1"),
        visit("e2", typo=1),
        visit("e1"),
        PAID | {"data": {"order_id": "o", "amount": AMOUNT | {"amount_minor": -1}}},
        17,
        visit("e3", source="till"),
        visit("e1", source="till"),
    ]
    async with open_ingest(settings) as (pool, client, _):
        answer = await client.post("/v1/events", json=batch, headers=keys["sender"])
        assert answer.status_code == 202
        assert answer.json() == {
            "accepted": 3,
            "duplicate": 1,
            "rejected": 3,
            "results": [
                {"id": "e1", "status": "accepted"},
                {"status": "rejected", "path": "$[1].typo", "reason": "unknown field"},
                {"id": "e1", "status": "duplicate"},
                {"status": "rejected", "path": "$[3].data.amount.amount_minor", "reason": "Expected `int` >= 0"},
                {"status": "rejected", "path": "$[4]", "reason": "Expected `object`, got `int`"},
                {"id": "e3", "status": "accepted"},
                {"id": "e1", "status": "accepted"},
            ],
        }
        assert [(row.event.source, row.event.id) for row in await rows_of(pool)] == [
            ("api", "e1"),
            ("till", "e3"),
            ("till", "e1"),
        ]


async def test_every_form_of_a_batch(settings: Settings, keys: Keys) -> None:
    batch = [visit("e1"), visit("e2")]
    array, by_line = json.dumps(batch).encode(), lines(batch)
    forms: list[tuple[bytes, dict[str, str]]] = [
        (array, {}),
        (array, {"content-type": "application/json; charset=utf-8"}),
        (array, {"content-type": "application/x-www-form-urlencoded"}),
        (b"\xef\xbb\xbf" + array, {"content-type": "application/json"}),
        (by_line, NDJSON),
        (by_line.replace(b"\n", b"\r\n\r\n") + b"\r\n", {"content-type": "application/ndjson"}),
        (gzip.compress(by_line), NDJSON | {"content-encoding": "gzip"}),
        (gzip.compress(array), {"content-encoding": "x-gzip"}),
    ]
    async with open_ingest(settings) as (pool, client, _):
        for number, (body, headers) in enumerate(forms):
            mine = body if headers.get("content-encoding") else body.replace(b'"e', f'"{number}-e'.encode())
            answer = await client.post("/v1/events", content=mine, headers=keys["sender"] | headers)
            assert answer.status_code == 202, answer.text
            assert (answer.json()["rejected"], len(answer.json()["results"])) == (0, 2)
        assert [row.event.id for row in await rows_of(pool)] == [
            *(f"{number}-e{n}" for number in range(6) for n in (1, 2)),
            *("e1", "e2"),
        ]


async def test_a_batch_of_one_is_a_batch(settings: Settings, keys: Keys) -> None:
    expected = {"accepted": 1, "duplicate": 0, "rejected": 0, "results": [{"id": "e1", "status": "accepted"}]}
    async with open_ingest(settings) as (_, client, _):
        answer = await client.post("/v1/events", content=lines([visit("e1")]), headers=keys["sender"] | NDJSON)
        assert (answer.status_code, answer.json()) == (202, expected)
        bad = await client.post("/v1/events", json=[visit("")], headers=keys["sender"])
        assert (bad.status_code, bad.json()["rejected"], bad.json()["results"][0]["path"]) == (202, 1, "$[0].id")


# fmt: off
UNREADABLE: list[tuple[bytes, dict[str, str], int, str, str]] = [
    (b"", {}, 400, "Malformed request", "no events"),
    (b"[]", {}, 400, "Malformed request", "no events"),
    (b"\n \n", NDJSON, 400, "Malformed request", "no events"),
    (b'[{"id":', {}, 400, "Malformed request", "truncated"),
    (b"[" * 50_000, {}, 400, "Malformed request", "nested too deeply"),
    (b"{}", {"content-encoding": "gzip"}, 400, "Malformed request", "not gzip"),
    (gzip.compress(b"[{}]")[:15], {"content-encoding": "gzip"}, 400, "Malformed request", "not gzip"),
    (gzip.compress(b" " * 60_000), {"content-encoding": "gzip"}, 413, "Request too large", "50000 bytes unpacked"),
    (b"\n".join([b"1"] * 10_001), NDJSON, 413, "Request too large", "more than 10000 events"),
    (b"id;type\n1;visit", {"content-type": "text/csv"}, 415, "Unsupported media type", "application/json"),
    (b"{}", {"content-encoding": "br"}, 415, "Unsupported media type", "expected gzip"),
]
# fmt: on


async def test_a_request_nothing_can_be_taken_from(fresh_database: str, keys: Keys) -> None:
    async with open_ingest(settings_for(fresh_database, body_max_bytes=50_000)) as (pool, client, _):
        for body, headers, status, title, detail in UNREADABLE:
            answer = await client.post("/v1/events", content=body, headers=keys["sender"] | headers)
            assert detail in assert_problem(answer, status, title, "$")
        assert await rows_of(pool) == []
        assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 0


async def test_a_body_has_a_bound_whether_announced_or_not(fresh_database: str, keys: Keys) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1_000

    async with open_ingest(settings_for(fresh_database, body_max_bytes=50_000)) as (_, client, _):
        for content in (b" " * 50_001, endless()):
            answer = await client.post("/v1/events", content=content, headers=keys["sender"])
            assert (
                assert_problem(answer, 413, "Request Entity Too Large", "$") == "The body is larger than 50000 bytes."
            )


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


async def test_a_request_id_comes_back(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as (_, client, _):
        for status, body in ((202, visit("e1")), (422, visit(""))):
            headers = keys["sender"] | {"x-request-id": "till-7.42"}
            answer = await client.post("/v1/events", json=body, headers=headers)
            assert (answer.status_code, answer.headers["x-request-id"]) == (status, "till-7.42")


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_what_is_counted(settings: Settings, keys: Keys) -> None:
    outcomes = ("accepted", "duplicate", "rejected")
    reasons = ("malformed", "unknown_type", "unknown_shop", "bad_time", "invalid_field")
    batch: list[Any] = [visit("e1"), visit("e2"), visit("e1")]
    batch += [
        1,
        visit("b", type="visits"),
        visit("b", shopid="x"),
        visit("b", time="2026"),
        visit(""),
        visit("b", typo=1),
    ]

    def counts() -> list[float]:
        return [
            *(counted("regulars_ingest_events_total", outcome=outcome) for outcome in outcomes),
            *(counted("regulars_ingest_rejections_total", reason=reason) for reason in reasons),
        ]

    async with open_ingest(settings) as (_, client, _):
        before = counts()
        await client.post("/v1/events", json=batch, headers=keys["sender"])
        assert [now - then for now, then in zip(counts(), before, strict=True)] == [2, 1, 6, 1, 1, 1, 1, 2]
        told = (await client.get("/metrics")).text
        assert 'regulars_ingest_rejections_total{reason="bad_time"}' in told
        assert 'regulars_http_requests_total{method="POST",route="/v1/events",status="202"}' in told


async def test_it_is_ready(settings: Settings) -> None:
    async with open_ingest(settings) as (_, client, _):
        assert (await client.get("/health/live")).json() == {"status": "live"}
        assert (await client.get("/health/ready")).json() == {"status": "ready"}


async def test_another_master_key_does_not_start(fresh_database: str, settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as (_, client, _):
        await client.post("/v1/events", json=visit("e1", personal={"phone": "+8613800138000"}), headers=keys["sender"])
    wrong = settings_for(fresh_database, vault_key="b" * 43 + "=")
    with pytest.raises(ValueError, match="REGULARS_VAULT_KEY is not the key that this database's vault was begun with"):
        async with open_ingest(wrong):
            pass
    async with open_ingest(settings) as (pool, _, _):
        assert isinstance(pool, asyncpg.Pool)
