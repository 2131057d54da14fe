"""Journeys and notifier beside segmentation on a real PostgreSQL: what people were sent decides where they are."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from common.bus.postgres import PostgresBus
from common.contracts.ingest import OrderPaid, OrderPlaced
from common.contracts.segmentation import SegmentEntered, SegmentLeft
from common.contracts.topics import DELIVERIES
from common.db.engine import open_pool
from common.decision import AN_INSTANT
from common.money import Money
from common.pipeline import Road
from common.service import Service
from common.web.app import create_app
from common.web.auth import KeyRing, create_key
from journeys import app as journeys
from journeys import presets as journeys_presets
from notifier import app as notifier
from segmentation.api import router
from tests.contract.waiting import until
from tests.laws.streams import CURRENCY, SHOP, START
from tests.segmentation.own_stage import SHOPS, Stage, open_stage

DAY, MINUTES = timedelta(days=1), timedelta(minutes=5)  # after an order that is not paid, a reminder in the app
WARNED_AT = START + 80 * DAY  # of who bought every twenty days, three times
AMOUNT = Money(10_000, CURRENCY)
SENT = "SELECT count(*) FROM notifier.outbox WHERE topic = $1 AND convert_from(body, 'UTF8')::json ->> 'type' = $2"
SILENT = "silent_to_messages"
Get = Callable[..., Awaitable[Mapping[str, Any]]]


@pytest.fixture
async def stage(fresh_database: str) -> AsyncIterator[Stage]:
    """With the roads of all three services."""
    async with open_stage(fresh_database) as stage, AsyncExitStack() as stack:
        await stack.enter_async_context(stage.one.running())
        services: tuple[Service[Any], ...] = (journeys.service(journeys_presets.load(SHOPS)), notifier.service())
        for service in services:
            pool = await stack.enter_async_context(open_pool(stage.settings, service.name))
            road = Road(service, pool, PostgresBus(pool, stage.bell), stage.clock, stage.settings, stage.bell)
            await stack.enter_async_context(stage.running(road))
        yield stage


@pytest.fixture
async def get(stage: Stage) -> AsyncIterator[Get]:
    app = create_app("test", [router(stage.pool, SHOPS, stage.one.rulebooks, stage.clock)], {}, 1_000)
    app.state.key_ring = KeyRing(stage.pool)
    headers = {"Authorization": f"Bearer {await create_key(stage.admin, SHOP, ['read'])}"}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:

        async def answer(path: str, **params: str) -> Mapping[str, Any]:
            got = await client.get(path, params=params)
            assert got.status_code == httpx.codes.OK, got.text
            found: Mapping[str, Any] = got.json()
            return found

        yield answer


async def reminded(stage: Stage, customer_id: str, orders: int) -> None:
    """An order a day that is not paid; each time the reminder is sent, and heard of."""
    for number in range(orders):
        before = await stage.admin.fetchval(SENT, DELIVERIES.name, "message.sent")
        stage.clock.at += DAY
        await stage.publish(stage.event(customer_id, OrderPlaced(f"{customer_id}-{number}", AMOUNT)))
        await stage.decided()
        stage.clock.at += MINUTES + AN_INSTANT

        async def sent(before: int = before) -> bool:
            await stage.tick()
            return bool(await stage.admin.fetchval(SENT, DELIVERIES.name, "message.sent") == before + 1)

        await until(sent, f"reminder {number} of {customer_id} is sent")
    await stage.decided()


async def test_what_was_sent_since_a_warning_is_what_was_offered(stage: Stage, get: Get) -> None:
    for number in range(3):
        stage.clock.at = START + number * 20 * DAY
        await stage.publish(stage.event("c1", OrderPaid(f"o{number}", AMOUNT)))
    await stage.decided()
    stage.clock.at = WARNED_AT + AN_INSTANT
    await stage.decided()
    (warned,) = (await get("/v1/churn"))["items"]
    assert (warned["customer_id"], warned["outcome"], warned["offers"]) == ("c1", "pending", [])
    await reminded(stage, "c1", 1)

    async def offered() -> bool:
        await stage.tick()
        (warned,) = (await get("/v1/churn"))["items"]
        return bool(warned["offers"] == ["payment_reminder"])

    await until(offered, "it is told what was offered")
    facts = (await get("/v1/customers/c1"))["facts"]
    assert (facts["churn.warned_at"], facts["churn.offers"]) == (instant(WARNED_AT), ["payment_reminder"])


async def test_who_is_sent_five_messages_and_opens_none_is_silent_to_them(stage: Stage, get: Get) -> None:
    await reminded(stage, "c1", 4)
    await reminded(stage, "c2", 5)

    async def silent() -> bool:
        await stage.tick()
        return await stage.inside(SILENT) == ["c2"]

    await until(silent, "c2 is silent to messages")
    why = await get("/v1/customers/c2/why", segment=SILENT)
    sent, opened, clicked = why["rule"]["parts"]
    assert (why["holds"], sent["found"], opened["found"], clicked["found"]) == (True, 5, 0, 0)
    (told,) = await of_silence(stage)
    assert told == (SegmentEntered(SILENT, "message.sent"), sent["events"][-1]["at"])
    assert not (await get("/v1/customers/c1/why", segment=SILENT))["holds"]
    stage.clock.at += 90 * DAY
    await stage.decided()
    _, told = await of_silence(stage)
    assert (told[0], why["next_change_at"]) == (SegmentLeft(SILENT, "90d passed"), told[1])


def instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def of_silence(stage: Stage) -> list[tuple[object, str]]:
    facts = await stage.told(SegmentEntered, SegmentLeft)
    return [
        (fact.data, instant(fact.occurred_at))
        for fact in facts
        if isinstance(fact.data, SegmentEntered | SegmentLeft) and fact.data.segment == SILENT
    ]
