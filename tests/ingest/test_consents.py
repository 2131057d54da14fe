"""Consents: what is so now is by the newest statement, in whatever order they come, and nobody is told otherwise."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from common.contracts.envelope import Data, Event
from common.contracts.ingest import ConsentChanged, CustomerMerged, CustomerSplit
from common.settings import Settings
from ingest import consents
from ingest.store import Overtaken
from ingest.vault import Vault
from tests.contract.waiting import until
from tests.ingest.conftest import MASTER_KEY, Ingest, Keys, open_ingest, rows_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
async def here(settings: Settings) -> AsyncIterator[Ingest]:
    async with open_ingest(settings) as opened:
        yield opened


def said(id_: str, granted: bool, minute: int, channel: str = "sms", **more: Any) -> dict[str, Any]:
    data = {"channel": channel, "purpose": "marketing", "granted": granted}
    at = (NOON + timedelta(minutes=minute)).isoformat()
    return {"id": id_, "type": "consent.changed", "subject": "ann", "time": at, "data": data | more}


async def tell(here: Ingest, keys: Keys, *events: dict[str, Any]) -> None:
    for event in events:
        answer = await here.client.post("/v1/events", json=event, headers=keys["sender"])
        assert answer.status_code == 202, answer.text


async def shown(here: Ingest, keys: Keys, who: str = "reader") -> dict[str, Any]:
    answer = await here.client.get("/v1/customers/ann/consents", headers=keys[who])
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_late_statement_is_history_and_not_news(here: Ingest, keys: Keys) -> None:
    proof = {"personal": {"consent_proof": "ticked the box, 203.0.113.9"}}
    await tell(here, keys, said("e1", True, 1, via="checkout") | proof, said("e3", False, 3, via="STOP"))
    await tell(here, keys, said("e2", True, 2, via="old form"), said("e4", True, 0, channel="email"))
    told = [(row.event.id, row.event.type) for row in await rows_of(here.pool)]
    assert told == [(id_, "consent.changed") for id_ in ("e1", "e3", "e4")]
    body = await shown(here, keys)
    assert [(one["channel"], one["granted"], one["via"]) for one in body["current"]] == [
        ("email", True, None),
        ("sms", False, "STOP"),
    ]
    history = [(one["granted"], one["via"], one["told"], one["proof"]) for one in body["history"]]
    assert history == [
        (False, "STOP", True, None),
        (True, "old form", False, None),
        (True, "checkout", True, None),
        (True, None, True, None),
    ]
    opened = (await shown(here, keys, "admin"))["history"]
    assert [one["proof"] for one in opened if one["proof"]] == ["ticked the box, 203.0.113.9"]
    await tell(here, keys, said("e3", False, 3, via="STOP"))  # a repeat is none
    assert len((await shown(here, keys))["history"]) == 4
    assert (await shown(here, keys, "reader"))["current"][1]["source"] == "api"
    denied = await here.client.get("/v1/customers/ann/consents", headers=keys["sender"])
    assert denied.status_code == 403


async def test_each_statement_is_shown_with_its_own_proof(here: Ingest, keys: Keys) -> None:
    """Two sources may call an event the same. What was kept before names held the source is found as well."""
    for source in ("api", "till"):
        await tell(here, keys, said("e1", True, 1) | {"source": source, "personal": {"consent_proof": source}})
    await tell(here, keys, said("e2", True, 2, channel="email"))
    vault = Vault(MASTER_KEY)
    async with here.pool.acquire() as connection:
        await vault.keep(connection, [(("shop", "ann"), "consent_proof:e2", "of old")])
    history = (await shown(here, keys, "admin"))["history"]
    assert sorted((one["channel"], one["source"], one["proof"]) for one in history) == [
        ("email", "api", "of old"),
        ("sms", "api", "api"),
        ("sms", "till", "till"),
    ]


def event(number: int, data: Data, minute: int, customer_id: str = "ann") -> Event[Data]:
    return Event(
        specversion="1.0",
        id=f"e{number}",
        source="api",
        type=data.TYPE,
        shop_id="shop",
        customer_id=customer_id,
        occurred_at=NOON + timedelta(minutes=minute),
        received_at=NOON + timedelta(days=1),
        data=data,
    )


async def current(connection: Any, customer_id: str = "ann") -> dict[str, bool]:
    rows = await connection.fetch(consents.CURRENT, "shop", [customer_id])
    return {row["channel"]: row["granted"] for row in rows}


def replayed(told: Sequence[Event[Data]]) -> dict[str, bool]:
    """What a listener makes of what it is told, in the order in which it is told."""
    state: dict[str, bool] = {}
    for one in told:
        assert isinstance(one.data, ConsentChanged)
        state[one.data.channel] = one.data.granted
    return state


@pytest.mark.parametrize("seed", range(40))
async def test_in_any_order_it_comes_to_the_same(pool: asyncpg.Pool, seed: int) -> None:
    """Cut into any batches, with statements of one moment among them: so it is here, and with every listener."""
    dice = random.Random(seed)
    statements = [
        event(n, ConsentChanged(dice.choice(("sms", "email")), "marketing", dice.random() < 0.5), dice.randrange(5))
        for n in range(dice.randrange(1, 9))
    ]
    expected: dict[str, tuple[datetime, bool]] = {}
    for one in statements:
        assert isinstance(one.data, ConsentChanged)
        rank = (one.occurred_at, not one.data.granted)
        expected[one.data.channel] = max(rank, expected.get(one.data.channel, rank))
    dice.shuffle(statements)
    told: list[Event[Data]] = []
    while statements:
        size = dice.randrange(1, len(statements) + 1)
        batch, statements = statements[:size], statements[size:]
        async with pool.acquire() as connection, connection.transaction():
            stale = await consents.note(connection, batch)
        told += [one for one in batch if ("shop", "api", one.id) not in stale]
    wanted = {channel: not forbids for channel, (_, forbids) in expected.items()}
    async with pool.acquire() as connection:
        assert await current(connection) == replayed(told) == wanted


async def test_a_flush_that_was_overtaken_is_tried_again(pool: asyncpg.Pool) -> None:
    """What a transaction that began later has written stands on the bus behind ours: ours must come after it."""
    async with pool.acquire() as first, pool.acquire() as second:
        started = first.transaction()
        await started.start()
        await first.fetchval("SELECT pg_current_xact_id()")
        async with second.transaction():
            await consents.note(second, [event(1, ConsentChanged("sms", "marketing", True), 1)])
        with pytest.raises(Overtaken):
            await consents.note(first, [event(2, ConsentChanged("sms", "marketing", False), 2)])
        await started.rollback()


async def test_one_waits_for_the_other(pool: asyncpg.Pool) -> None:
    async with asyncio.TaskGroup() as tasks, pool.acquire() as first, pool.acquire() as second:
        async with first.transaction():
            await consents.note(first, [event(2, ConsentChanged("sms", "marketing", False), 2)])

            async def late() -> set[Any]:
                async with second.transaction():
                    return set(await consents.note(second, [event(1, ConsentChanged("sms", "marketing", True), 1)]))

            task = tasks.create_task(late())

            async def waits() -> bool:
                return bool(await first.fetchval(WAITING))

            await until(waits, "the second waits for the first")
        assert await task == {("shop", "api", "e1")}
        assert await current(first) == {"sms": False}


async def test_consents_go_along_when_people_are_merged_and_back(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:

        async def note(*events: Event[Data]) -> set[Any]:
            async with connection.transaction():
                return set(await consents.note(connection, events))

        await note(event(1, ConsentChanged("sms", "marketing", True), 1, "ann"))
        await note(event(2, ConsentChanged("sms", "marketing", False), 2, "bob"))
        await note(event(3, ConsentChanged("email", "marketing", True), 2, "bob"))
        await note(event(4, CustomerMerged("ann"), 3, "bob"))
        assert await current(connection, "ann") == {"sms": False, "email": True}
        # What bob forbade holds against what ann had allowed before, however late that comes.
        assert await note(event(5, ConsentChanged("sms", "marketing", True), 1, "ann")) == {("shop", "api", "e5")}
        await note(event(6, CustomerSplit("ann"), 4, "bob"))
        assert await current(connection, "ann") == {"sms": True}
        assert await current(connection, "bob") == {"sms": False, "email": True}
