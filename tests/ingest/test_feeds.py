"""Feeds against servers that speak the platforms' protocols: confirmed after the commit, and counted once whatever
happens to the connection, to either end of it or to the database."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from common.contracts.topics import INGEST_EVENTS
from common.retry import FOREVER, Retry
from common.settings import Settings
from common.telemetry import metrics
from ingest.connectors.taobao.parcels import TRACE
from ingest.feeds import feed, run
from ingest.feeds.pdd import Pinduoduo
from ingest.feeds.tmc import Tmc
from ingest.feeds.tmc_frames import CONFIRM, KIND, SEND, Frame, encode
from ingest.flusher import Away, Flusher
from tests.contract.waiting import until
from tests.ingest.conftest import Ingest, Keys, open_ingest
from tests.ingest.gateways import SECRET, Gateway, PddGateway, TmcGateway

OFTEN_S = 0.05
EVENTS = INGEST_EVENTS.name
KINDS = ["taobao", "pinduoduo"]
GATEWAYS: dict[str, type[Gateway]] = {"taobao": TmcGateway, "pinduoduo": PddGateway}
APP = {"taobao": "app_key", "pinduoduo": "client_id"}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shop waits seconds for."""
    monkeypatch.setattr(run, "LOOK_S", OFTEN_S)
    monkeypatch.setattr(feed, "AGAIN", Retry(first_ms=20, factor=2.0, max_ms=200, max_tries=FOREVER))
    monkeypatch.setattr(Tmc, "beat_s", OFTEN_S)
    monkeypatch.setattr(Pinduoduo, "beat_s", OFTEN_S)


@pytest.fixture
async def here(settings: Settings) -> AsyncIterator[Ingest]:
    async with open_ingest(settings) as opened:
        yield opened


@pytest.fixture(params=KINDS)
async def gateway(request: pytest.FixtureRequest, pool: asyncpg.Pool) -> AsyncIterator[Gateway]:
    """Either of them; it knows what is committed."""

    async def known() -> int:
        return int(await pool.fetchval("SELECT count(*) FROM seen"))

    async with GATEWAYS[request.param](known).running() as running:
        yield running


def kind_of(gateway: Gateway) -> str:
    return next(kind for kind, type_ in GATEWAYS.items() if isinstance(gateway, type_))


def shipped(gateway: Gateway, number: int) -> tuple[str, dict[str, Any]]:
    """A message of which there is one event."""
    tid = f"260101-{number}"
    if isinstance(gateway, TmcGateway):
        return "taobao_trade_TradeSellerShip", {"tid": tid, "buyer_nick": f"nick{number}"}
    return "pdd_trade_TradeSellerShip", {"tid": tid, "modified": 1767232800000 + number}


async def source(here: Ingest, keys: Keys, gateway: Gateway, secret: str = SECRET, address: str = "") -> str:
    kind = kind_of(gateway)
    options = {"connect": True, APP[kind]: "app1", "address": address or gateway.address}
    answer = await here.client.post(
        "/v1/sources", json={"kind": kind, "options": options, "secret": secret}, headers=keys["operator"]
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["source_id"])


async def events(pool: asyncpg.Pool) -> list[dict[str, Any]]:
    """What stands in the outbox, but the ticks and what is told of people."""
    found = await pool.fetch("SELECT body FROM outbox WHERE topic = $1 AND key <> '' ORDER BY xid, id", EVENTS)
    return [event for row in found if not (event := json.loads(row["body"]))["type"].startswith("customer.")]


async def told(pool: asyncpg.Pool) -> list[tuple[str, str]]:
    return [(event["type"], event["data"]["order_id"]) for event in await events(pool)]


def all_confirmed(gateway: Gateway, count: int) -> Callable[[], Any]:
    async def holds() -> bool:
        return len(gateway.confirmed) == count and not gateway.waiting

    return holds


async def said(pool: asyncpg.Pool) -> str:
    return str(await pool.fetchval("SELECT string_agg(said, ';') FROM feeds"))


async def says(pool: asyncpg.Pool, words: str) -> None:
    async def holds() -> bool:
        return words in await said(pool)

    await until(holds, f"the feed says {words!r}")


async def test_what_is_handed_out_is_confirmed_when_it_is_committed(here: Ingest, keys: Keys, gateway: Gateway) -> None:
    opened = metrics.FEED_CONNECTIONS.labels(kind_of(gateway), "opened")._value.get
    before = opened()
    source_id = await source(here, keys, gateway)
    for number in range(100):
        gateway.put(shipped(gateway, number))
    await until(all_confirmed(gateway, 100), "all are confirmed")
    assert sorted(await told(here.pool)) == sorted(("shipment.dispatched", f"260101-{n}") for n in range(100))
    # At its confirmation each was known, and so were all confirmed before it.
    assert all(known > before for before, (_, known) in enumerate(gateway.confirmed))
    assert {event["source"] for event in await events(here.pool)} == {source_id}
    await says(here.pool, "connected")
    (listed,) = (await here.client.get("/v1/sources", headers=keys["operator"])).json()["items"]
    assert listed["connection"] == "connected"
    assert opened() == before + 1
    assert gateway.beats > 0


async def test_what_cannot_be_converted_is_kept_and_confirmed(
    here: Ingest, keys: Keys, gateway: Gateway, admin: asyncpg.Connection
) -> None:
    source_id = await source(here, keys, gateway)
    topic, content = shipped(gateway, 1)
    gateway.put((topic, content | {"tid": None}), (topic, "no JSON 13800138000"), (topic, content), ("unheard_of", {}))
    await until(all_confirmed(gateway, 4), "all are confirmed, the bad ones too")
    assert await told(here.pool) == [("shipment.dispatched", "260101-1")]
    letters = await admin.fetch("SELECT * FROM ingest.dead_letters ORDER BY path")
    assert {letter["topic"] for letter in letters} == {f"hooks/{source_id}"}
    assert [letter["path"].removeprefix("$.message") for letter in letters] == ["$.content", "$.content.tid"] or [
        letter["path"] for letter in letters
    ] == ["$.message.content", "$.message.content.tid"]
    assert not [letter for letter in letters if b"13800138000" in letter["body"]]


async def test_a_frame_that_cannot_be_read_is_passed_over(here: Ingest, keys: Keys, gateway: Gateway) -> None:
    await source(here, keys, gateway)
    gateway.put(b"\xff\xfe no frame", shipped(gateway, 1))

    async def rest_is_confirmed() -> bool:
        return len(gateway.confirmed) == 1

    await until(rest_is_confirmed, "the one behind it is confirmed")
    assert await told(here.pool) == [("shipment.dispatched", "260101-1")]


async def test_a_connection_that_breaks_in_the_middle(here: Ingest, keys: Keys, gateway: Gateway) -> None:
    """Again and again; what had not been confirmed is handed out again, and counts once."""
    for number in range(40):
        gateway.put(shipped(gateway, number))
    gateway.drop_after = 7
    await source(here, keys, gateway)

    async def came_again() -> bool:
        if gateway.came < 4 and gateway.drop_after is None:
            gateway.drop_after = 9
        return gateway.came >= 4

    await until(came_again, "it connects again")
    gateway.drop_after = None
    await gateway.close_all()
    await until(all_confirmed(gateway, 40), "all are confirmed")
    assert len(gateway.handed_out) > 40
    assert sorted(await told(here.pool)) == sorted(("shipment.dispatched", f"260101-{n}") for n in range(40))


async def test_nobody_listens_at_first(here: Ingest, keys: Keys, pool: asyncpg.Pool) -> None:
    gateway = TmcGateway()
    async with gateway.running():
        port = gateway.port
    await source(here, keys, gateway, address=f"ws://127.0.0.1:{port}")
    await says(pool, "Refused")
    gateway.put(shipped(gateway, 1))
    async with gateway.running(port):
        await until(all_confirmed(gateway, 1), "it connects when somebody does")
        await says(pool, "connected")


async def test_a_wrong_secret_is_refused_until_it_is_mended(here: Ingest, keys: Keys, gateway: Gateway) -> None:
    gateway.put(shipped(gateway, 1))
    if isinstance(gateway, TmcGateway):
        gateway.code_bits = 16
    source_id = await source(here, keys, gateway, secret="another-secret")
    await says(here.pool, "refused: sign check error" if isinstance(gateway, TmcGateway) else "refused: HTTP 403")
    assert await told(here.pool) == []
    answer = await here.client.post(
        f"/v1/sources/{source_id}/secrets", json={"secret": SECRET}, headers=keys["operator"]
    )
    assert answer.status_code == 201
    await until(all_confirmed(gateway, 1), "it connects with the new secret")
    # The older one is good for some days more: a process that meets its end uses the newer.
    await gateway.close_all()
    gateway.put(shipped(gateway, 2))
    await until(all_confirmed(gateway, 2), "and again")


async def test_the_older_of_two_secrets_serves_until_the_platform_has_the_newer(
    here: Ingest, keys: Keys, gateway: Gateway
) -> None:
    source_id = await source(here, keys, gateway)
    await says(here.pool, "connected")
    await here.client.post(
        f"/v1/sources/{source_id}/secrets", json={"secret": "not-yet-there"}, headers=keys["operator"]
    )
    gateway.put(shipped(gateway, 1))
    await until(all_confirmed(gateway, 1), "by the older")


async def test_a_death_between_commit_and_confirmation(
    here: Ingest, keys: Keys, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths = 0
    conversation = Tmc if isinstance(gateway, TmcGateway) else Pinduoduo
    confirm = conversation.confirm

    def dies(self: Any, receipt: Any, now: Any) -> Any:
        nonlocal deaths
        if deaths < 3:
            deaths += 1
            raise RuntimeError("killed")
        return confirm(self, receipt, now)

    monkeypatch.setattr(conversation, "confirm", dies)
    await source(here, keys, gateway)
    for number in range(5):
        gateway.put(shipped(gateway, number))
    await until(all_confirmed(gateway, 5), "all are confirmed in the end")
    assert deaths == 3
    assert len(gateway.handed_out) > 5
    assert sorted(await told(here.pool)) == [("shipment.dispatched", f"260101-{n}") for n in range(5)]


async def test_a_process_that_ends_leaves_the_rest_to_the_next(
    settings: Settings, keys: Keys, gateway: Gateway, pool: asyncpg.Pool
) -> None:
    """It is stopped after the commit, and its confirmations are lost: the next one is handed all of it again."""
    gateway.deaf = 3
    for number in range(3):
        gateway.put(shipped(gateway, number))
    async with open_ingest(settings) as first:
        await source(first, keys, gateway)

        async def lost() -> bool:
            return gateway.deaf == 0

        await until(lost, "its confirmations are lost")
    assert gateway.confirmed == []
    assert len(await told(pool)) == 3
    async with open_ingest(settings):
        await until(all_confirmed(gateway, 3), "the next one confirms them")
    assert len(await told(pool)) == 3


async def test_a_database_that_is_away_has_nothing_confirmed(
    here: Ingest, keys: Keys, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, tries = Flusher.submit, 0

    async def away(self: Any, *args: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise Away("the database does not answer")
        return await submit(self, *args)

    monkeypatch.setattr(Flusher, "submit", away)
    await source(here, keys, gateway)
    gateway.put(shipped(gateway, 1))
    await until(all_confirmed(gateway, 1), "confirmed when it is back")
    assert tries == 4
    assert gateway.handed_out == [gateway.confirmed[0][0]] * 4


async def test_two_processes_connect_once(settings: Settings, keys: Keys, gateway: Gateway, pool: asyncpg.Pool) -> None:
    """And when the one that does is stopped, the other takes it over."""
    async with open_ingest(settings) as second:
        async with open_ingest(settings) as first:
            await source(first, keys, gateway)
            gateway.put(shipped(gateway, 1))
            await until(all_confirmed(gateway, 1), "one of them has connected")
            looks = gateway.beats

            async def looked_often() -> bool:
                return gateway.beats > looks + 10

            await until(looked_often, "the other one has looked for work")
            assert len(gateway.connections) == 1
            (holder,) = [row["holder"] for row in await pool.fetch("SELECT holder FROM feeds")]
        gateway.put(shipped(gateway, 2))
        await until(all_confirmed(gateway, 2), "whoever is left confirms")
        assert second.pool is not first.pool
        assert gateway.came in (1, 2)
        if gateway.came == 2:
            assert await pool.fetchval("SELECT holder FROM feeds") != holder


async def test_options_that_change_are_heeded(here: Ingest, keys: Keys, gateway: Gateway) -> None:
    source_id = await source(here, keys, gateway)
    await says(here.pool, "connected")
    await here.pool.execute(
        "UPDATE sources SET options = options || '{\"connect\": false}' WHERE source_id = $1", source_id
    )

    async def gone() -> bool:
        return not gateway.connections

    await until(gone, "it has disconnected")
    gateway.put(shipped(gateway, 1))
    await here.pool.execute(
        "UPDATE sources SET options = options || '{\"connect\": true}' WHERE source_id = $1", source_id
    )
    await until(all_confirmed(gateway, 1), "and is back")


async def test_an_order_s_story_on_taobao(here: Ingest, keys: Keys, pool: asyncpg.Pool) -> None:
    """Out of order, twice, and completed without an amount: that is the payment's. A parcel is known by its order."""
    async with TmcGateway().running() as gateway:
        await source(here, keys, gateway)
        buyer = {"tid": 4153871521512345678, "buyer_nick": "小明", "buyer_open_uid": "AAH5"}
        trace = {"tid": "4153871521512345678", "action": "SENT_CITY", "desc": "[杭州市]", "out_sid": "SF1",
                 "time": "2026-01-03 10:00:00"}  # fmt: skip
        messages = [
            ("taobao_trade_TradeSuccess", buyer),
            (TRACE, trace),
            ("taobao_trade_TradeBuyerPay", buyer | {"payment": "30.36"}),
            ("taobao_trade_TradeCreate", buyer | {"payment": "30.36"}),
        ]
        for message in messages * 2:
            gateway.put(message)
            await until(all_confirmed(gateway, len(gateway.confirmed) + 1), "it is confirmed")
    story = await events(pool)
    assert sorted(event["type"] for event in story) == [
        "order.completed", "order.paid", "order.placed", "shipment.arrived_in_city",
    ]  # fmt: skip
    assert len({event["subject"] for event in story}) == 1  # the parcel's too
    (completed,) = [event["data"] for event in story if event["type"] == "order.completed"]
    assert completed == {"order_id": "4153871521512345678", "amount": {"amount_minor": 3036, "currency": "CNY"}}


async def test_options_are_checked(here: Ingest, keys: Keys) -> None:
    for kind in KINDS:
        for options in ({"connect": True}, {"address": "http://x"}, {"connect": "yes", APP[kind]: "a"}):
            answer = await here.client.post(
                "/v1/sources", json={"kind": kind, "options": options}, headers=keys["operator"]
            )
            assert answer.status_code == 422, (kind, options)
    assert encode(Frame(SEND, {KIND: CONFIRM}))
