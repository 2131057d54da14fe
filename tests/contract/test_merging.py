"""Merging and splitting on real servers: what one customer hands to another comes there once, whatever dies between."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from common import pipeline
from common.bus.kafka import KafkaBus, make_topics, open_publisher
from common.bus.port import Message
from common.bus.relay import Relay
from common.contracts.envelope import Data, Decoder, Event
from common.contracts.ingest import CheckIn, CustomerErased, CustomerMerged, CustomerSplit, Visit
from common.contracts.work import StateMoved
from common.db.states import canonical
from common.decision import MAX_PASSED_ON
from tests.contract.bus_backends import SESSION_TIMEOUT_MS
from tests.contract.road_stage import UNREAD, Stage, part_of
from tests.contract.test_road import Cut
from tests.contract.waiting import WITHIN_S
from tests.laws.counting import HOUR, Counted
from tests.laws.streams import SHOP, START

A, B, C = "c1", "c2", "c3"
Carried = Callable[[Stage], AbstractAsyncContextManager[None]]


@pytest.fixture(params=["postgres", "kafka"])
def carried(request: pytest.FixtureRequest) -> Carried:
    """Puts the stage on a bus, for as long as the context lasts."""
    bootstrap = None if request.param == "postgres" else request.getfixturevalue("kafka_bootstrap")

    @asynccontextmanager
    async def on(stage: Stage) -> AsyncIterator[None]:
        if bootstrap is None:
            yield
            return
        topics = (stage.events, stage.work)
        await make_topics(bootstrap, topics)
        stage.bus = KafkaBus(bootstrap, SESSION_TIMEOUT_MS)
        settings = stage.settings.model_copy(update={"kafka": bootstrap})
        relay = Relay(stage.toy.name, stage.pool, stage.bell, topics, settings)
        async with (
            open_publisher(bootstrap) as publisher,
            stage.pool.acquire() as connection,
            asyncio.TaskGroup() as tasks,
        ):
            relaying = tasks.create_task(relay.publish_all(connection, publisher))
            yield
            relaying.cancel()

    return on


async def play(stage: Stage) -> None:
    """A new process decides everything there is, and dies: to cancel one that talks to a broker may leave a socket."""
    async with stage.subscribed() as subscription, asyncio.timeout(WITHIN_S):
        poll = subscription.poll

        async def poll_or_die(max_messages: int, timeout_s: float) -> list[Message]:
            if not await stage.pool.fetchval(UNREAD, [stage.events, stage.work]):
                raise Cut
            return await poll(max_messages, timeout_s)

        subscription.poll = poll_or_die  # type: ignore[method-assign]
        with suppress(Cut):
            await stage.road()._consume(subscription)


async def sent(stage: Stage) -> list[Event[Data]]:
    """What stands on the work topic, in order."""
    decoder = Decoder((StateMoved, Visit, CheckIn))
    rows = await stage.pool.fetch("SELECT body FROM outbox WHERE topic = $1 ORDER BY xid, id", stage.work)
    decoded = [decoder.decode(row["body"]) for row in rows]
    return [one for one in decoded if isinstance(one, Event)]


async def test_the_state_goes_over_and_comes_back(stage: Stage, carried: Carried) -> None:
    async with carried(stage):
        await stage.publish(stage.event(A, Visit()), stage.event(A, CheckIn()), stage.event(B, Visit()))
        await play(stage)
        await stage.publish(stage.event(A, CustomerMerged(B)), stage.event(A, Visit()))
        await play(stage)
        assert await stage.counts_of() == {A: 2, B: 4}
        assert await stage.facts(B) == [Counted(1), Counted(4)]
        row = await stage.pool.fetchrow("SELECT part, wake_at FROM states WHERE customer_id = $1", A)
        assert tuple(row or ()) == (part_of(A), None)
        async with stage.pool.acquire() as connection:
            assert [await canonical(connection, SHOP, name) for name in (A, B, "nobody")] == [B, B, "nobody"]
        await stage.publish(stage.event(A, CustomerSplit(B)), stage.event(A, Visit()))
        await play(stage)
        assert await stage.counts_of() == {A: 3, B: 2}
        assert await stage.pool.fetchval("SELECT wake_at FROM states WHERE customer_id = $1", A) == START + HOUR
        assert await stage.letters() == []


@pytest.mark.parametrize("batch", [1, 2], ids=["who hands over", "who is handed to"])
@pytest.mark.parametrize("step", ["outbox.write", "commit"])
async def test_a_crash_while_it_is_handed_over_doubles_nothing(
    stage: Stage, carried: Carried, step: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the step of one batch or of the next; another goes on."""
    async with carried(stage):
        await stage.publish(stage.event(A, Visit()), stage.event(B, Visit()))
        await play(stage)
        await stage.publish(stage.event(A, CustomerMerged(B)), stage.event(A, Visit()))
        async with stage.subscribed() as subscription, asyncio.timeout(WITHIN_S):
            with monkeypatch.context() as patched:
                owner, name = subscription, "advance"  # what comes after the commit
                if step != "commit":
                    room, _, name = step.partition(".")
                    owner = getattr(pipeline, room)
                die_at(patched, owner, name, batch)
                with pytest.raises(Cut):
                    await stage.road()._consume(subscription)
        await play(stage)
        assert await stage.counts_of() == {A: 1, B: 3}
        assert await stage.facts(B) == [Counted(1), Counted(3)]
        assert [one.type for one in await sent(stage)] == ["state.moved", "visit"]


def die_at(patched: pytest.MonkeyPatch, owner: object, name: str, call: int) -> None:
    """The step is done so many times, and then nothing more."""
    done = getattr(owner, name)
    calls = 0

    def counted() -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Cut

    async def awaited(*given: object) -> object:
        found = await done(*given)
        counted()
        return found

    def called(*given: object) -> None:
        done(*given)
        counted()

    patched.setattr(owner, name, awaited if asyncio.iscoroutinefunction(done) else called)


async def test_what_is_passed_on_is_the_same_event(stage: Stage, carried: Carried) -> None:
    async with carried(stage):
        news = stage.event(A, Visit())
        await stage.publish(
            stage.event(A, CustomerMerged(B)), stage.event(B, CustomerMerged(C)), news, stage.event(A, CustomerErased())
        )
        await play(stage)
        passed_on = await sent(stage)
        assert [(one.id, one.source, one.customer_id, one.passed_on, one.received_at) for one in passed_on] == [
            (news.id, news.source, name, number, START) for number, name in enumerate((B, C), 1)
        ]
        assert await stage.counts_of() == {A: 0, B: 0, C: 1}
        async with stage.pool.acquire() as connection:
            assert await canonical(connection, SHOP, A) == C


async def test_a_circle_ends_in_a_dead_letter_on_time(stage: Stage, carried: Carried) -> None:
    async with carried(stage):
        await stage.publish(stage.event(A, CustomerMerged(B)), stage.event(B, CustomerMerged(A)))
        await play(stage)
        await stage.publish(stage.event(A, Visit()))
        await play(stage)
        assert len(await sent(stage)) == MAX_PASSED_ON
        (letter,) = await stage.letters()
        assert (letter.topic, letter.path) == (stage.work, "$.passedon")
        async with stage.pool.acquire() as connection:
            assert await canonical(connection, SHOP, A) in {A, B}
