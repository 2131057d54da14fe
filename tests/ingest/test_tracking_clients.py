"""Unmodified clients of Segment, RudderStack and CloudEvents against a running ingest: all arrives, once."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from rudderstack.analytics.client import Client as RudderStack  # type: ignore[import-untyped]
from segment.analytics.client import Client as Segment  # type: ignore[import-untyped]
from segment.analytics.request import APIError  # type: ignore[import-untyped]

from common.contracts.ingest import CartItemAdded, OrderPaid
from common.settings import Settings
from common.web.auth import create_key
from tests.ingest.conftest import rows_of
from tests.ingest.test_kill import ingest_process

PEOPLE = 20
CARTS_EACH = 12  # several uploads of a hundred messages
CLIENTS: dict[str, Callable[..., Any]] = {
    "segment": Segment,
    "segment, packed": lambda key, **more: Segment(key, gzip=True, **more),
    "rudderstack": RudderStack,
    "rudderstack, plain": lambda key, **more: RudderStack(key, gzip=False, **more),
}


def _shop(client: Any) -> None:
    """What a shop's backend would do, on the client's own thread and queue."""
    for person in range(PEOPLE):
        user = f"u{person}"
        client.identify(user, {"email": f"{user}@example.com", "name": "Jo"})
        client.page(user, "Shop", "Home")
        for number in range(CARTS_EACH):
            client.track(
                user, "Product Added", {"product_id": f"p{number}", "price": 0.1 * (number + 1), "quantity": 2}
            )
        order = {"order_id": f"o{person}", "total": 25.1, "currency": "CNY", "products": [{"product_id": "p1"}]}
        for _time in range(2):  # a thank-you page that was loaded again
            client.track(user, "Order Completed", order)
        client.track(user, "Song Played", {"name": "x"})
    client.flush()
    client.join()


@pytest.mark.parametrize("name", CLIENTS)
async def test_all_that_a_client_sends_arrives_once(
    settings: Settings, admin: asyncpg.Connection, tmp_path: Path, name: str
) -> None:
    faults: list[Any] = []
    async with ingest_process(settings, tmp_path / "ingest.log") as process:
        key = await create_key(admin, "demo", ["ingest"])
        client = CLIENTS[name](key, host=process.url, on_error=lambda *fault: faults.append(fault), max_retries=1)
        await asyncio.to_thread(_shop, client)
    assert faults == []
    rows = await rows_of(admin)
    assert Counter(row.event.type for row in rows) == {
        "customer.updated": PEOPLE,
        "visit": PEOPLE,
        "cart.item_added": PEOPLE * CARTS_EACH,
        "order.placed": PEOPLE,
        "order.paid": PEOPLE,
    }
    paid = [row.event.data.amount.amount_minor for row in rows if isinstance(row.event.data, OrderPaid)]
    assert paid == [2510] * PEOPLE
    prices = {row.event.data.item.unit_price for row in rows if isinstance(row.event.data, CartItemAdded)}
    assert sorted(price.amount_minor for price in prices if price) == [10 * (n + 1) for n in range(CARTS_EACH)]
    assert await admin.fetchval("SELECT count(*) FROM ingest.dead_letters") == 0


async def test_a_client_of_one_message_at_a_time(settings: Settings, admin: asyncpg.Connection, tmp_path: Path) -> None:
    async with ingest_process(settings, tmp_path / "ingest.log") as process:
        key = await create_key(admin, "demo", ["ingest"])
        client = Segment(key, host=process.url, sync_mode=True, max_retries=1)
        await asyncio.to_thread(client.track, "u1", "Product Added", {"product_id": "p1"})
        wrong = Segment("no key", host=process.url, sync_mode=True, max_retries=1)
        with pytest.raises(APIError, match="unauthorized"):
            await asyncio.to_thread(wrong.track, "u1", "Product Added", {"product_id": "p1"})
    assert [row.event.type for row in await rows_of(admin)] == ["cart.item_added"]


async def test_the_cloud_events_sdk(settings: Settings, admin: asyncpg.Connection, tmp_path: Path) -> None:
    def event(number: int) -> CloudEvent:
        attributes = {"id": f"e{number}", "source": "/till/1", "type": "com.shop.checkin", "subject": f"张{number}"}
        return CloudEvent({"specversion": "1.0", "datacontenttype": "application/json", **attributes}, {})

    async with ingest_process(settings, tmp_path / "ingest.log") as process:
        key = await create_key(admin, "demo", ["ingest"])
        async with httpx.AsyncClient(base_url=process.url, headers={"X-API-Key": key}) as client:

            async def post(message: HTTPMessage) -> dict[str, Any]:
                answer = await client.post("/v1/events", content=message.body, headers=message.headers)
                assert answer.status_code == 202, answer.text
                return dict(answer.json())

            assert await post(to_binary_event(event(1))) == {"id": "e1", "status": "accepted"}
            assert await post(to_structured_event(event(2))) == {"id": "e2", "status": "accepted"}
            assert await post(to_structured_event(event(1))) == {"id": "e1", "status": "duplicate"}
            batch = b"[" + b",".join(bytes(to_structured_event(event(number)).body) for number in (2, 3)) + b"]"
            told = await post(HTTPMessage({"content-type": "application/cloudevents-batch+json"}, batch))
            assert (told["accepted"], told["duplicate"], told["rejected"]) == (1, 1, 0)
    assert [(row.event.customer_id, row.event.source, row.event.type) for row in await rows_of(admin)] == [
        (f"张{number}", "/till/1", "checkin") for number in (1, 2, 3)
    ]
