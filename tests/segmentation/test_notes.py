"""Loyalty beside segmentation on a real PostgreSQL: what it tells decides who is in the segments of members."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from common.bus.postgres import PostgresBus
from common.contracts.envelope import Data, Decoder, Event
from common.contracts.ingest import OrderCompleted, OrderPaid
from common.contracts.loyalty import TierChanged
from common.contracts.segmentation import SegmentEntered, SegmentLeft
from common.contracts.topics import ACCOUNTS
from common.db.engine import open_pool
from common.decision import AN_INSTANT
from common.money import Money
from common.pipeline import Road
from loyalty import presets
from loyalty.app import service
from segmentation.own.editing import Wording
from tests.contract.waiting import until
from tests.laws.streams import CURRENCY, START
from tests.segmentation.own_stage import OPERATOR, SHOPS, Stage, open_stage

AMOUNT = Money(260_000, CURRENCY)  # of a gold member, and of 2,600 points
OF_LOYALTY = {"members_gold", "points_500", "rich_gold"}
RULE = {"all": [{"segment": "members_gold"}, {"field": "points", "op": "gte", "value": 2_600}]}
YEAR = timedelta(days=365)


@pytest.fixture
async def stage(fresh_database: str) -> AsyncIterator[Stage]:
    async with open_stage(fresh_database) as stage:
        yield stage


async def inside(stage: Stage) -> set[str]:
    rows = await stage.pool.fetch("SELECT segment FROM memberships WHERE customer_id = 'c1'")
    return OF_LOYALTY & {row["segment"] for row in rows}


async def reviewed(stage: Stage) -> list[Event[Data]]:
    """What loyalty told of the tier, in order."""
    rows = await stage.admin.fetch("SELECT body FROM loyalty.outbox WHERE topic = $1 ORDER BY xid, id", ACCOUNTS.name)
    told = [Decoder(ACCOUNTS.events).decode(row["body"]) for row in rows]
    return [one for one in told if isinstance(one, Event) and isinstance(one.data, TierChanged)]


@pytest.mark.parametrize("first", ["segmentation", "loyalty"])
async def test_an_order_makes_a_member_and_a_year_without_one_unmakes_it(stage: Stage, first: str) -> None:
    """Whichever of the two decides the shop's events first."""
    bought = [OrderPaid("o1", AMOUNT), OrderCompleted("o1", AMOUNT)]
    await stage.one.editing.create(OPERATOR, "rich_gold", Wording({"en": "Rich"}, RULE))
    await stage.one.rulebooks.refresh()
    async with open_pool(stage.settings, "loyalty") as pool:
        bus = PostgresBus(pool, stage.bell)
        road = Road(service(presets.load(SHOPS)), pool, bus, stage.clock, stage.settings, stage.bell)

        async def all_in() -> bool:
            await stage.tick()
            return await inside(stage) == OF_LOYALTY

        async def told() -> bool:
            return bool(await reviewed(stage))

        async def gold_no_more() -> bool:
            await stage.tick()
            return await inside(stage) == {"points_500"}

        await stage.publish(*(stage.event("c1", data) for data in bought))
        if first == "loyalty":
            async with stage.running(road):
                await until(told, "loyalty has told")
        async with stage.one.running(), stage.running(road):
            if first == "segmentation":
                await stage.decided()
            stage.clock.at = START + AN_INSTANT
            await until(all_in, "in all segments of members")
            stage.clock.at = START + 2 * YEAR
            await until(gold_no_more, "out of them, but for the points")
    (risen, fallen) = await reviewed(stage)
    changes = {
        (fact.data.segment, type(fact.data)): (fact.occurred_at, fact.data.reason)
        for fact in await stage.told(SegmentEntered, SegmentLeft)
        if isinstance(fact.data, SegmentEntered | SegmentLeft) and fact.data.segment in OF_LOYALTY
    }
    assert changes == {
        ("points_500", SegmentEntered): (START, "points.earned"),
        ("members_gold", SegmentEntered): (risen.occurred_at, "tier.changed"),
        ("rich_gold", SegmentEntered): (risen.occurred_at, "tier.changed"),
        ("members_gold", SegmentLeft): (fallen.occurred_at, "tier.changed"),
        ("rich_gold", SegmentLeft): (fallen.occurred_at, "tier.changed"),
    }
