"""Webhooks of WooCommerce at the rate of a big sale, into a running ingest: how soon each is answered, none refused."""

import asyncio
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256

import asyncpg
import msgspec

from common.clock import RealClock
from ingest import sources
from ingest.vault import Vault
from regulars.bench import figures
from regulars.bench.client import offer
from regulars.bench.figures import Figure
from regulars.bench.stage import Stage
from regulars.processes import Process, environment, running

OFFERED_PER_S = 200
OFFERED_S = 30
WARM_UP_S = 2  # not counted
CONNECTIONS = 64
SHOP, KIND, SECRET = "demo", "woocommerce", "what-the-shop-and-we-know"
WANTED_MS = 1_000.0  # what platforms ask for at the 99th of a hundred
ORDERS_AT_ONCE = 100  # half a second between two calls about one order
STEPS = ("pending", "processing", "completed")
LINES = 5
# Of orders: what is told of a customer besides, the classes made of its address, comes as it may.
TOLD = "SELECT count(*) FROM ingest.outbox WHERE key <> '' AND position('\"order.'::bytea IN body) > 0"


async def measure(stage: Stage) -> list[Figure]:
    """At a fixed rate, whatever becomes of the calls before; a refusal ends the run."""
    async with stage.database() as database:
        admin = await asyncpg.connect(database.dsn, server_settings={"search_path": "ingest"})
        try:
            assert database.settings.vault_key is not None
            vault = Vault(b64decode(database.settings.vault_key.get_secret_value()))
            began_at = RealClock().now()
            made = await sources.add(admin, vault, began_at, SHOP, KIND, "", {}, SECRET)
            given = environment(database.settings)
            ingest = Process("ingest", given, stage.folder / "ingest.log", folder=stage.folder)
            calls = list(_calls(made.path, began_at, stage.amount(OFFERED_PER_S * (WARM_UP_S + OFFERED_S))))
            warm_up = len(calls) * WARM_UP_S // (WARM_UP_S + OFFERED_S)
            async with running([ingest]):
                await asyncio.to_thread(offer, ingest.port, calls[:warm_up], OFFERED_PER_S, CONNECTIONS)
                run = await asyncio.to_thread(offer, ingest.port, calls[warm_up:], OFFERED_PER_S, CONNECTIONS)
            told = await admin.fetchval(TOLD)
            if told != len(calls):  # each call tells one thing more of its order
                raise RuntimeError(f"{len(calls)} calls were answered, {told} events are in the outbox")
        finally:
            await admin.close()
    what = f"a call of WooCommerce, {OFFERED_PER_S} a second for {run.seconds:.0f} s, none refused; durable"
    return [
        figures.time("hooks.p50", run.percentile_ms(0.5), "ms", what),
        figures.time("hooks.p99", run.percentile_ms(0.99), "ms", f"{what}; ceiling: what platforms ask for", WANTED_MS),
    ]


def _calls(path: str, now: datetime, count: int) -> Iterator[bytes]:
    """A hundred orders are placed, then paid, then completed; then the next hundred."""
    for number in range(count):
        block, place = divmod(number, ORDERS_AT_ONCE * len(STEPS))
        step, order = divmod(place, ORDERS_AT_ONCE)
        yield _call(path, block * ORDERS_AT_ONCE + order, step, now)


def _call(path: str, order: int, step: int, now: datetime) -> bytes:
    at = now - timedelta(hours=1)
    told = {
        "id": order + 1,
        "status": STEPS[step],
        "currency": "CNY",
        "total": "129.00",
        "customer_id": order % 5_000 + 1,
        "date_created_gmt": _written(at),
        "date_modified_gmt": _written(at + timedelta(minutes=step)),
        "date_paid_gmt": _written(at + timedelta(minutes=1)) if step else None,
        "date_completed_gmt": _written(at + timedelta(minutes=2)) if step > 1 else None,
        "billing": {"first_name": "Jane", "email": f"jane{order}@example.com", "phone": f"+86138{order:08}"},
        "line_items": [
            {"product_id": line, "name": "Tea", "quantity": 1, "price": 25.8, "total": "25.80"} for line in range(LINES)
        ],
        "refunds": [],
    }
    body = msgspec.json.encode(told)
    mac = b64encode(hmac.digest(SECRET.encode(), body, sha256)).decode()
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\nx-wc-webhook-topic: order.updated\r\n"
    head += f"x-wc-webhook-signature: {mac}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S")
