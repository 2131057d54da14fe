"""Classes made of personal data, as a running ingest tells them: where they are news of a customer, and once, whoever
writes at the same time."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from msgspec import json, structs

from common.contracts.ingest import CustomerErased, CustomerUpdated
from common.settings import Settings
from ingest import consents
from ingest.classes import settling
from ingest.classes import store as classes_store
from ingest.classes.store import KnownTold
from ingest.domain.told_classes import Told
from ingest.store import Overtaken
from tests.contract.waiting import until
from tests.ingest.conftest import Ingest, Keys, is_of_classes, open_ingest, rows_of, visit
from tests.ingest.flushing import NOW, accepted, flushing, until_blocked

PERSONAL = {"phone": "+8613800138000", "email": "wang@zju.edu.cn", "address": "杭州市西湖区浙江大学 3 舍"}
CLASSES = {
    "phone_type": "mobile",
    "phone_carrier": "china_mobile",
    "email_class": "school",
    "email_provider": None,
    "occupation": "student",
}
OFFICE = PERSONAL | {"address": "杭州市某某写字楼"}
KEPT = "SELECT body FROM ingest.told_classes WHERE customer_id = $1"


def order(id_: str, **more: Any) -> dict[str, Any]:
    amount = {"amount_minor": 100, "currency": "CNY"}
    return {"id": id_, "type": "order.placed", "data": {"order_id": f"o-{id_}", "amount": amount}} | more


@pytest.fixture
async def here(settings: Settings) -> AsyncIterator[Ingest]:
    async with open_ingest(settings) as opened:
        yield opened


async def send(here: Ingest, keys: Keys, *events: dict[str, Any]) -> None:
    for event in events:
        answer = await here.client.post("/v1/events", json=event, headers=keys["sender"])
        assert answer.status_code == 202, answer.text


async def told(pool: asyncpg.Pool) -> list[tuple[str, str, Any]]:
    """Beside which event, of whom, of what kind of address."""
    rows = [row.event for row in await rows_of(pool, classes=True)]
    return [
        (event.causation_id, event.customer_id, event.data.attributes.get("occupation"))
        for event in rows
        if is_of_classes(event) and isinstance(event.data, CustomerUpdated)
    ]


async def do(here: Ingest, keys: Keys, what: str, **body: str) -> None:
    who = keys["admin" if what.endswith("erase") else "operator"]
    answer = await here.client.post(f"/v1/customers/{what}", json=body or None, headers=who)
    assert answer.status_code == 200, answer.text


async def test_told_once_however_often_it_comes(here: Ingest, keys: Keys) -> None:
    event = order("e1", identities={"anonymous": "b1"}, personal=PERSONAL)
    for status in ("accepted", "duplicate", "duplicate"):
        answer = await here.client.post("/v1/events", json=event, headers=keys["sender"])
        assert answer.json() == {"id": "e1", "status": status}
    placed, beside = (row.event for row in await rows_of(here.pool, classes=True))
    assert beside.data == CustomerUpdated(attributes=CLASSES)
    assert (beside.customer_id, beside.causation_id) == (placed.customer_id, "e1")
    assert (beside.occurred_at, beside.received_at) == (placed.occurred_at, placed.received_at)


async def test_who_is_called_by_a_name_stays_one(here: Ingest, keys: Keys) -> None:
    masked = {"phone": "139****5678", "email": "guest@shop.cn", "address": PERSONAL["address"]}
    nobody = {"id": "e1", "type": "visit", "personal": masked}
    events = [nobody, order("e2", personal=masked), order("e3", personal=PERSONAL)]
    answer = await here.client.post("/v1/events", json=events, headers=keys["sender"])
    assert answer.json()["accepted"] == 3
    events_told = [row.event for row in await rows_of(here.pool, classes=True)]
    by = {event.causation_id: event.customer_id for event in events_told if is_of_classes(event)}
    assert by == {event.id: event.customer_id for event in events_told if event.id in ("e2", "e3")}
    assert len({event.customer_id for event in events_told}) == 3


async def test_only_what_has_changed_is_told(here: Ingest, keys: Keys) -> None:
    of = {"subject": "ann", "personal": PERSONAL}
    await send(here, keys, order("e1", **of), order("e2", **of), visit("e3", **of))
    await send(here, keys, order("e4", subject="ann", personal=OFFICE), order("e5", subject="ann", personal=OFFICE))
    own = {"attributes": {"occupation": "retired at 西湖"}}
    await send(here, keys, visit("e6", type="customer.updated", data=own), order("e7", subject="ann", personal=OFFICE))
    assert await told(here.pool) == [("e1", "ann", "student"), ("e4", "ann", "office"), ("e7", "ann", "office")]
    kept = json.decode(await here.pool.fetchval(KEPT, "ann"))
    assert kept == {"classes": CLASSES | {"occupation": "office"}}
    assert await here.pool.fetchval("SELECT count(*) FROM seen") == 7


async def test_who_was_merged_is_told_of_as_who_lives_on_and_anew_once_split_off(here: Ingest, keys: Keys) -> None:
    await send(here, keys, order("e1", subject="ann", personal=PERSONAL | {"phone": "+8613900000001"}))
    office = OFFICE | {"phone": "+8613900000002", "email": "wang@qq.com"}
    await send(here, keys, order("e2", subject="bob", personal=office))
    await do(here, keys, "bob/merge", into="ann")
    await send(here, keys, order("e3", subject="bob", personal={"address": PERSONAL["address"]}))
    await send(here, keys, order("e4", subject="bob", personal={"address": OFFICE["address"]}))
    assert (await told(here.pool))[2:] == [("e4", "ann", "office")]
    # Of the mailbox it is told for a day that it is nobody's: what bob had may come only then.
    await send(here, keys, visit("e5", "ann", personal={"email": "ann@zju.edu.cn"}))
    assert json.decode(await here.pool.fetchval(KEPT, "bob")) == {"gone": True, "unknown": sorted(CLASSES)}
    await do(here, keys, "bob/split", reason="another")
    await send(here, keys, order("e6", subject="bob", personal={"address": OFFICE["address"]}))
    await send(here, keys, order("e7", subject="ann", personal={"address": OFFICE["address"]}))
    assert (await told(here.pool))[3:] == [("e5", "ann", None), ("e6", "bob", "office")]


async def test_after_an_erasure_everything_is_told_anew(here: Ingest, keys: Keys) -> None:
    await send(here, keys, order("e1", subject="ann", personal=PERSONAL))
    await do(here, keys, "ann/erase")
    assert await here.pool.fetchval(KEPT, "ann") == "{}"
    await send(here, keys, *(order(f"e{number}", subject="ann", personal=PERSONAL) for number in (2, 3)))
    assert [cause for cause, *_ in await told(here.pool)] == ["e1", "e2"]
    await do(here, keys, "nobody/erase")
    assert await here.pool.fetchval(KEPT, "nobody") is None


async def test_what_an_erasure_overtook_is_told_after_it(
    here: Ingest, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush that has taken its id, and looks at what was told only when the later erasure is done."""
    await send(here, keys, order("e1", subject="ann"))
    locked, erasures = classes_store.lock, iter(["ann/erase"])

    async def lock(*args: Any) -> Any:
        for erasure in erasures:
            await do(here, keys, erasure)
        return await locked(*args)

    monkeypatch.setattr(classes_store, "lock", lock)
    await send(here, keys, order("e2", subject="ann", personal=PERSONAL))
    rows = [row.event for row in await rows_of(here.pool, classes=True)]
    assert [type(event.data) for event in rows[1:2]] == [CustomerErased]
    assert [event.id for event in rows[2:3]] == ["e2"]
    assert [cause for cause, *_ in await told(here.pool)] == ["e2"]


async def test_an_erasure_and_a_flush_do_not_wait_in_a_circle(pool: asyncpg.Pool) -> None:
    """Of the two ids of a person something is known of the later one alone: a flush holds it, and then writes both."""
    ann, bob = keys = ("shop", "ann"), ("shop", "bob")
    async with pool.acquire() as flush, pool.acquire() as erasure:

        async def erasure_waits() -> bool:
            return bool(await flush.fetchval("SELECT pg_blocking_pids($1) <> '{}'", erasure.get_server_pid()))

        await classes_store.save(flush, {bob: KnownTold()})
        async with asyncio.TaskGroup() as tasks:
            async with flush.transaction():
                known = await classes_store.lock(flush, keys)
                forgotten = tasks.create_task(classes_store.forget(erasure, "shop", ["ann", "bob"], ["ann", "bob"]))
                await until(erasure_waits, "an erasure that waits for the flush")
                await classes_store.save(flush, {ann: KnownTold(), **known})
            await forgotten
        assert {key: each.revision for key, each in (await classes_store.lock(flush, keys)).items()} == {ann: 2, bob: 3}


async def test_a_flush_is_overtaken_where_somebody_was_merged_meanwhile(pool: asyncpg.Pool) -> None:
    event = structs.replace(accepted("e1", "ann"), classes={"occupation": "it"})
    key = event.event.shop_id, "ann"
    async with pool.acquire() as connection:
        await classes_store.save(connection, {key: KnownTold(Told(gone=True))})
        with pytest.raises(Overtaken):
            await settling.settle(connection, [event], NOW)
        assert (await classes_store.lock(connection, [key]))[key].revision == 1


async def test_a_flush_that_fails_has_told_nothing(here: Ingest, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any) -> Any:
        raise asyncpg.PostgresConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(consents, "note", fails)  # after they were settled
        failed = await here.client.post("/v1/events", json=order("e1", personal=PERSONAL), headers=keys["sender"])
        assert failed.status_code == 503
    assert await here.pool.fetchval("SELECT count(*) FROM told_classes") == 0
    await send(here, keys, order("e1", personal=PERSONAL))
    assert [cause for cause, *_ in await told(here.pool)] == ["e1"]


@pytest.mark.parametrize("seed", range(3))
async def test_two_flushers_at_once_tell_every_change_in_its_place(
    pool: asyncpg.Pool, settings: Settings, seed: int
) -> None:
    """In the order of the bus, beside each event stands a class exactly if it is another than the one told before."""
    dice = random.Random(seed)
    kinds = {f"e{number}": dice.choice(["it", "student"]) for number in range(60)}
    events = [
        structs.replace(accepted(id_, dice.choice(["ann", "bob"])), classes={"occupation": kind})
        for id_, kind in kinds.items()
    ]
    async with flushing(pool, settings) as one, flushing(pool, settings) as two, asyncio.TaskGroup() as tasks:
        for each in events:
            for flusher in dice.sample([one, two], dice.randint(1, 2)):
                tasks.create_task(flusher.submit([each], []))
    rows = [row.event for row in await rows_of(pool, classes=True)]
    assert {event.id for event in rows if not is_of_classes(event)} == kinds.keys()
    for name in ("ann", "bob"):
        mine = [event for event in rows if event.customer_id == name]
        brought = [event for event in mine if not is_of_classes(event)]
        news = brought[:1] + [b for a, b in pairwise(brought) if kinds[a.id] != kinds[b.id]]
        beside = [(event.causation_id, event.data) for event in mine if is_of_classes(event)]
        assert beside == [(e.id, CustomerUpdated(attributes={"occupation": kinds[e.id]})) for e in news]


async def test_two_who_tell_the_first_at_once(settings: Settings, keys: Keys, admin: asyncpg.Connection) -> None:
    """Two processes know of nothing told; both have looked, neither has written."""
    async with open_ingest(settings) as one, open_ingest(settings) as two:
        async with asyncio.TaskGroup() as tasks, admin.transaction():
            await admin.execute("LOCK TABLE ingest.told_classes IN SHARE MODE")  # who looks goes on
            # Without a name to write down, for which the one would wait for the other.
            for each, id_ in ((one, "e1"), (two, "e2")):
                tasks.create_task(send(each, keys, visit(id_, "ann", personal={"address": PERSONAL["address"]})))
            await until_blocked(admin, 2)
        assert len(await told(one.pool)) == 1
