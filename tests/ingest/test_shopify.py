"""Shopify's webhooks through the real door: signed, in any order, repeated, nothing personal outside of the vault."""

import hmac
import json
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from hashlib import sha256
from itertools import permutations
from typing import Any

import asyncpg
import httpx
import pytest

from common.settings import Settings
from tests.ingest.conftest import Ingest, Keys, assert_problem, open_ingest

SECRET = "shpss_a-secret-of-the-shop"
FACTS = "SELECT convert_from(body, 'UTF8') FROM ingest.outbox WHERE topic = 'ingest.events.v1' AND key <> ''"
PLANTED = ("ann.roe@example.com", "Roe", "+15550100", "1 Main St")
ORDER: dict[str, Any] = {
    "id": 820982911946154508, "currency": "CNY", "total_price": "29.35", "financial_status": "pending", "test": False,
    "created_at": "2026-03-22T12:28:02-07:00", "updated_at": "2026-03-22T12:28:02-07:00", "cart_token": "Z2NwLXVz",
    "email": "ann.roe@example.com",
    "customer": {"id": 706405506930370084, "first_name": "Ann", "last_name": "Roe", "phone": "+15550100"},
    "billing_address": {"address1": "1 Main St", "city": "Springfield"},
    "line_items": [{"id": 1, "product_id": 6, "variant_id": 3, "quantity": 1, "title": "Mug", "price": "29.35"}],
}  # fmt: skip
PARCEL = {
    "id": 255858046, "order_id": 820982911946154508, "status": "success", "created_at": "2026-03-23T09:00:00-07:00",
}  # fmt: skip
PAID = ORDER | {"financial_status": "paid", "updated_at": "2026-03-22T12:29:00-07:00"}
REFUND = {
    "id": 509562969, "order_id": 820982911946154508, "created_at": "2026-03-25T13:35:06-07:00",
    "transactions": [{"id": 1, "kind": "refund", "status": "success", "amount": "3.00", "currency": "CNY"}],
}  # fmt: skip
WHOLE = PAID | {
    "updated_at": "2026-03-25T13:35:07-07:00", "financial_status": "partially_refunded",
    "fulfillment_status": "fulfilled", "fulfillments": [PARCEL], "refunds": [REFUND],
}  # fmt: skip
STORY: list[tuple[str, dict[str, Any]]] = [
    ("orders/create", ORDER),
    ("orders/paid", PAID),
    ("fulfillments/create", PARCEL),
    ("orders/updated", WHOLE),
    ("refunds/create", REFUND),
]


@pytest.fixture
async def here(settings: Settings) -> AsyncIterator[Ingest]:
    async with open_ingest(settings) as opened:
        yield opened


@pytest.fixture
async def address(here: Ingest, keys: Keys) -> str:
    asked = {"kind": "shopify", "secret": SECRET}
    answer = await here.client.post("/v1/sources", json=asked, headers=keys["operator"])
    assert answer.status_code == 201, answer.text
    return str(answer.json()["path"])


async def call(
    here: Ingest, address: str, topic: str, body: Any, secret: str = SECRET, prefix: str = "X-Shopify-"
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    mac = b64encode(hmac.digest(secret.encode(), content, sha256)).decode()
    headers = {f"{prefix}Hmac-Sha256": mac, f"{prefix}Topic": topic, f"{prefix}Triggered-At": "2026-03-29T00:00:00Z"}
    return await here.client.post(address, content=content, headers=headers)


async def facts(here: Ingest) -> Counter[str]:
    """How often each kind of thing was told to have happened to orders and parcels."""
    told = [json.loads(row[0]) for row in await here.pool.fetch(FACTS)]
    return Counter(event["type"] for event in told if event["type"].startswith(("order.", "shipment.")))


async def test_signatures_under_both_names(here: Ingest, address: str) -> None:
    for prefix in ("X-Shopify-", "Shopify-"):
        answer = await call(here, address, "orders/create", ORDER, prefix=prefix)
        assert (answer.status_code, answer.text) == (200, "{}")
    assert_problem(await call(here, address, "orders/create", ORDER, secret="another-secret"), 401, "Unauthorized")
    assert_problem(await here.client.post(address, content=b"{}"), 401, "Unauthorized")


async def test_an_order_is_told_once_whatever_comes_first_and_how_often(here: Ingest, address: str) -> None:
    expected = {"order.placed", "order.paid", "shipment.dispatched", "order.completed", "order.refunded"}
    for number, order in enumerate(list(permutations(STORY))[::17]):
        name = 1_000_000 + number
        for topic, body in [*order, *order]:
            ids = {"order_id": name} if "order_id" in body else {"id": name}
            answer = await call(
                here, address, topic, json.loads(json.dumps(body).replace(str(ORDER["id"]), str(name))) | ids
            )
            assert answer.status_code == 200
        told = [json.loads(row[0]) for row in await here.pool.fetch(FACTS)]
        of_this = Counter(
            event["type"]
            for event in told
            if event["data"].get("order_id") == str(name) and event["type"] != "order.updated"
        )
        assert of_this == dict.fromkeys(expected, 1), order


async def test_topics_that_tell_nothing_are_answered(here: Ingest, address: str) -> None:
    """Else Shopify would end the subscription after some refusals."""
    for topic in ("app/uninstalled", "products/update", "orders/edited", ""):
        assert (await call(here, address, topic, {"id": 1})).status_code == 200
    assert await facts(here) == {}


async def test_what_is_no_body_is_kept(here: Ingest, address: str, admin: asyncpg.Connection) -> None:
    assert (await call(here, address, "orders/create", b"{")).status_code == 200
    assert (await call(here, address, "orders/create", ORDER | {"currency": "USD"})).status_code == 200
    assert await facts(here) == {}
    paths = [row["path"] for row in await admin.fetch("SELECT path FROM ingest.dead_letters ORDER BY id")]
    assert paths == ["$", "$.data.amount.currency"]


async def test_nothing_personal_leaves_the_vault(here: Ingest, address: str, admin: asyncpg.Connection) -> None:
    for topic, body in STORY:
        await call(here, address, topic, body)
    checkout = {"token": "2a1ace52", "cart_token": "Z2NwLXVz", "updated_at": "2026-03-22T12:20:00-07:00"}
    await call(here, address, "checkouts/create", checkout | {"email": "ann.roe@example.com", "phone": "+15550100"})
    consent = {"state": "subscribed", "consent_updated_at": "2026-03-22T12:20:00-07:00"}
    said = {"customer_id": 7, "email_address": "ann.roe@example.com", "email_marketing_consent": consent}
    await call(here, address, "customers_email_marketing_consent/update", said)
    await call(here, address, "customers/create", ORDER["customer"] | {"email": "ann.roe@example.com"})
    await call(here, address, "orders/create", ORDER | {"total_price": "?"})
    tables = await admin.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'ingest'")
    for (table,) in [tuple(row) for row in tables]:
        rows = await admin.fetch(f"SELECT * FROM ingest.{table}")
        written = b" ".join(
            value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row.values()
        )
        assert not [text for text in PLANTED if text.encode() in written], table
