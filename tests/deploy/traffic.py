"""A shop's busy minute, and everything going wrong in it that boards show and alerts watch for."""

import asyncio
import itertools
import signal
from collections.abc import Mapping
from typing import Any

import asyncpg
import httpx

from tests.deploy.containers import Container, StandIns

CURRENCY = "CNY"
CUSTOMERS_A_ROUND = 5
ROUND_S = 0.25
SILENCE_S = 4.0  # more than the patience that the test sets

# Not an event at all, in the outbox as only a bug could put it there.
POISON = "INSERT INTO ingest.outbox (topic, part, key, body) VALUES ('ingest.events.v1', 0, 'demo/poison', 'no event')"
# As if another consumer had the partition and went on with it.
FENCE = "UPDATE loyalty.marks SET id = id + 1 WHERE topic = 'ingest.events.v1' AND part = 1"

# Of every service something that it answers to who may read.
ASKED = {
    "ingest": "/v1/events/refused",
    "segmentation": "/v1/segments",
    "journeys": "/v1/journeys",
    "loyalty": "/v1/tiers",
    "notifier": "/v1/mailbox",
}


def story(customer: str) -> list[dict[str, Any]]:
    """A customer who buys; one event comes twice, one is of no type that we know."""
    order = {"order_id": f"{customer}-1"}
    amount = {"amount": {"amount_minor": 12_900, "currency": CURRENCY}}
    told: list[tuple[str, dict[str, Any]]] = [
        ("customer.registered", {}),
        ("order.placed", order | amount),
        ("order.paid", order | amount),
        ("shipment.dispatched", order),
        ("order.completed", order | amount),
        ("order.placed", order | amount),
        ("order.eaten", order),
    ]
    events = [{"id": f"{customer}:{kind}", "type": kind, "subject": customer, "data": data} for kind, data in told]
    events[0]["personal"] = {"phone": "+8613912345678"}
    # Placed and left alone: reminded of it after five minutes and after an hour. So is a cart, by segment, after one.
    left = {"order_id": f"{customer}-2"} | amount
    events.append({"id": f"{customer}:left", "type": "order.placed", "subject": customer, "data": left})
    cart = {"item": {"item_id": "mug", "quantity": 1}}
    return [*events, {"id": f"{customer}:cart", "type": "cart.item_added", "subject": customer, "data": cart}]


async def busy(containers: Mapping[str, Container], key: str) -> None:
    """Customers come until it is cancelled; all services are asked things meanwhile."""
    async with httpx.AsyncClient(headers={"X-API-Key": key}, timeout=30) as client:
        for number in itertools.count():
            events = [e for n in range(CUSTOMERS_A_ROUND) for e in story(f"c{number}-{n}")]
            answer = await client.post(f"{containers['ingest'].url}/v1/events", json=events)
            assert answer.status_code == httpx.codes.ACCEPTED, answer.text
            for name, path in ASKED.items():
                answer = await client.get(containers[name].url + path)
                assert answer.status_code == httpx.codes.OK, f"{name}{path}: {answer.text}"
            await asyncio.sleep(ROUND_S)  # waits: for nothing, this is how fast the shop is


async def trouble(containers: Mapping[str, Container], stand_ins: StandIns) -> None:
    """A dead letter, a fenced transaction, and a source so silent that patience is lost."""
    admin = await asyncpg.connect(stand_ins.postgres.dsn())
    try:
        await admin.execute(POISON)
        await admin.execute(FENCE)
    finally:
        await admin.close()
    containers["ingest"].send(signal.SIGSTOP)
    await asyncio.sleep(SILENCE_S)  # waits: for patience to be lost
    containers["ingest"].send(signal.SIGCONT)
