"""Dead letters: what is at fault is kept with its reason, the rest goes on, and after the mend it returns."""

import base64
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from common.bus import dead_letters
from common.contracts.envelope import encode
from common.contracts.ingest import CheckIn, HistoryEnded, Visit
from common.contracts.work import TimerDue
from common.decision import Decision, Occasion, Timer
from common.service import Service
from common.telemetry import metrics
from tests.contract.road_stage import UNREMINDED, UNSAVED, Letter, Stage, key_of, neighbours, part_of
from tests.contract.waiting import until
from tests.laws.counting import FAULTY_REMINDER, HOUR, POISON, Counted, Reminded, State, decide
from tests.laws.streams import START


def mended(toy: Service[State]) -> Service[State]:
    """The next version of the toy: poison is a visit like any other, a faulty reminder a reminder."""

    def decide_better(state: State | None, occasion: Occasion) -> Decision[State]:
        match occasion.what:
            case Visit():
                return decide(state, msgspec.structs.replace(occasion, what=Visit()))
            case Timer(due=due, key=key) as timer:
                decision = decide(state, msgspec.structs.replace(occasion, what=Timer(due, "remind", key)))
                rest = tuple(t for t in decision.timers if t != timer)
                return Decision(State(decision.state.count, rest), decision.facts, rest)
            case _:
                return decide(state, occasion)

    return replace(toy, decide=decide_better)


async def replay(stage: Stage, ids: list[int] | None = None) -> int:
    async with stage.pool.acquire() as connection:
        count = await dead_letters.replay(connection, stage.work, START, ids)
    stage.bell.ring(stage.work)
    return count


async def test_a_poison_event_is_kept_and_told_and_its_partition_goes_on(stage: Stage) -> None:
    poison = stage.event("c1", POISON)
    await stage.publish(stage.event("c1", Visit()), poison, stage.event("c1", Visit()))
    await stage.play()
    assert await stage.facts() == [Counted(1), Counted(2)]
    assert await stage.letters() == [Letter(stage.events, key_of("c1"), encode(poison), "$", "ValueError: poison")]
    row = await stage.pool.fetchrow("SELECT topic, part, key, body FROM outbox WHERE topic LIKE '%.dead'")
    assert row is not None
    assert (row["topic"], row["part"], row["key"]) == (f"{stage.events}.dead", part_of("c1"), key_of("c1"))
    told = msgspec.json.decode(row["body"])
    assert (told["rejection"], told["at"]) == ({"path": "$", "reason": "ValueError: poison"}, "2017-03-20T12:00:00Z")
    assert (told["topic"], told["key"]) == (stage.events, key_of("c1"))
    assert base64.b64decode(told["body"]) == encode(poison)
    assert await stage.pool.fetchval("SELECT shop_id FROM dead_letters") == "shop"


async def test_what_is_no_event_is_kept_as_it_came(stage: Stage) -> None:
    name = neighbours(1)[0]
    bodies = [b"{", b"\xff\x00", b'{"specversion":"\xff"}']
    await stage.write(*((stage.events, part_of(name), key_of(name), body) for body in bodies))
    await stage.publish(stage.event(name, Visit()))
    await stage.play()
    assert [letter.body for letter in await stage.letters()] == bodies
    assert await stage.counts_of() == {name: 1}


async def test_of_a_batch_that_cannot_be_saved_only_the_one_at_fault_is_buried(stage: Stage) -> None:
    names, unsaved = neighbours(3), neighbours(1, UNSAVED)[0]
    await stage.publish(*(stage.event(name, CheckIn()) for name in (*names, unsaved, *names)))
    await stage.tick(START + 2 * HOUR)
    async with stage.running():
        await stage.woken(START + 2 * HOUR)
    assert await stage.counts_of() == dict.fromkeys(names, 2)
    (letter,) = await stage.letters()
    assert (letter.topic, letter.key) == (stage.events, key_of(unsaved))
    assert letter.reason.startswith("CheckViolationError: ")
    assert (await stage.saved())["reminders"] == sorted((name, told) for name in names for told in ("1", "2"))


async def test_an_alarm_that_cannot_be_saved_is_buried_and_the_others_go_off(stage: Stage) -> None:
    names, unreminded = neighbours(3), neighbours(2, UNREMINDED)
    await stage.publish(*(stage.event(name, CheckIn()) for name in (names[0], *unreminded, *names[1:])))
    async with stage.running() as road:
        await stage.woken(START + HOUR + timedelta(seconds=1))
        await stage.woken(START + 3 * HOUR)
        assert road.ready() is None
    assert (await stage.saved())["reminders"] == [(name, "1") for name in names]
    assert sorted((letter.topic, letter.key) for letter in await stage.letters()) == [
        (stage.work, key_of(name)) for name in sorted(unreminded)
    ]
    assert all("CannotSave: CheckViolationError" in letter.reason for letter in await stage.letters())
    assert await stage.counts_of() == dict.fromkeys([*names, *unreminded], 1)

    await stage.pool.execute("ALTER TABLE reminders DROP CONSTRAINT reminders_customer_id_check")
    assert await replay(stage) == 2
    await stage.play()
    assert (await stage.saved())["reminders"] == [(name, "1") for name in sorted([*names, *unreminded])]


async def test_a_timer_whose_decision_fails_is_buried_once_however_much_comes_after(stage: Stage) -> None:
    await stage.publish(stage.event("c1", FAULTY_REMINDER))
    async with stage.running():
        await stage.woken(START + 2 * HOUR)
        for hours in (3, 4, 5):
            await stage.publish(stage.event("c1", Visit(), START + hours * HOUR))
            await stage.woken(START + hours * HOUR)
    (letter,) = await stage.letters()
    assert (letter.topic, letter.reason) == (stage.work, "ValueError: faulty 1")
    assert msgspec.json.decode(letter.body)["data"] == msgspec.to_builtins(TimerDue(START + HOUR, "faulty", "1"))
    assert await stage.counts_of() == {"c1": 4}


async def test_after_the_mend_a_replay_brings_the_result(stage: Stage) -> None:
    await stage.publish(stage.event("c1", Visit()), stage.event("c1", POISON), stage.event("c2", FAULTY_REMINDER))
    async with stage.running():
        await stage.woken(START + 2 * HOUR)
    assert len(await stage.letters()) == 2
    assert await replay(stage) == 2
    assert await replay(stage) == 0
    await stage.play(stage.road(mended(stage.toy)))
    assert await stage.counts_of() == {"c1": 2, "c2": 1}
    assert await stage.facts("c1") == [Counted(1), Counted(2)]
    assert await stage.facts("c2") == [Counted(1), Reminded("1", 1)]
    assert await stage.pool.fetchval("SELECT count(*) FROM dead_letters WHERE replayed_at = $1", START) == 2


async def test_a_replay_before_the_mend_buries_it_again(stage: Stage) -> None:
    await stage.publish(stage.event("c1", POISON))
    await stage.play()
    assert await replay(stage, ids=[999]) == 0
    (first,) = await stage.pool.fetch("SELECT id FROM dead_letters")
    assert await replay(stage, ids=[first["id"]]) == 1
    await stage.play()
    assert [letter.topic for letter in await stage.letters()] == [stage.events, stage.work]
    assert await replay(stage) == 1
    await stage.play(stage.road(mended(stage.toy)))
    assert await stage.counts_of() == {"c1": 1}


async def test_a_replay_out_of_an_import_tells_nobody_of_the_past_and_arms_alarms_again(stage: Stage) -> None:
    """The import is over: what is replayed is history, and the customer must not stay in it."""
    long_ago = START - timedelta(days=700)
    await stage.publish(
        stage.event("known", Visit(), long_ago, historic=True),
        stage.event("known", POISON, long_ago, historic=True),
        stage.event("known", HistoryEnded(), START),
        stage.event("new", FAULTY_REMINDER, long_ago, historic=True),
    )
    await stage.pool.execute("DELETE FROM states")
    road = stage.road(replace(stage.toy, decide=fails_at_all))
    await stage.play(road)
    assert await replay(stage) == 3
    async with stage.running(stage.road(mended(stage.toy))):
        await stage.decided()
        await stage.publish(stage.event("known", CheckIn(), START + HOUR))
        await stage.woken(START + 3 * HOUR)
    states = await stage.states()
    assert not any(stored.historic for stored in states.values())
    assert await stage.facts("known") == [Counted(1), Counted(2), Counted(3), Reminded("3", 3)]
    assert await stage.facts("new") == [Counted(1), Reminded("1", 1)]
    flags = [(one["data"].get("of"), one.get("historic", False)) for one in await read_facts(stage)]
    assert ("1", True) in flags  # the reminder of long ago is history
    assert ("3", False) in flags  # the one set today is not


def fails_at_all(state: State | None, occasion: Occasion) -> Decision[State]:
    """A bad deploy."""
    raise ValueError("bad deploy")


async def read_facts(stage: Stage) -> list[dict[str, dict[str, str]]]:
    return [msgspec.json.decode(body) for body in await stage.fact_bodies()]


async def test_when_everything_fails_the_consumer_stops_and_says_so(stage: Stage) -> None:
    name = neighbours(1)[0]
    road = stage.road(replace(stage.toy, decide=fails_at_all), dead_letters_in_a_row_max=3, batch_max_messages=1)
    await stage.publish(*(stage.event(name, Visit()) for _ in range(5)))
    async with stage.running(road):
        await until(lambda: stopped(road.ready()), "the consumer stops")
    assert road.ready() == "stopped: 3 events in a row became dead letters; see dead-letters list"
    assert len(await stage.letters()) == 3
    await replay(stage)
    await stage.play()  # the next deploy
    assert await stage.counts_of() == {name: 5}


async def stopped(fault: str | None) -> bool:
    return fault is not None and fault.startswith("stopped")


async def test_timers_that_all_fail_stop_the_consumer_too(stage: Stage) -> None:
    names = neighbours(5)
    await stage.publish(*(stage.event(name, FAULTY_REMINDER) for name in names))
    await stage.play()
    road = stage.road(dead_letters_in_a_row_max=3, batch_max_messages=1)
    async with stage.running(road):
        await stage.tick(START + 2 * HOUR)
        await until(lambda: stopped(road.ready()), "the consumer stops")
    assert len(await stage.letters()) == 3


async def test_a_few_that_fail_among_many_never_stop_it(stage: Stage) -> None:
    name = neighbours(1)[0]
    counted = metrics.ROAD_DEAD_LETTERS.labels(stage.toy.name, stage.events)
    for _ in range(6):
        await stage.publish(stage.event(name, POISON), stage.event(name, POISON), stage.event(name, Visit()))
    await stage.play(stage.road(dead_letters_in_a_row_max=3, batch_max_messages=1))
    assert await stage.counts_of() == {name: 6}
    assert len(await stage.letters()) == 12
    assert counted._value.get() == 12


@pytest.mark.parametrize("reason", ["with a \x00 in it", "long " * 100_000])
async def test_a_reason_that_no_table_takes_does_not_stop_the_partition(stage: Stage, reason: str) -> None:
    """What an error says may repeat what a sender sent."""

    def fails(state: State | None, occasion: Occasion) -> Decision[State]:
        if occasion.what == POISON:
            raise ValueError(reason)
        return decide(state, occasion)

    await stage.publish(stage.event("c1", POISON), stage.event("c1", Visit()))
    await stage.play(stage.road(replace(stage.toy, decide=fails)))
    assert await stage.counts_of() == {"c1": 1}
    (letter,) = await stage.letters()
    assert letter.reason.startswith("ValueError: ")
    assert len(letter.reason) < 5_000
