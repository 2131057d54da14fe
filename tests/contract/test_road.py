"""The road on a real PostgreSQL: all of a batch or nothing of it, alarms on time and once, and no stop by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import asyncpg
import pytest
from structlog.testing import capture_logs

from common import pipeline
from common.alarms import Alarms
from common.bus.port import Mark, Message
from common.contracts.ingest import CheckIn, Visit
from common.db import marks
from common.db.engine import Connection
from common.telemetry import metrics
from tests.contract.memory_bus import MemoryBus
from tests.contract.mortal_postgres import MortalPostgres
from tests.contract.road_stage import UNSAVED, Stage, key_of, neighbours, open_stage, part_of
from tests.contract.waiting import until
from tests.laws.counting import HOUR, POISON, Counted, Reminded
from tests.laws.streams import START

AN_INSTANT = timedelta(microseconds=1)
Step = Callable[..., Awaitable[object]]


class Cut(ConnectionResetError):
    """The process is gone, or the database; either way the outside's fault."""


# Everything of a batch, or nothing


async def publish_some_of_everything(stage: Stage) -> None:
    await stage.publish(stage.event("c1", CheckIn()), stage.event("c2", Visit()), stage.event("c1", POISON))
    await stage.write((stage.events, part_of("c2"), key_of("c2"), b"no event"))
    await stage.publish(stage.event("c2", Visit()))


async def assert_some_of_everything(stage: Stage) -> None:
    assert await stage.counts_of() == {"c1": 1, "c2": 2}
    assert await stage.facts("c1") == [Counted(1)]
    assert await stage.facts("c2") == [Counted(1), Counted(2)]
    assert sorted(letter.reason[:15] for letter in await stage.letters()) == ["JSON is malform", "ValueError: poi"]
    assert await stage.pool.fetchval("SELECT count(*) FROM outbox WHERE topic LIKE '%.dead'") == 2
    assert await stage.pool.fetchval("SELECT wake_at FROM states WHERE customer_id = 'c1'") == START + HOUR


@pytest.mark.parametrize(
    "step", ["marks.move", "states.load", "states.save", "project", "outbox.write", "dead_letters.keep"]
)
async def test_a_crash_at_any_step_leaves_nothing_half_done(
    stage: Stage, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish_some_of_everything(stage)
    before = await stage.saved()
    with monkeypatch.context() as patched:
        cut_after(patched, stage, step)
        async with stage.subscribed() as subscription:
            with pytest.raises(Cut):
                await stage.road()._consume(subscription)
    assert await stage.saved() == before
    await stage.play()
    await assert_some_of_everything(stage)


def cut_after(patched: pytest.MonkeyPatch, stage: Stage, step: str) -> None:
    """The step is done, and then nothing more."""
    room, _, name = step.rpartition(".")
    owner: object = getattr(pipeline, room) if room else stage.toy
    original: Step = getattr(owner, name)

    async def done_and_cut(*given: object) -> object:
        await original(*given)
        raise Cut

    if room:
        patched.setattr(owner, name, done_and_cut)
    else:
        patched.setitem(stage.toy.__dict__, name, done_and_cut)


async def test_a_crash_after_the_commit_doubles_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await publish_some_of_everything(stage)

    def cut(*_: object) -> None:
        raise Cut

    async with stage.subscribed() as subscription:
        monkeypatch.setattr(subscription, "advance", cut)
        with pytest.raises(Cut):
            await stage.road()._consume(subscription)
    after = await stage.saved()
    await assert_some_of_everything(stage)
    await stage.play()
    assert await stage.saved() == after


async def test_what_comes_in_many_batches_and_processes_is_counted_once(stage: Stage) -> None:
    for start in range(0, 30, 10):
        await stage.publish(*(stage.event(f"c{n % 4}", Visit()) for n in range(start, start + 10)))
        await stage.play(stage.road(batch_max_messages=1))
    assert await stage.counts_of() == {"c0": 8, "c1": 8, "c2": 7, "c3": 7}
    assert await stage.facts("c0") == [Counted(n) for n in range(1, 9)]


# Alarms


async def test_an_alarm_goes_off_for_a_quiet_customer_once_the_watermark_has_passed_it(stage: Stage) -> None:
    async with stage.running():
        await stage.publish(stage.event("c1", CheckIn()))
        await stage.woken(START + HOUR)
        assert await stage.facts() == [Counted(1)]
        await stage.woken(START + HOUR + AN_INSTANT)
        assert await stage.facts() == [Counted(1), Reminded("1", 1)]
        await stage.woken(START + 2 * HOUR)
    assert await stage.facts() == [Counted(1), Reminded("1", 1)]
    assert (await stage.saved())["reminders"] == [("c1", "1")]
    assert await stage.pool.fetchval("SELECT wake_at FROM states") is None


async def test_an_alarm_outlives_the_process_that_set_it(stage: Stage) -> None:
    await stage.publish(stage.event("c1", CheckIn()))
    await stage.play()
    async with stage.running():
        await stage.woken(START + 2 * HOUR)
    assert await stage.facts() == [Counted(1), Reminded("1", 1)]


async def test_a_late_alarm_says_the_same_to_the_byte(stage: Stage) -> None:
    async def live(prompt: bool) -> dict[str, list[tuple[object, ...]]]:
        async with stage.running():
            for minutes in (0, 10, 60, 61, 300):
                at = START + timedelta(minutes=minutes)
                if prompt:
                    await stage.woken(at)
                await stage.publish(stage.event("c1", CheckIn(), at), stage.event("c2", Visit(), at))
                await stage.decided()
            await stage.woken(START + 24 * HOUR)
        saved = await stage.saved()
        del saved["marks"]
        saved["facts"].sort(key=repr)
        return saved

    silent = await live(prompt=False)
    assert [row for row in silent["reminders"] if row[0] == "c1"] == [("c1", str(n)) for n in range(1, 6)]
    await stage.forget()
    assert await live(prompt=True) == silent


async def test_more_alarms_at_one_instant_than_a_batch_holds_all_go_off_once(stage: Stage) -> None:
    names = neighbours(20)
    await stage.publish(*(stage.event(name, CheckIn()) for name in names))
    async with stage.running(stage.road(batch_max_messages=3)):
        await stage.decided()
        await stage.tick(START + 2 * HOUR)
        await until(lambda: told(stage, 20), "all are reminded")
        await stage.woken(START + 3 * HOUR)
    assert (await stage.saved())["reminders"] == sorted((name, "1") for name in names)


async def told(stage: Stage, count: int) -> bool:
    return bool(await stage.pool.fetchval("SELECT count(*) FROM reminders") >= count)


async def test_a_source_that_falls_silent_holds_alarms_only_so_long_and_that_is_recorded(stage: Stage) -> None:
    """The toy's clock stands at START: an alarm an hour before that is overdue, and no tick ever comes."""
    used = metrics.ROAD_PATIENCE_USED.labels(stage.toy.name)
    with capture_logs() as logs:
        await stage.publish(stage.event("c1", CheckIn(), START - 2 * HOUR))
        async with stage.running(stage.road(watermark_patience_s=0.1)):
            await until(lambda: told(stage, 1), "the alarm goes off without a tick")
    assert await stage.facts() == [Counted(1), Reminded("1", 1)]
    assert used._value.get() == 24
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["no tick: alarms go by the clock"]


async def test_history_tells_nobody_until_it_ends(stage: Stage) -> None:
    async with stage.running():
        await stage.publish(stage.event("c1", CheckIn(), historic=True))
        await stage.woken(START + 2 * HOUR)
        assert await stage.facts() == [Counted(1)]


# Zombies


async def test_a_batch_that_was_fenced_is_retried_from_where_the_marks_stand(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another member has applied the first of two messages while the batch of both was in hand."""
    name = neighbours(1)[0]
    move, fenced = marks.move, metrics.ROAD_FENCED.labels(stage.toy.name)

    async def overtaken(connection: Connection, moves: dict[tuple[str, int], tuple[Mark, Mark]]) -> None:
        monkeypatch.setattr(marks, "move", move)
        await apply_elsewhere(stage, messages=1)
        await move(connection, moves)

    monkeypatch.setattr(marks, "move", overtaken)
    await stage.publish(stage.event(name, Visit()), stage.event(name, CheckIn()))
    await stage.play()
    assert await stage.facts() == [Counted(1)]  # of the second: the first is the other's to tell
    assert fenced._value.get() == 1


async def apply_elsewhere(stage: Stage, messages: int) -> Mark:
    """Moves the mark of partition 7 over so many messages, as if another member had applied them."""
    row = await stage.pool.fetchrow(
        "SELECT xid::text::bigint, id FROM outbox WHERE topic = $1 AND part = 7 ORDER BY xid, id OFFSET $2 LIMIT 1",
        stage.events,
        messages - 1,
    )
    assert row is not None
    mark = Mark(*row)
    await stage.pool.execute(
        "UPDATE marks SET xid = $1::text::xid8, id = $2 WHERE topic = $3 AND part = 7",
        str(mark.xid),
        mark.id,
        stage.events,
    )
    return mark


async def test_a_partition_lost_and_regained_in_the_middle_of_a_batch_is_not_decided_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message is at fault, so the batch is applied one by one; after the first, another member applies the rest,
    and then the partition comes back with the marks as they stand."""
    name, unsaved = neighbours(1)[0], neighbours(1, UNSAVED)[0]
    await stage.publish(*(stage.event(who, Visit()) for who in (name, unsaved, name, name)))
    async with stage.subscribed() as subscription:
        messages = await subscription.poll(1_000, 1)
        assert len(messages) == 4
        road, tried, calls = stage.road(), pipeline.Road._tried, 0

        async def lost_and_regained(work: Awaitable[None]) -> object:
            nonlocal calls
            calls += 1
            fault = await tried(work)
            if calls == 2:  # the batch in vain, then its first message
                await apply_elsewhere(stage, messages=4)
                await subscription.reset()
            return fault

        monkeypatch.setattr(road, "_tried", lost_and_regained)
        with pytest.raises(marks.Fenced):
            await road._apply_or_bury(messages, subscription, Alarms("toy", road._clock, 60))
    assert await stage.counts_of() == {name: 1}
    mark = await stage.pool.fetchval("SELECT id FROM marks WHERE topic = $1 AND part = 7", stage.events)
    assert mark == messages[-1].mark.id


async def test_two_that_wake_the_same_customer_at_equal_marks_tell_once(stage: Stage) -> None:
    """A zombie that has not noticed yet, and the new owner, both with the same marks and the same watermark."""
    await stage.publish(stage.event("c1", CheckIn()))
    await stage.play()
    roads = [stage.road(), stage.road()]
    async with stage.subscribed() as owner:
        zombie = Standing(dict(owner.marks))
        waking = []
        for road, subscription in zip(roads, (owner, zombie), strict=True):
            alarms = Alarms("toy", road._clock, 60)
            alarms.hold(range(24))
            alarms.hear(dict.fromkeys(range(24), START + 2 * HOUR))
            waking.append(road._wake(subscription, alarms))
        await asyncio.gather(*waking)
    assert await stage.facts() == [Counted(1), Reminded("1", 1)]
    assert (await stage.saved())["reminders"] == [("c1", "1")]


async def test_a_zombie_behind_the_marks_wakes_nobody(stage: Stage) -> None:
    await stage.publish(stage.event("c1", CheckIn()))
    async with stage.subscribed() as subscription:
        zombie = Standing(dict(subscription.marks))
    await stage.play()
    road = stage.road()
    alarms = Alarms("toy", road._clock, 60)
    alarms.hold(range(24))
    alarms.hear(dict.fromkeys(range(24), START + 2 * HOUR))
    with pytest.raises(marks.Fenced):
        await road._wake(zombie, alarms)
    assert await stage.facts() == [Counted(1)]


class Standing:
    """The subscription of a member that hears nothing any more."""

    def __init__(self, held: dict[tuple[str, int], Mark]) -> None:
        self.marks = held

    async def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        raise NotImplementedError

    def advance(self, moved: object) -> None:
        """It believes so."""

    async def reset(self) -> None:
        raise NotImplementedError


# Going on by itself


async def test_the_database_is_killed_and_the_service_goes_on(mortal_postgres: MortalPostgres) -> None:
    names = [f"c{n}" for n in range(10)]
    async with open_stage(mortal_postgres.dsn) as stage, stage.running() as road:

        async def well() -> bool:
            return road.ready() is None

        async def unwell() -> bool:
            return not await well()

        await stage.publish(*(stage.event(name, CheckIn()) for name in names))
        await stage.decided()
        await until(well, "the service is ready")
        await mortal_postgres.kill()
        await until(unwell, "the service says that something is wrong")
        await mortal_postgres.start()
        await until(well, "the service is ready again")
        await stage.publish(*(stage.event(name, Visit()) for name in names))
        await stage.woken(START + 2 * HOUR)
        assert await stage.counts_of() == dict.fromkeys(names, 2)
        assert (await stage.saved())["reminders"] == [(name, "1") for name in names]


async def test_a_stop_is_a_stop_also_when_the_database_is_gone_by_then(stage: Stage) -> None:
    """The connection that the service sits on cannot be given back: that must not be taken for a reason to go on."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        road = stage.road(poll_ms=60_000)
        running = tasks.create_task(road.run())
        await stage.publish(stage.event("c1", Visit()))
        await stage.decided()
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()"
        await stage.pool.execute(others, stage.toy.name)
        running.cancel()
    assert running.cancelled()
    await until(lambda: answers(stage), "the pool has noticed")


async def answers(stage: Stage) -> bool:
    with suppress(OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
        return bool(await stage.pool.fetchval("SELECT true"))
    return False


async def test_a_stop_that_ends_in_an_error_is_a_stop(stage: Stage) -> None:
    polling = asyncio.Event()

    class Idle(Standing):
        """Waits for ever."""

        async def poll(self, *_: object) -> list[Message]:
            polling.set()
            await asyncio.Event().wait()
            return []

    class CannotBeLeft(MemoryBus):
        """Its end fails, whatever it ends for."""

        @asynccontextmanager
        async def subscribe(self, *_: object) -> AsyncIterator[Idle]:  # type: ignore[override]
            try:
                yield Idle({})
            finally:
                raise Cut

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stage.road(bus=CannotBeLeft()).run())
        await polling.wait()
        running.cancel()
    assert running.cancelled()


async def test_a_cancellation_that_nobody_asked_for_stops_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka's coordinator may be cancelled in itself; asked for its result, it says so to the road."""

    async def asks_a_task_that_was_cancelled(*_: object) -> None:
        monkeypatch.undo()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(asyncio.Event().wait())
            task.cancel()
        task.result()

    road = stage.road()
    monkeypatch.setattr(marks, "move", asks_a_task_that_was_cancelled)
    await stage.publish(stage.event("c1", Visit()))
    async with stage.running(road):
        await stage.decided()
    assert road.ready() is None


async def test_ready_says_what_is_wrong_and_that_it_is_over(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when subscribing works and consuming does not: it is not ready in between."""
    seen: set[str | None] = set()

    async def fails(*_: object) -> None:
        seen.add(road.ready())
        if len(seen) > 1:
            monkeypatch.undo()
        raise Cut("away")

    road = stage.road()
    assert road.ready() == "not subscribed yet"
    monkeypatch.setattr(marks, "move", fails)
    await stage.publish(stage.event("c1", Visit()))

    async def is_ready() -> bool:
        return road.ready() is None

    async with stage.running(road):
        await stage.decided()
        assert seen == {"not subscribed yet", "subscription failed: Cut"}
        await until(is_ready, "ready again")
