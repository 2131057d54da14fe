"""Ingest's answers over HTTP: what was taken, what was refused and why, and who may ask for what."""

import gzip
import json
from typing import Any

from prometheus_client import REGISTRY

from common.settings import Settings
from tests.ingest.conftest import (
    Keys,
    assert_problem,
    lines,
    open_ingest,
    rows_of,
    settings_for,
    visit,
)

AMOUNT = {"amount_minor": 1250, "currency": "CNY"}
PAID = {"id": "p1", "type": "order.paid", "subject": "ann", "data": {"order_id": "o1", "amount": AMOUNT}}
NDJSON = {"content-type": "application/x-ndjson"}


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
        assert (bad.status_code, bad.json()["rejected"], bad.json()["results"][0]["path"]) == (422, 1, "$[0].id")


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
            *(counted("regulars_ingest_events_total", connector="api", outcome=outcome) for outcome in outcomes),
            *(counted("regulars_ingest_rejections_total", connector="api", reason=reason) for reason in reasons),
        ]

    async with open_ingest(settings) as (_, client, _):
        before = counts()
        await client.post("/v1/events", json=batch, headers=keys["sender"])
        assert [now - then for now, then in zip(counts(), before, strict=True)] == [2, 1, 6, 1, 1, 1, 1, 2]
        told = (await client.get("/metrics")).text
        assert 'regulars_ingest_rejections_total{connector="api",reason="bad_time"}' in told
        assert 'regulars_http_requests_total{method="POST",route="/v1/events",status="202"}' in told


async def test_it_is_ready(settings: Settings) -> None:
    async with open_ingest(settings) as (_, client, _):
        assert (await client.get("/health/live")).json() == {"status": "live"}
        assert (await client.get("/health/ready")).json() == {"status": "ready"}
