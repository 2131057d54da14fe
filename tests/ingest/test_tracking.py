"""Segment's door over HTTP: every way to show the key, what is answered, what is kept of what was refused."""

import gzip
import json
from base64 import b64encode
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from common.settings import Settings
from ingest.flusher import Away, Flusher, Full
from ingest.vault import Vault
from tests.ingest.conftest import MASTER_KEY, Keys, open_ingest, rows_of, settings_for

KINDS = ("batch", "track", "identify", "page", "screen", "alias", "group")
SUCCESS = b'{"success": true}'


def page(id_: str, **more: Any) -> dict[str, Any]:
    """The smallest message there is."""
    return {"type": "page", "messageId": id_, "userId": "ann", **more}


def bare(keys: Keys, name: str) -> str:
    """A key itself."""
    return keys[name]["Authorization"].removeprefix("Bearer ")


def basic(user: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(user.encode()).decode()}"}


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """A problem as everywhere, and in the words that these clients look for."""
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["message"] == told.get("detail", told["title"])
    return answer.status_code, told["code"]


async def test_every_way_to_show_the_key(settings: Settings, keys: Keys) -> None:
    key = bare(keys, "sender")
    form = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    ways: list[tuple[dict[str, str], dict[str, Any]]] = [
        (basic(f"{key}:"), {}),
        (basic(key), {}),
        (basic(f"{key}:") | form, {}),
        (basic("another's:"), {"writeKey": key}),
        ({"Authorization": "Basic %%%"}, {"writeKey": key}),
        ({"Authorization": "Bearer some-token"}, {"writeKey": key}),
        ({}, {"writeKey": key}),
        (keys["sender"], {}),
        ({"X-API-Key": key}, {"writeKey": None}),
    ]
    async with open_ingest(settings) as (pool, client, _):
        for number, (headers, more) in enumerate(ways):
            body = json.dumps({"batch": [page(f"m{number}")], **more}).encode()
            packed = gzip.compress(body) if "Content-Encoding" in headers else body
            answer = await client.post("/v1/batch", content=packed, headers=headers)
            assert (answer.status_code, answer.content) == (200, SUCCESS), answer.text
            assert answer.headers["content-type"] == "application/json"
        assert [row.event.id for row in await rows_of(pool)] == [f"m{number}" for number in range(len(ways))]
        kept = await pool.fetchval("SELECT count(*) FROM dead_letters")
        assert kept == 0


async def test_who_may_not(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as (pool, client, _):
        for kind in KINDS:
            answer = await client.post(f"/v1/{kind}", json=page("m1"))
            assert error_of(answer) == (401, "unauthorized")
            answer = await client.post(f"/v1/{kind}", json=page("m1", writeKey="rk_00000000_" + "x" * 43))
            assert error_of(answer) == (401, "unauthorized")
            answer = await client.post(f"/v1/{kind}", json=page("m1", writeKey=bare(keys, "reader")))
            assert error_of(answer) == (403, "forbidden")
        assert error_of(await client.post("/v1/page", json=page("m1"), headers=keys["gone"])) == (403, "unknown_shop")
        assert await rows_of(pool) == []


async def test_every_route(settings: Settings, keys: Keys) -> None:
    message = {"userId": "ann", "event": "Product Added", "properties": {"product_id": "p1"}, "previousId": "a"}
    async with open_ingest(settings) as (pool, client, _):
        for kind in KINDS[1:]:
            answer = await client.post(f"/v1/{kind}", json=message | {"messageId": kind}, headers=keys["sender"])
            assert (answer.status_code, answer.content) == (200, SUCCESS)
            outcome = "ignored=1" if kind == "group" else "accepted=1"
            assert outcome in answer.headers["x-regulars-outcome"]
        assert [(row.event.type, row.event.customer_id) for row in await rows_of(pool)] == [
            ("cart.item_added", "ann"),
            ("customer.updated", "ann"),
            ("visit", "ann"),
            ("visit", "ann"),
            ("customer.merged", "a"),
            ("customer.updated", "ann"),
        ]


async def test_repeats_count_once(settings: Settings, keys: Keys) -> None:
    order = {"type": "track", "userId": "ann", "event": "Order Completed", "properties": {"order_id": "o1", "total": 1}}
    batch = {"batch": [page("m1"), page("m1"), order | {"messageId": "a"}, order | {"messageId": "b"}]}
    async with open_ingest(settings) as (pool, client, _):
        told = []
        for _time in range(2):
            answer = await client.post("/v1/batch", json=batch, headers=keys["sender"])
            told.append(answer.headers["x-regulars-outcome"])
        assert told == [
            "accepted=2, duplicate=2, rejected=0, ignored=0",
            "accepted=0, duplicate=4, rejected=0, ignored=0",
        ]
        assert [row.event.type for row in await rows_of(pool)] == ["visit", "order.placed", "order.paid"]


async def test_bad_messages_cost_the_others_nothing(settings: Settings, keys: Keys) -> None:
    no_order = {"type": "track", "messageId": "b1", "userId": "ann", "event": "Order Completed", "properties": {}}
    batch = {
        "batch": [page("m1"), no_order, page("b2", userId="ann@example.com"), 17, page("m2"), {"type": "group"}],
        "context": {"locale": "en"},
    }
    names = ("accepted", "duplicate", "rejected")

    def counts() -> list[float]:
        events = "regulars_ingest_events_total"
        outcomes = [REGISTRY.get_sample_value(events, {"connector": "segment", "outcome": name}) for name in names]
        labels = {"connector": "segment", "kind": "group"}
        ignored = REGISTRY.get_sample_value("regulars_ingest_ignored_messages_total", labels)
        return [value or 0 for value in (*outcomes, ignored)]

    async with open_ingest(settings) as (pool, client, _):
        before = counts()
        answer = await client.post("/v1/batch", json=batch, headers=keys["sender"])
        assert (answer.status_code, answer.content) == (200, SUCCESS)
        assert answer.headers["x-regulars-outcome"] == "accepted=2, duplicate=0, rejected=3, ignored=1"
        assert [now - then for now, then in zip(counts(), before, strict=True)] == [2, 0, 3, 1]
        assert [row.event.id for row in await rows_of(pool)] == ["m1", "m2"]
        letters = await pool.fetch("SELECT shop_id, topic, path, body FROM dead_letters ORDER BY id")
        assert [tuple(letter)[:3] for letter in letters] == [
            ("shop", "edge.segment", "$.properties.order_id"),
            ("shop", "edge.segment", "$.subject"),
            ("shop", "edge.segment", "$"),
        ]
        listed = (await client.get("/v1/events/refused", headers=keys["operator"])).json()["items"]
        assert [item["path"] for item in listed] == ["$.properties.order_id", "$.subject", "$"]
        # Kept whole, with what it shared with its batch, and sealed; the same door takes it as it is kept.
        whole = Vault(MASTER_KEY).open_letter(bytes(letters[1]["body"]))
        kept = json.loads(whole)
        assert kept.pop("receivedAt")
        assert kept == page("b2", userId="ann@example.com", context={"locale": "en"})
        assert b"ann@example.com" not in bytes(letters[1]["body"])
        mended = whole.replace(b"ann@example.com", b"ann")
        answer = await client.post("/v1/batch", content=mended, headers=keys["sender"])
        assert answer.headers["x-regulars-outcome"].startswith("accepted=1")


async def test_people_go_to_the_vault(settings: Settings, keys: Keys) -> None:
    traits = {"email": "ann@example.com", "firstName": "Ann", "address": {"city": "Leeds"}}
    async with open_ingest(settings) as (pool, client, _):
        message = {"userId": "ann", "messageId": "m1", "traits": traits}
        await client.post("/v1/identify", json=message, headers=keys["sender"])
        wanted = {"shop_id": "shop", "customer_ids": ["ann"], "fields": ["email", "name", "address"]}
        found = (await client.post("/internal/vault/contacts", json=wanted, headers=keys["house"])).json()
        assert found == {"ann": {"email": "ann@example.com", "name": "Ann", "address": "Leeds"}}
        body = bytes(await pool.fetchval("SELECT body FROM outbox WHERE key <> ''"))
        assert b"ann@example.com" not in body
        assert b'"city":"Leeds"' in body


async def test_what_cannot_be_read_is_dropped(fresh_database: str, keys: Keys) -> None:
    async with open_ingest(settings_for(fresh_database, body_max_bytes=50_000)) as (pool, client, _):
        for body, headers, told in (
            (b"{", {}, (400, "malformed_request")),
            (b"[]", {}, (400, "malformed_request")),
            (b"{}", {"Content-Encoding": "gzip"}, (400, "malformed_request")),
            (b"{}", {"Content-Encoding": "br"}, (415, "unsupported_media_type")),
            (gzip.compress(b" " * 60_000), {"Content-Encoding": "gzip"}, (413, "request_too_large")),
            (json.dumps({"batch": [1] * 10_001}).encode(), {}, (413, "request_too_large")),
        ):
            answer = await client.post("/v1/batch", content=body, headers=keys["sender"] | headers)
            assert error_of(answer) == told
        answer = await client.post("/v1/batch", content=b" " * 60_000, headers=keys["sender"])
        assert answer.status_code == 413
        assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 0


@pytest.mark.parametrize("fault", [Full(), Away("the database does not answer")])
async def test_a_temporary_fault_is_never_a_400(
    settings: Settings, keys: Keys, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    async def fail(*_: object) -> None:
        raise fault

    async with open_ingest(settings) as (pool, client, _):
        with monkeypatch.context() as patched:
            patched.setattr(Flusher, "submit", fail)
            answer = await client.post("/v1/batch", json={"batch": [page("m1")]}, headers=keys["sender"])
        assert error_of(answer) == (503, "service_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        # Nor where the database goes before the key is known.
        await client.post("/v1/batch", json={"batch": [page("m1")]}, headers=keys["sender"])
        with monkeypatch.context() as patched:
            patched.setattr("common.web.auth.KeyRing.caller", _refused_connection)
            answer = await client.post("/v1/batch", json={"batch": [page("m1")]}, headers=keys["sender"])
        assert error_of(answer) == (503, "service_unavailable")
        assert len(await rows_of(pool)) == 1


async def _refused_connection(*_: object) -> None:
    raise ConnectionRefusedError(111, "Connection refused")
