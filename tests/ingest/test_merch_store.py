"""A real shop's carts and purchases through Segment's door: every change of a cart, every order once, to the cent,
also when each upload comes three times over three connections at once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from common.contracts.ingest import CartItemAdded, CartItemRemoved, OrderPaid, OrderPlaced
from common.settings import Settings
from common.web.auth import create_key
from tests.ingest.conftest import rows_of
from tests.ingest.merch_store import Outcome, Row, folder, messages, reckoned, rows
from tests.ingest.test_kill import ingest_process

THEN = "frozen:2016-11-01T00:00:00+00:00"  # when it was news
SHOP = "merch: {zone: America/Los_Angeles, currency: USD, locale: en, preset: default}\n"
UPLOAD = 250  # messages
TIMEOUT_S = 60

# As they are known.
ADDED, REMOVED, ORDERS, CENTS = 36_078, 4_645, 2_887, 408_100_68


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return rows(folder(tmp_path_factory.mktemp("merch")))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("connections", [1, 3])
async def test_two_months_of_a_shop(
    told: list[Row], settings: Settings, admin: asyncpg.Connection, tmp_path: Path, connections: int
) -> None:
    found = await sent(messages(told), settings, admin, tmp_path, connections)
    assert (found.count("cart.item_added"), found.count("cart.item_removed")) == (ADDED, REMOVED)
    assert (len(found.orders), sum(found.orders.values())) == (ORDERS, CENTS)
    assert found == reckoned(told)


async def sent(
    all_messages: Sequence[dict[str, Any]],
    settings: Settings,
    admin: asyncpg.Connection,
    tmp_path: Path,
    connections: int,
) -> Outcome:
    """Uploads one after the other, each over all connections at once; what the bus has then."""
    shops = tmp_path / "shops.yaml"
    shops.write_text(SHOP)
    uploads = [{"batch": all_messages[first : first + UPLOAD]} for first in range(0, len(all_messages), UPLOAD)]
    key = await create_key(admin, "merch", ["ingest"])
    more = {"REGULARS_CLOCK": THEN, "REGULARS_SHOPS": str(shops)}
    async with ingest_process(settings, tmp_path / "ingest.log", **more) as process:
        clients = [
            httpx.AsyncClient(base_url=process.url, auth=(key, ""), timeout=TIMEOUT_S) for _ in range(connections)
        ]
        try:
            for upload in uploads:
                answers = await asyncio.gather(*(client.post("/v1/batch", json=upload) for client in clients))
                for answer in answers:
                    assert answer.is_success, answer.text
                    assert "rejected=0" in answer.headers["x-regulars-outcome"], answer.headers["x-regulars-outcome"]
        finally:
            for client in clients:
                await client.aclose()
    return await on_the_bus(admin)


async def on_the_bus(admin: asyncpg.Connection) -> Outcome:
    """Every order is placed once and paid once, and both say the same."""
    carts: Counter[tuple[str, str, int]] = Counter()
    placed: list[tuple[str, int]] = []
    paid: list[tuple[str, int]] = []
    people = set()
    for row in await rows_of(admin):
        people.add(row.event.customer_id)
        match row.event.data:
            case CartItemAdded(item) | CartItemRemoved(item):
                carts[row.event.type, item.item_id, item.quantity] += 1
            case OrderPlaced(order_id, amount):
                placed.append((order_id, amount.amount_minor))
            case OrderPaid(order_id, amount):
                paid.append((order_id, amount.amount_minor))
            case other:
                raise AssertionError(f"nobody said {other}")
    assert sorted(placed) == sorted(paid)
    assert len(placed) == len(dict(placed)), "an order was told twice"
    return Outcome(carts, dict(placed), len(people))
