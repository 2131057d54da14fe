"""Own segments on a real PostgreSQL: made, edited and archived while the shop goes on, each customer told once."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta

import pytest

from common.contracts.envelope import Data, Event
from common.contracts.ingest import OrderPaid, Visit
from common.contracts.segmentation import SegmentEntered, SegmentLeft
from common.decision import AN_INSTANT
from common.money import Money
from segmentation.own.definition import Faulty
from segmentation.own.editing import Conflict, Wording
from segmentation.own.preview import preview
from segmentation.own.store import Version
from tests.contract.waiting import until
from tests.laws.streams import CURRENCY, SHOP, START
from tests.segmentation.own_stage import OPERATOR, Process, Stage, open_stage

CUSTOMERS = 150
DAY = timedelta(days=1)
OFTEN = {"count": "purchase", "over": "30d", "op": "gte", "value": 2}
BIG = {"sum": "purchase.amount", "over": "45d", "op": "gte", "value": 20_000}


@pytest.fixture
async def stage(fresh_database: str) -> AsyncIterator[Stage]:
    async with open_stage(fresh_database) as stage:
        yield stage


def bought(seed: int, since: datetime, days: int) -> list[tuple[str, datetime, int]]:
    """Who paid when and how much, in order of time: made without anything of the service."""
    dice = random.Random(seed)
    moments = sorted(since + timedelta(seconds=dice.randrange(days * 86_400)) for _ in range(CUSTOMERS * 3))
    return [(f"c{dice.randrange(CUSTOMERS):03}", at, dice.randrange(1_000, 20_000)) for at in moments]


def often(bought: Iterable[tuple[str, datetime, int]], at: datetime) -> list[str]:
    """Two purchases in the 30 days before: counted by hand."""
    counts = Counter(name for name, when, _ in bought if at - 30 * DAY < when <= at)
    return sorted(name for name, count in counts.items() if count >= 2)


def big(bought: Iterable[tuple[str, datetime, int]], at: datetime) -> list[str]:
    """200.00 in the 45 days before."""
    sums: Counter[str] = Counter()
    for name, when, amount in bought:
        sums[name] += amount if at - 45 * DAY < when <= at else 0
    return sorted(name for name, total in sums.items() if total >= 20_000)


def told_of(stage: Stage, bought: Sequence[tuple[str, datetime, int]], first: int = 0) -> list[Event[Data]]:
    return [
        stage.event(name, OrderPaid(f"o{first + number}", Money(amount, CURRENCY)), at)
        for number, (name, at, amount) in enumerate(bought)
    ]


async def make(process: Process, segment: str, rule: object) -> Version:
    made = await process.editing.create(OPERATOR, segment, Wording({"en": segment}, rule))
    await process.rulebooks.refresh()
    return made


async def edit(process: Process, segment: str, rule: object) -> Version:
    made = await process.editing.edit(OPERATOR, segment, Wording({"en": segment}, rule), None)
    await process.rulebooks.refresh()
    return made


async def test_preview_and_back_fill_and_a_count_by_hand_agree(stage: Stage) -> None:
    history = bought(1, START, 60)
    async with stage.one.running() as one:
        await stage.publish(*told_of(stage, history))
        stage.clock.at = START + 60 * DAY
        await stage.decided()
        for name, rule, by_hand in (("often", OFTEN, often), ("big", BIG, big)):
            async with stage.pool.acquire() as connection:
                book, segment = await one.editing.check(connection, SHOP, Wording({}, rule))
            looked = await preview(stage.pool, book, segment, stage.clock.at)
            await make(one, name, rule)
            await stage.filled()
            expected = by_hand(history, stage.clock.at)
            assert expected
            assert (looked.customers, looked.exact) == (len(expected), True)
            assert {found.customer_id for found in looked.sample} <= set(expected)
            assert await stage.inside(name) == expected
        stage.clock.at += 20 * DAY  # and by itself, on time
        await stage.decided()
        assert await stage.inside("often") == often(history, stage.clock.at)
        assert await stage.inside("big") == big(history, stage.clock.at)


async def test_an_edit_while_the_shop_goes_on(stage: Stage) -> None:
    history = bought(2, START, 60)
    more = bought(3, START + 60 * DAY, 2)
    async with stage.one.running() as one:
        await stage.publish(*told_of(stage, history))
        stage.clock.at = START + 60 * DAY
        await stage.decided()
        await make(one, "good", OFTEN)
        news = told_of(stage, more, first=len(history))
        for number in range(0, len(news), 40):  # steps of the back-fill and news take turns
            some = news[number : number + 40]
            stage.clock.at = some[-1].received_at
            await one.backfill.step()
            await stage.publish(*some)
            if number == 200:
                await edit(one, "good", BIG)
        await stage.filled()
        assert await stage.inside("good") == big([*history, *more], stage.clock.at)
    told = await stage.told(SegmentEntered, SegmentLeft)
    by_customer: dict[str, list[bool]] = {}
    for each in told:
        if each.data.segment == "good":  # type: ignore[attr-defined]  # of both
            by_customer.setdefault(each.customer_id, []).append(isinstance(each.data, SegmentEntered))
    for name, turns in by_customer.items():
        assert turns == [number % 2 == 0 for number in range(len(turns))], f"{name} enters and leaves by turns"


async def test_nothing_is_asked_before_the_news_that_it_waits_for(stage: Stage) -> None:
    async with stage.one.running() as one:
        await stage.publish(stage.event("ann", OrderPaid("a", Money(100, CURRENCY))))
        await stage.decided()
        stage.clock.at = START + timedelta(hours=1)
        await make(one, "lookers", {"count": "visit", "op": "gte", "value": 1})
        await stage.filled_so_far()
        # Received before the edit, and slow on its way.
        seen_at = START + timedelta(minutes=30)
        await stage.publish(stage.event("ann", Visit(), seen_at))
        await stage.filled()
    (entered,) = [each for each in await stage.told(SegmentEntered) if each.data.segment == "lookers"]  # type: ignore[attr-defined]
    assert entered.received_at == seen_at


async def test_who_was_quiet_enters_at_the_time_of_the_edit(stage: Stage) -> None:
    async with stage.one.running() as one:
        await stage.publish(stage.event("ann", OrderPaid("a", Money(100, CURRENCY))))
        await stage.decided()
        stage.clock.at = edited_at = START + 100 * DAY
        await stage.decided()
        await make(one, "silent", {"last": "purchase", "op": "older_than", "value": "30d"})
        await stage.filled()
        assert await stage.inside("silent") == ["ann"]
    (entered,) = [each for each in await stage.told(SegmentEntered) if each.data.segment == "silent"]  # type: ignore[attr-defined]
    assert entered.received_at == edited_at - AN_INSTANT


async def test_two_processes_of_different_revisions_end_equal(stage: Stage) -> None:
    history = bought(4, START, 40)
    late = Process(stage)
    await late.rulebooks.refresh()
    async with stage.one.running() as one, late.running():
        await stage.publish(*told_of(stage, history))
        stage.clock.at = START + 40 * DAY
        await stage.decided()
        await make(one, "often", OFTEN)  # the other one has not heard of it
        for _ in range(CUSTOMERS):
            await one.backfill.step()
        more = bought(5, stage.clock.at, 1)
        await stage.publish(*told_of(stage, more, first=len(history)))
        stage.clock.at += DAY
        await stage.decided()
        await late.rulebooks.refresh()
        stage.clock.at += timedelta(minutes=1)
        await stage.filled(one, late)
        assert await stage.inside("often") == often([*history, *more], stage.clock.at)


async def test_everybody_leaves_an_archived_segment_once(stage: Stage) -> None:
    history = bought(6, START, 40)
    async with stage.one.running() as one:
        await stage.publish(*told_of(stage, history))
        stage.clock.at = START + 40 * DAY
        await stage.decided()
        await make(one, "often", OFTEN)
        await make(one, "dear", {"all": [{"segment": "often"}, BIG]})
        await stage.filled()
        inside = await stage.inside("often")
        assert inside
        with pytest.raises(Conflict, match="asked about by dear"):
            await one.editing.archive(OPERATOR, "often")
        await one.editing.archive(OPERATOR, "dear")
        archived = await one.editing.archive(OPERATOR, "often")
        assert (archived.version, archived.state) == (2, "archived")
        await one.rulebooks.refresh()
        await stage.filled()
        await stage.filled()
        assert await stage.inside("often") == []
        assert await stage.inside("dear") == []
    left = [each for each in await stage.told(SegmentLeft) if each.data.segment == "often"]  # type: ignore[attr-defined]
    of_archiving = sorted(each.customer_id for each in left if each.data.reason == "archived")  # type: ignore[attr-defined]
    assert of_archiving == inside


async def test_a_circle_is_refused_with_its_path(stage: Stage) -> None:
    one = stage.one
    await make(one, "a", OFTEN)
    await make(one, "b", {"any": [OFTEN, {"segment": "a"}]})
    with pytest.raises(Faulty) as refused:
        await edit(one, "a", {"all": [BIG, {"segment": "b"}]})
    (fault,) = refused.value.faults
    assert fault.path.startswith("$.in")
    assert "asks about itself" in fault.reason
    with pytest.raises(Faulty) as refused:
        await edit(one, "a", {"all": [{"segment": "a"}]})
    assert refused.value.faults[0].path == "$.in.all[0].segment"


async def test_asking_again_changes_nothing(stage: Stage) -> None:
    """Two edits share their work: who was asked for the later one is passed over by the other."""
    history = bought(7, START, 40)
    async with stage.one.running() as one:
        await stage.publish(*told_of(stage, history))
        stage.clock.at = START + 40 * DAY
        await stage.decided()
        people = await stage.pool.fetchval("SELECT count(*) FROM states")
        await make(one, "often", OFTEN)
        await make(one, "big", BIG)
        await stage.filled()
        assert await stage.asked() <= 2 * people
        asked, told = await stage.asked(), len(await stage.told(SegmentEntered, SegmentLeft))
        await stage.filled()
        assert (await stage.asked(), len(await stage.told(SegmentEntered, SegmentLeft))) == (asked, told)


async def test_killed_in_the_middle_it_goes_on_where_it_was(stage: Stage, fresh_database: str) -> None:
    history = bought(8, START, 40)
    async with stage.one.running() as one:
        await stage.publish(*told_of(stage, history))
        stage.clock.at = START + 40 * DAY
        await stage.decided()
        await make(one, "often", OFTEN)
    people = await stage.pool.fetchval("SELECT count(*) FROM states")
    for part in (0.3, 0.6):
        command = [sys.executable, "-m", "tests.segmentation.own_process", fresh_database, stage.clock.at.isoformat()]
        process = await asyncio.create_subprocess_exec(*command)
        try:

            async def some_told(part: float = part) -> bool:
                await stage.tick()
                return await stage.asked() > part * float(people)

            await until(some_told, "a part was told")
        finally:
            process.kill()
            await process.wait()
    passed = await stage.admin.fetchrow("SELECT pass, passed, asked FROM backfills WHERE reason LIKE 'segment%'")
    assert passed is not None
    assert passed["pass"] > 1 or 0 < passed["passed"] < people
    async with stage.one.running():
        await stage.filled()
        assert await stage.inside("often") == often(history, stage.clock.at)
    told = Counter(each.customer_id for each in await stage.told(SegmentEntered) if each.data.segment == "often")  # type: ignore[attr-defined]
    assert set(told.values()) == {1}
