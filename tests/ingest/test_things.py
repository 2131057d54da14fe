"""Carts and orders at the edge, on a real database: what comes of them on the bus, whoever tells it and how often."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from common.contracts.envelope import Data, Event
from common.settings import Settings
from ingest import edge, store
from ingest.domain.carts import Cart
from ingest.domain.orders import Order
from ingest.things import store as things_store
from ingest.things.forgetting import Forgetting
from ingest.things.store import KnownCart, KnownOrder
from tests.ingest.conftest import Ingest, Keys, assert_problem, open_ingest, rows_of
from tests.ingest.test_watermarks import HandClock

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HELD_CONTACT = "SELECT count(*) FROM vault WHERE field = 'phone'"


def said(id_: str, type_: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": type_, "subject": "ann", "data": data, **more}


def cart(id_: str, at: str | None = None, /, **items: int) -> dict[str, Any]:
    lines = [{"item_id": item_id, "quantity": quantity} for item_id, quantity in items.items()]
    return said(id_, "cart.updated", {"cart_id": "k1", "items": lines}, **({"time": at} if at else {}))


def order(id_: str, what: str, amount_minor: int | None = None, order_id: str = "o1", **more: Any) -> dict[str, Any]:
    time = {"time": more.pop("time")} if "time" in more else {}
    amount = {} if amount_minor is None else {"amount": {"amount_minor": amount_minor, "currency": "CNY"}}
    return said(id_, what, {"order_id": order_id, **amount, **more}, **time)


async def send(ingest: Ingest, keys: Keys, *events: dict[str, Any], historic: bool = False) -> int:
    """How many of them were new."""
    who = keys["operator" if historic else "sender"]
    params = {"historic": "true"} if historic else {}
    answer = await ingest.client.post("/v1/events", json=list(events), headers=who, params=params)
    assert answer.status_code == 202, answer.text
    return int(answer.json()["accepted"])


async def told(ingest: Ingest) -> list[tuple[str, ...]]:
    """Types on the bus, with what tells them apart."""
    found: list[tuple[str, ...]] = []
    for row in await rows_of(ingest.pool):
        data: Any = row.event.data
        if (item := getattr(data, "item", None)) is not None:
            found.append((row.event.type, f"{item.quantity} {item.item_id}"))
        elif (amount := getattr(data, "amount", None)) is not None:
            found.append((row.event.type, str(amount.amount_minor)))
        else:
            found.append((row.event.type,))
    return found


async def order_of(ingest: Ingest, keys: Keys, order_id: str = "o1") -> dict[str, Any]:
    answer = await ingest.client.get(f"/v1/orders/{order_id}", headers=keys["reader"])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_whole_cart_becomes_what_changed_in_it(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        assert await send(ingest, keys, cart("1", mug=2), cart("2", mug=1, lamp=1)) == 2  # in one flush
        assert await send(ingest, keys, cart("3", lamp=4)) == 1
        assert await send(ingest, keys, cart("3", lamp=4)) == 0
        assert await send(ingest, keys, cart("old", "2026-01-01T00:00:00Z", chair=1)) == 1
        assert await send(ingest, keys, cart("4")) == 1
        assert await told(ingest) == [
            ("cart.item_added", "2 mug"),
            ("cart.item_removed", "1 mug"),
            ("cart.item_added", "1 lamp"),
            ("cart.item_removed", "1 mug"),
            ("cart.item_added", "3 lamp"),
            ("cart.item_removed", "4 lamp"),
        ]
        rows = [row.event for row in await rows_of(ingest.pool)]
        assert [event.causation_id for event in rows] == ["1", "2", "2", "3", "3", "4"]
        assert len({event.id for event in rows}) == 6
        assert {event.customer_id for event in rows} == {"ann"}


async def test_carts_of_two_sources_are_two(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        await send(ingest, keys, cart("1", mug=1), cart("1", mug=2) | {"source": "till"})
        assert await told(ingest) == [("cart.item_added", "1 mug"), ("cart.item_added", "2 mug")]


async def test_what_stays_at_the_edge_still_tells_the_vault_whose_it_is(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        await send(ingest, keys, cart("1") | {"personal": {"phone": "+8613800138000"}})
        assert await told(ingest) == []
        assert await ingest.pool.fetchval(HELD_CONTACT) == 1


async def test_payments_in_parts_are_one_paid_order(settings: Settings, keys: Keys) -> None:
    received = "order.payment_received"
    async with open_ingest(settings) as ingest:
        await send(ingest, keys, order("1", received, 60, payment_id="a", time="2026-04-30T01:00:00Z"))
        await send(ingest, keys, order("2", "order.placed", 100, time="2026-04-30T00:00:00Z"))
        await send(ingest, keys, order("3", received, 60, payment_id="a"), order("4", "shipment.dispatched"))
        last = order("5", received, 40, payment_id="b", time="2026-04-30T02:00:00Z")
        await send(ingest, keys, last, order("6", "order.paid", 100))
        assert await told(ingest) == [("order.placed", "100"), ("shipment.dispatched",), ("order.paid", "100")]
        paid = (await rows_of(ingest.pool))[-1].event
        assert (paid.causation_id, paid.occurred_at) == ("5", datetime(2026, 4, 30, 2, tzinfo=UTC))
        known = await order_of(ingest, keys)
        assert (known["customer_id"], known["state"], known["currency"]) == ("ann", "dispatched", "CNY")
        assert (known["amount_minor"], known["paid_minor"]) == (100, 100)
        assert known["payments"] == {"a": 60, "b": 40}
        remarks = [(remark["event"], remark["why"]) for remark in known["remarks"]]
        assert remarks == [("order.payment_received", "repeated"), ("order.paid", "repeated")]


async def test_what_is_known_of_an_order_and_who_may_ask(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        await send(ingest, keys, order("1", "order.paid", 100, "s/1", time="2026-04-30T02:00:00Z"))
        await send(ingest, keys, order("2", "order.placed", 100, "s/1", time="2026-04-30T01:00:00Z"))
        await send(ingest, keys, order("3", "order.refunded", 130, "s/1", refund_id="r"))
        await send(ingest, keys, order("4", "shipment.dispatched", None, "s/1", shipment_id="p"))
        await send(ingest, keys, order("5", "shipment.delivered", None, "s/1"))
        known = await order_of(ingest, keys, "s/1")
        assert (known["state"], known["refunded_minor"], known["refunded_beyond_paid_minor"]) == ("delivered", 130, 30)
        assert known["stages"]["placed"]["at"] == "2026-04-30T01:00:00Z"
        assert known["stages"]["placed"]["heard_at"] > known["stages"]["paid"]["heard_at"]
        assert [(parcel["shipment_id"], list(parcel["steps"])) for parcel in known["shipments"]] == [
            ("p", ["dispatched"]),
            (None, ["delivered"]),
        ]
        assert [(remark["event"], remark["why"]) for remark in known["remarks"]] == [("order.placed", "late")]
        unknown = await ingest.client.get("/v1/orders/o9", headers=keys["reader"])
        assert_problem(unknown, 404, "Not Found")
        assert (await ingest.client.get("/v1/orders/s/1", headers=keys["sender"])).status_code == 403
        assert (await ingest.client.get("/v1/orders/s/1")).status_code == 401


async def test_a_history_goes_the_same_way(settings: Settings, keys: Keys) -> None:
    received = "order.payment_received"
    async with open_ingest(settings) as ingest:
        history = [
            order("1", "order.placed", 100, time="2020-01-01T00:00:00Z"),
            order("2", received, 100, payment_id="a", time="2020-01-02T00:00:00Z"),
            order("3", "order.paid", 100, time="2020-01-03T00:00:00Z"),
        ]
        assert await send(ingest, keys, *history, historic=True) == 3
        assert await told(ingest) == [("order.placed", "100"), ("order.paid", "100")]
        paid = (await rows_of(ingest.pool))[1].event
        assert (paid.historic, paid.received_at) == (True, datetime(2020, 1, 2, tzinfo=UTC))


def story(order_id: str, dice: random.Random) -> list[dict[str, Any]]:
    """All that is told of an order that is paid in three parts, each part by two who name it alike."""
    parts = [dice.randrange(1, 50) for _ in range(3)]
    events = [order(f"{order_id}-placed", "order.placed", sum(parts), order_id)]
    for number, part in enumerate(parts):
        for source in ("till", "shop"):
            paid = order(f"{order_id}-{number}", "order.payment_received", part, order_id, payment_id=f"p{number}")
            events.append(paid | {"source": source})
    events += [order(f"{order_id}-{way}", "order.completed", sum(parts), order_id) for way in ("once", "twice")]
    events += [order(f"{order_id}-{p}", "shipment.dispatched", None, order_id, shipment_id=p) for p in ("x", "y")]
    return [event | {"subject": f"c-{order_id}"} for event in events]


async def test_three_senders_at_once_through_two_ingests_tell_one_story(settings: Settings, keys: Keys) -> None:
    """In any order, in batches cut anywhere: each order is paid once, and not before it was placed."""
    dice = random.Random(7)
    stories = {f"o{n}": story(f"o{n}", dice) for n in range(40)}
    events = [event for each in stories.values() for event in each]
    async with open_ingest(settings) as one, open_ingest(settings) as two:

        async def sends(sender: int) -> int:
            mine_dice = random.Random(sender)
            mine = mine_dice.sample(events, len(events))
            ends = [0, *sorted(mine_dice.sample(range(1, len(mine)), 30)), len(mine)]
            new = 0
            for start, end in pairwise(ends):
                new += await send(mine_dice.choice((one, two)), keys, *mine[start:end])
            return new

        assert sum(await asyncio.gather(*(sends(sender) for sender in range(3)))) == len(events)
        of_order: dict[str, list[Event[Data]]] = {}
        for row in await rows_of(one.pool):
            data: Any = row.event.data
            of_order.setdefault(data.order_id, []).append(row.event)
        for order_id, sent in stories.items():
            types = [event.type for event in of_order[order_id]]
            wanted = ["order.completed", "order.paid", "order.placed", "shipment.dispatched", "shipment.dispatched"]
            assert sorted(types) == wanted
            assert types.index("order.placed") < types.index("order.paid")  # which follows from it
            known = await order_of(two, keys, order_id)
            amount = sent[0]["data"]["amount"]["amount_minor"]
            assert (known["amount_minor"], known["paid_minor"], known["state"]) == (amount, amount, "completed")


KEY = ("shop", "o1")


async def test_a_row_of_a_later_transaction_overtakes_ours(pool: asyncpg.Pool) -> None:
    """What follows from it would be read before it."""
    async with pool.acquire() as ours, pool.acquire() as theirs:
        async with ours.transaction():
            await ours.fetchval(store.TAKE_TRANSACTION_ID)
            async with theirs.transaction():
                await things_store.save_orders(theirs, {KEY: KnownOrder(Order())})
                await things_store.save_carts(theirs, {(*KEY, "k"): KnownCart(Cart(NOW))}, NOW.date())
            with pytest.raises(store.Overtaken):
                await things_store.lock_orders(ours, [KEY])
            with pytest.raises(store.Overtaken):
                await things_store.lock_carts(ours, [(*KEY, "k")])
        async with ours.transaction():  # the next try
            assert await things_store.lock_orders(ours, [KEY]) == {KEY: KnownOrder(Order(), 1)}
            assert await things_store.lock_carts(ours, [(*KEY, "k")]) == {(*KEY, "k"): KnownCart(Cart(NOW), 1)}


async def test_a_row_made_after_we_looked_is_not_written_over(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as ours, pool.acquire() as theirs, ours.transaction():
        assert await things_store.lock_orders(ours, [KEY]) == {}
        assert await things_store.lock_carts(ours, [(*KEY, "k")]) == {}
        await things_store.save_orders(theirs, {KEY: KnownOrder(Order(currency="CNY"))})
        await things_store.save_carts(theirs, {(*KEY, "k"): KnownCart(Cart(NOW))}, NOW.date())
        with pytest.raises(store.Overtaken):
            await things_store.save_orders(ours, {KEY: KnownOrder(Order(currency="EUR"))})
        with pytest.raises(store.Overtaken):
            await things_store.save_carts(ours, {(*KEY, "k"): KnownCart(Cart(NOW))}, NOW.date())
    async with pool.acquire() as connection:
        found = await things_store.order_of(connection, *KEY)
    assert found == Order(currency="CNY")


async def test_a_flush_that_was_overtaken_is_tried_again(
    settings: Settings, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_ingest(settings) as ingest:
        lock, tries = things_store.lock_orders, list[Sequence[Any]]()

        async def overtaken_once(connection: Any, order_keys: Sequence[Any]) -> Any:
            tries.append(order_keys)
            if len(tries) == 1:
                raise store.Overtaken
            return await lock(connection, order_keys)

        monkeypatch.setattr(things_store, "lock_orders", overtaken_once)
        assert await send(ingest, keys, order("1", "order.placed", 100)) == 1
        assert tries == [[KEY], [KEY]]
        assert await told(ingest) == [("order.placed", "100")]


async def test_flushes_of_one_process_never_overtake_each_other(
    settings: Settings, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go one behind the other: none does its work twice, however many tell of the same new orders."""
    settle, overtaken = edge.settle, list[str]()

    async def watched(*given: Any) -> edge.Decided:
        try:
            return await settle(*given)
        except store.Overtaken:
            overtaken.append("again")
            raise

    monkeypatch.setattr(edge, "settle", watched)
    async with open_ingest(settings) as ingest:

        async def tell(sender: int) -> None:
            for number in range(20):
                part = order(f"{sender}-{number}", "order.payment_received", 1, f"o{number}", payment_id=f"p{sender}")
                assert await send(ingest, keys, part) == 1

        await asyncio.gather(*(tell(sender) for sender in range(16)))
        assert overtaken == []
        assert {(await order_of(ingest, keys, f"o{number}"))["paid_minor"] for number in range(20)} == {16}


async def test_an_order_is_found_with_its_person_through_merges_and_splits(settings: Settings, keys: Keys) -> None:
    phone = {"personal": {"phone": "+8613912345678"}}
    async with open_ingest(settings) as ingest:

        async def ask(path: str, **body: str) -> None:
            answer = await ingest.client.post(f"/v1/customers/{path}", json=body, headers=keys["operator"])
            assert answer.status_code == 200, answer.text

        async def whose() -> list[str | None]:
            return [(await order_of(ingest, keys, f"o{number}"))["customer_id"] for number in (1, 2, 3)]

        await send(ingest, keys, order("1", "order.placed", 100, "o1") | phone | {"subject": "u1"})
        await send(ingest, keys, order("2", "order.placed", 100, "o2") | {"subject": "u2"})
        assert await send(ingest, keys, order("3", "order.placed", 100, "o3") | phone | {"subject": "u2"}) == 1
        assert await whose() == ["u1", "u1", "u1"]
        await send(ingest, keys, order("4", "order.paid", 100, "o2") | {"subject": "u2"})  # told of u1 meanwhile
        await ask("u2/split", reason="mother and son")
        assert await whose() == ["u1", "u2", "u2"]
        parcel = order("5", "shipment.dispatched", order_id="o3")
        del parcel["subject"]
        await send(ingest, keys, parcel)
        assert (await rows_of(ingest.pool))[-1].event.customer_id == "u2"
        await ask("u2/merge", into="u1")
        assert await whose() == ["u1", "u1", "u1"]


async def test_old_carts_are_forgotten_some_at_a_time(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.things.forgetting.CARTS_AT_ONCE", 3)
    clock = HandClock()
    clock.at = datetime(2026, 5, 1, tzinfo=UTC)
    days = [0, 89, 90, 91, 100, 200, 300]
    async with pool.acquire() as connection:
        for ago in days:
            touched: date = (clock.at - timedelta(days=ago)).date()
            await things_store.save_carts(connection, {("shop", "api", f"{ago}"): KnownCart(Cart(NOW))}, touched)
    forgetting = Forgetting(pool, clock)
    assert [await forgetting.forget() for _ in range(3)] == [3, 1, 0]
    left = await pool.fetch("SELECT cart_id FROM carts")
    assert {row["cart_id"] for row in left} == {"0", "89", "90"}
