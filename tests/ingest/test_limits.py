"""Limits at the real doors: rates answered 429, addresses that are wrong too often, bodies without an announced length,
calls out of their time."""

import asyncio
import gzip
import hmac
import json
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from msgspec import structs

from common.settings import Settings
from common.telemetry import metrics
from ingest import hooks, sources
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Delivery
from tests.ingest.conftest import Ingest, Keys, assert_problem, open_ingest, rows_of, visit
from tests.ingest.test_hooks import SECRET, call, counted, source

LIMITED = "Too Many Requests"
UNKNOWN_KEY = {"X-API-Key": "rk_00000000_" + "x" * 43}
WRONG_AT_ONCE = 10  # a rate of 1, and ten seconds' worth of it
CHUNK = b"x" * 65_536


def limited(settings: Settings, **more: Any) -> Settings:
    return settings.model_copy(update=more)


async def test_a_key_beyond_its_rate(settings: Settings, keys: Keys) -> None:
    before = counted(metrics.HTTP_LIMITED, "key")
    async with open_ingest(limited(settings, rate_per_s=0.01, rate_burst=3)) as (_, client, _):
        answers = [
            await client.post("/v1/events", json=visit(f"e{number}"), headers=keys["sender"]) for number in range(5)
        ]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429]
        assert "requests and events of an API key" in assert_problem(answers[3], 429, LIMITED)
        assert 90 <= int(answers[3].headers["retry-after"]) <= 100
        other = await client.post("/v1/events", json=visit("e1"), headers=keys["other"])
        assert other.status_code == 202  # whatever one key does, another may
    assert counted(metrics.HTTP_LIMITED, "key") == before + 2


async def test_a_batch_counts_as_its_events(settings: Settings, keys: Keys) -> None:
    async with open_ingest(limited(settings, rate_per_s=0.01, rate_burst=3)) as (pool, client, _):
        batch = [visit(f"e{number}") for number in range(10)]
        assert (await client.post("/v1/events", json=batch, headers=keys["sender"])).status_code == 202
        assert len(await rows_of(pool)) == 10
        again = await client.post("/v1/events", json=batch, headers=keys["sender"])
        assert again.status_code == 429
        assert int(again.headers["retry-after"]) > 700  # seven more than the burst are owed, at one in 100 s


async def test_clients_of_segment_hear_of_it_in_their_words(settings: Settings, keys: Keys) -> None:
    async with open_ingest(limited(settings, rate_per_s=0.01, rate_burst=2)) as (_, client, _):
        message = {"type": "track", "event": "x", "userId": "u", "messageId": "m"}
        answers = [
            await client.post("/v1/batch", json={"batch": [message] * count}, headers=keys["sender"])
            for count in (5, 1)
        ]
    assert [answer.status_code for answer in answers] == [200, 429]
    told = answers[1].json()
    assert (told["code"], told["message"][:9]) == ("too_many_requests", "More than")
    assert answers[1].headers["retry-after"]


async def test_services_are_not_limited(settings: Settings, keys: Keys) -> None:
    asked = {"shop_id": "shop", "customer_ids": ["a"], "fields": ["phone"]}
    async with open_ingest(limited(settings, rate_per_s=0.01, rate_burst=1)) as (_, client, _):
        for _time in range(5):
            answer = await client.post("/internal/vault/contacts", json=asked, headers=keys["house"])
            assert answer.status_code == 200


async def test_a_source_beyond_its_rate(settings: Settings, keys: Keys) -> None:
    async with open_ingest(limited(settings, rate_per_s=0.01, rate_burst=4)) as here:
        first, second = [await source(here, keys, "aftership") for _ in range(2)]
        statuses = [(await call(here, first, "aftership", {"event": "x"})).status_code for _ in range(6)]
        assert statuses == [200, 200, 200, 200, 429, 429]
        unsigned = await call(here, second, "aftership", {"event": "x"}, secret="wrong")
        assert unsigned.status_code == 401
        assert (await call(here, second, "aftership", {"event": "x"})).status_code == 200


async def test_an_address_that_tries_keys(settings: Settings, keys: Keys) -> None:
    """It is told 401 for a while, then 429; a key that is known passes all the same."""
    before = counted(metrics.HTTP_LIMITED, "address")
    async with open_ingest(limited(settings, failures_per_s=1)) as (_, client, _):
        assert (await client.get("/v1/sources", headers=keys["operator"])).status_code == 200
        answers = [await client.get("/v1/sources", headers=UNKNOWN_KEY) for _ in range(WRONG_AT_ONCE + 20)]
        statuses = [answer.status_code for answer in answers]
        assert statuses[:WRONG_AT_ONCE] == [401] * WRONG_AT_ONCE
        assert statuses.count(429) >= 15
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await client.get("/v1/sources", headers=keys["operator"])).status_code == 200
        tracking = await client.post("/v1/track", json={"writeKey": "nobody's", "userId": "u", "event": "x"})
        assert (tracking.status_code, tracking.json()["code"]) == (429, "too_many_requests")
    assert counted(metrics.HTTP_LIMITED, "address") > before


async def test_an_address_that_tries_sources_and_signatures(settings: Settings, keys: Keys) -> None:
    async with open_ingest(limited(settings, failures_per_s=1)) as here:
        source_id = await source(here, keys, "aftership")
        wrong = [await call(here, source_id, "aftership", {}, secret="wrong") for _ in range(WRONG_AT_ONCE + 20)]
        assert [answer.status_code for answer in wrong[:WRONG_AT_ONCE]] == [401] * WRONG_AT_ONCE
        assert wrong[-1].status_code == 429
        assert (await here.client.post("/v1/hooks/src_nobody")).status_code == 429  # not even looked for
        # The platform may share the address with whoever tries: what is rightly signed is taken.
        assert (await call(here, source_id, "aftership", {"event": "x"})).status_code == 200


async def endless(sent: list[int]) -> AsyncIterator[bytes]:
    """As a client that announces no length, and never ends."""
    while True:
        sent.append(len(CHUNK))
        yield CHUNK


@pytest.mark.parametrize("door", ["/v1/events", "/v1/batch", "hook", "delivery", "/v1/sources"])
async def test_a_body_that_never_ends(settings: Settings, keys: Keys, door: str) -> None:
    """413 as soon as it is too large, at every door; no more of it is held than may come."""
    body_max = 1_000_000
    async with open_ingest(limited(settings, body_max_bytes=body_max)) as here:
        made = await source(here, keys, "aftership")
        path = {"hook": f"/v1/hooks/{made}", "delivery": f"/v1/sources/{made}/deliveries"}.get(door, door)
        sent: list[int] = []
        headers = keys["operator"] | {"content-type": "application/json"}
        answer = await stream(here, path, headers, sent)
    assert answer.status_code == 413
    assert answer.json()["type"] == "about:blank"
    assert body_max < sum(sent) <= body_max + 2 * len(CHUNK)


async def stream(here: Ingest, path: str, headers: Mapping[str, str], sent: list[int]) -> httpx.Response:
    """httpx's ASGI transport hands on chunk by chunk, as they are asked for."""
    return await here.client.post(path, content=endless(sent), headers=headers)


async def test_a_body_that_unpacks_to_too_much(settings: Settings, keys: Keys) -> None:
    bomb = gzip.compress(b"[" + b" " * 200_000_000 + b"]", 9)
    async with open_ingest(limited(settings, body_max_bytes=1_000_000)) as (_, client, _):
        tracemalloc.start()
        try:
            for path in ("/v1/events", "/v1/batch"):
                packed = keys["sender"] | {"content-encoding": "gzip", "content-type": "application/json"}
                assert (await client.post(path, content=bomb, headers=packed)).status_code == 413
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()


# ---- the time that a call says it was sent at


def said(delivery: Delivery) -> datetime | None:
    """Of a platform that signs when it sent a call: the body says it."""
    at = json.loads(delivery.body).get("at")
    return datetime.fromisoformat(at) if at else None


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """AfterShip, if it told when it sent a call."""
    with_time = structs.replace(CONNECTORS["aftership"], sent_at=said)
    known = MappingProxyType({**CONNECTORS, "aftership": with_time})
    monkeypatch.setattr(sources, "CONNECTORS", known)
    monkeypatch.setattr(hooks, "CONNECTORS", known)


@pytest.mark.parametrize(
    ("off", "status"),
    [(timedelta(0), 200), (timedelta(minutes=4), 200), (timedelta(minutes=6), 401), (timedelta(minutes=-6), 401)],
)
async def test_a_call_of_another_time_is_not_taken(
    settings: Settings, keys: Keys, timed: None, off: timedelta, status: int
) -> None:
    before = counted(metrics.HOOK_STALE, "aftership")
    async with open_ingest(settings) as here:
        source_id = await source(here, keys, "aftership")
        body = {"event": "x", "at": (datetime.now(UTC) - off).isoformat()}
        assert (await call(here, source_id, "aftership", body)).status_code == status
        assert (await call(here, source_id, "aftership", {"event": "x"})).status_code == 200  # says no time
    assert counted(metrics.HOOK_STALE, "aftership") == before + (status == 401)


async def test_kdniao_says_when_it_pushed(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as here:
        source_id = await source(here, keys, "kdniao")
        beijing = datetime.now(UTC) + timedelta(hours=8)
        for hours, status in ((0, 200), (23, 200), (25, 401)):
            at = (beijing - timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S")
            answer = await call(here, source_id, "kdniao", {"EBusinessID": "1", "PushTime": at, "Data": []})
            assert answer.status_code == status, hours
        assert (await call(here, source_id, "kdniao", {"PushTime": "soon", "Data": []})).status_code == 200


async def test_limits_do_not_mix_up_who_comes_at_once(settings: Settings, keys: Keys) -> None:
    """Fifty at once with a burst of ten: ten are let in, however they interleave."""
    async with open_ingest(limited(settings, rate_per_s=0.01, rate_burst=10)) as (pool, client, _):
        async with asyncio.TaskGroup() as tasks:
            sent = [
                tasks.create_task(client.post("/v1/events", json=visit(f"e{number}"), headers=keys["sender"]))
                for number in range(50)
            ]
        assert sorted(task.result().status_code for task in sent) == [202] * 10 + [429] * 40
        assert len(await rows_of(pool)) == 10


def test_the_signature_of_these_tests_is_the_platforms() -> None:
    body = b'{"event": "x"}'
    mac = b64encode(hmac.digest(SECRET.encode(), body, sha256)).decode()
    assert CONNECTORS["aftership"].is_signed(Delivery(body, {"aftership-hmac-sha256": mac}), SECRET)
