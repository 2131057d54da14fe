"""What every bus promises (common/bus/port.py), on every bus: order, nothing lost, nothing twice, nobody fooled."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from functools import partial
from time import monotonic

import pytest

from common.bus.port import Mark, Message, Slot, Subscription
from common.db.marks import Fenced, OfAnotherServer
from common.db.outbox import Row
from common.ids import PARTITIONS, partition_of
from tests.contract.bus_backends import Backend, Hand, Open, PostgresBackend, Store, apply, member, step, take
from tests.contract.waiting import until

MANY = 1_000
LONG_S = 20.0  # a poll that is to be woken; a test that waits this long fails


def row(backend: Backend, body: str, *, part: int = 3, topic: int = 0) -> Row:
    return backend.topics[topic], part, "shop/customer", body.encode()


def bodies(messages: Sequence[Message]) -> list[str]:
    return [message.body.decode() for message in messages]


def by_slot(messages: Sequence[Message]) -> dict[Slot, list[Message]]:
    slots: dict[Slot, list[Message]] = {}
    for message in messages:
        slots.setdefault(message.slot, []).append(message)
    return slots


async def seated(reader: Subscription, slots: int = 2 * PARTITIONS) -> None:
    """Until the member holds so many slots; nothing must have been written yet."""

    async def holds() -> bool:
        assert await reader.poll(1, 0.02) == []
        return len(reader.marks) == slots

    await until(holds, f"a member holds {slots} slots")


async def all_applied(backend: Backend, store: Store) -> None:
    """Everything that was written was applied, once, each slot in its order."""
    written, applied = by_slot(await backend.written()), by_slot(await store.applied())
    assert applied == written


# The classic fault of outboxes comes first: a reader that has seen a later transaction must not be past an earlier one.


async def test_a_transaction_that_commits_late_is_not_skipped(outboxed: PostgresBackend) -> None:
    async with member(outboxed) as reader:
        await seated(reader)
        early = await Open.begin(outboxed.writers)
        await early.write(row(outboxed, "early"))
        await outboxed.write(row(outboxed, "late"))
        assert await reader.poll(MANY, 0.2) == []
        await early.end()
        await outboxed.settle()
        found = await reader.poll(MANY, LONG_S)
        assert bodies(found) == ["early", "late"]
        assert [m.mark for m in found] == sorted(m.mark for m in found)


async def test_the_transaction_and_not_the_place_decides_the_order(outboxed: PostgresBackend) -> None:
    async with member(outboxed) as reader:
        await seated(reader)
        early = await Open.begin(outboxed.writers)
        await outboxed.write(row(outboxed, "written first"))
        await early.write(row(outboxed, "begun first"))
        await early.end()
        await outboxed.settle()
        found: list[Message] = []
        while len(found) < 2:  # one by one: a small batch must not begin in the middle either
            hand = await take(reader, max_messages=1, timeout_s=LONG_S)
            found += hand.messages
            await apply(outboxed.store, hand, reader)
        assert bodies(found) == ["begun first", "written first"]
        assert found[0].mark.xid < found[1].mark.xid
        assert found[0].mark.id > found[1].mark.id


async def test_a_late_transaction_that_rolls_back_leaves_no_gap(outboxed: PostgresBackend) -> None:
    async with member(outboxed) as reader:
        await seated(reader)
        early = await Open.begin(outboxed.writers)
        await early.write(row(outboxed, "undone"))
        await outboxed.write(row(outboxed, "late"))
        assert await reader.poll(MANY, 0.2) == []
        await early.end(commit=False)
        await outboxed.settle()
        assert bodies(await reader.poll(MANY, LONG_S)) == ["late"]


async def test_what_stands_before_a_late_transaction_is_read_meanwhile(outboxed: PostgresBackend) -> None:
    async with member(outboxed) as reader:
        await seated(reader)
        await outboxed.write(row(outboxed, "before"))
        early = await Open.begin(outboxed.writers)
        await outboxed.write(row(outboxed, "after"))
        assert bodies(await reader.poll(MANY, LONG_S)) == ["before"]
        await early.end()


async def test_many_late_transactions_lose_nothing(outboxed: PostgresBackend) -> None:
    dice = random.Random(1)
    is_open: list[Open] = []
    async with member(outboxed) as reader:
        await seated(reader)
        for number in range(40):
            if dice.random() < 0.5 and len(is_open) < 5:
                is_open.append(await Open.begin(outboxed.writers))
            for one in is_open:
                await one.write(row(outboxed, f"open {number}", part=dice.randrange(3)))
            await outboxed.write(row(outboxed, f"at once {number}", part=dice.randrange(3)))
            if dice.random() < 0.4 and is_open:
                await is_open.pop(dice.randrange(len(is_open))).end(commit=dice.random() < 0.7)
                await outboxed.settle()
            await step(outboxed.store, reader, timeout_s=0.001)
        for one in is_open:
            await one.end()
        await outboxed.settle()
        await until(lambda: caught_up(outboxed, reader), "all is applied")
    await all_applied(outboxed, outboxed.store)


async def caught_up(backend: Backend, *readers: Subscription) -> bool:
    """Polls each reader once; whether all that is written is applied then."""
    for reader in readers:
        await step(backend.store, reader)
    return len(await backend.store.applied()) >= len(await backend.written())


# Order


async def test_a_batch_is_read_in_the_order_it_was_written(backend: Backend) -> None:
    async with member(backend) as reader:
        await seated(reader)
        await backend.write(*(row(backend, f"{n:02}", part=n % 2) for n in range(50)))
        found: list[Message] = []
        while len(found) < 50:
            hand = await take(reader, timeout_s=LONG_S)
            found += hand.messages
            await apply(backend.store, hand, reader)
    slots = by_slot(found)
    assert bodies(slots[backend.topics[0], 0]) == [f"{n:02}" for n in range(0, 50, 2)]
    assert bodies(slots[backend.topics[0], 1]) == [f"{n:02}" for n in range(1, 50, 2)]
    assert {message.key for message in found} == {"shop/customer"}


async def test_each_key_in_order_whoever_else_writes(backend: Backend) -> None:
    async def write(name: str) -> None:
        dice, number, key = random.Random(name), 0, f"shop/{name}"
        part = partition_of("shop", name) % 4  # several keys in one partition
        while number < 60:
            size = dice.randint(1, 5)
            await backend.write(*((backend.topics[0], part, key, b"%d" % (number + n)) for n in range(size)))
            number += size

    names = [f"c{n}" for n in range(6)]
    async with member(backend) as reader:
        await seated(reader)
        async with asyncio.TaskGroup() as writers:
            for name in names:
                writers.create_task(write(name))
            for _ in range(20):
                await step(backend.store, reader, max_messages=30, timeout_s=0.005)
        await until(lambda: caught_up(backend, reader), "all is applied")
    applied = await backend.store.applied()
    for name in names:
        numbers = [int(message.body) for message in applied if message.key == f"shop/{name}"]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= 60
    for messages in by_slot(applied).values():
        assert [m.mark for m in messages] == sorted({m.mark for m in messages})


async def test_small_batches_leave_no_slot_behind(backend: Backend) -> None:
    """Of each slot one message may come, however few were asked for."""
    async with member(backend) as reader:
        await seated(reader)
        rows = [row(backend, str(n), part=n % PARTITIONS, topic=n % 2) for n in range(2 * PARTITIONS)]
        await backend.write(*rows, *rows, *rows)
        polls = 0
        while len(await backend.store.applied()) < 3 * len(rows):
            assert await step(backend.store, reader, max_messages=7, timeout_s=LONG_S) <= len(rows)
            polls += 1
            assert polls < 10 * len(rows)
    await all_applied(backend, backend.store)


# Nothing lost, nothing twice


class Died(Exception):
    """A reader's process is gone."""


@pytest.mark.parametrize("seed", range(2))
async def test_a_reader_that_dies_anywhere_loses_and_repeats_nothing(backend: Backend, seed: int) -> None:
    dice = random.Random(seed)
    total = 0

    async def live() -> None:
        """Until it dies: with its hands full, within the transaction, or after it and before the bus was told."""
        nonlocal total
        async with member(backend) as reader:
            while True:
                if total < 300:
                    size = dice.randint(1, 20)
                    await backend.write(*(row(backend, f"{total + n}", part=dice.randrange(5)) for n in range(size)))
                    total += size
                hand = await take(reader, max_messages=dice.randint(1, 30), timeout_s=0.05)
                if not hand.messages and total >= 300 and len(await backend.store.applied()) >= total:
                    return
                death = dice.choice(["in hand", "in transaction", "before advance"]) if dice.random() < 0.15 else None
                if hand.messages and death == "in hand":
                    raise Died
                async with backend.store.applying(hand):
                    if hand.messages and death == "in transaction":
                        raise Died
                if hand.messages and death == "before advance":
                    raise Died
                reader.advance(hand.reached)

    deaths = 0
    async with asyncio.timeout(LONG_S * 2):
        while True:
            try:
                await live()
                break
            except Died:
                deaths += 1
    assert deaths > 0
    await all_applied(backend, backend.store)


async def test_what_was_not_applied_comes_again_after_a_reset(backend: Backend) -> None:
    async with member(backend) as reader:
        await seated(reader)
        await backend.write(*(row(backend, str(n)) for n in range(10)))
        first = await take(reader, max_messages=4, timeout_s=LONG_S)
        await apply(backend.store, first, reader)
        in_vain = await take(reader, max_messages=3, timeout_s=LONG_S)
        await reader.reset()
        again: list[Message] = []
        while len(again) < 10 - len(first.messages):
            hand = await take(reader, timeout_s=LONG_S)
            again += hand.messages
            await apply(backend.store, hand, reader)
    assert bodies(first.messages) + bodies(again) == [str(n) for n in range(10)]
    assert in_vain.messages == again[: len(in_vain.messages)]


async def test_what_is_in_hand_and_not_applied_is_above_the_marks(backend: Backend) -> None:
    """The marks follow what was applied, not what was handed out: a batch that never commits moves nothing."""
    async with member(backend) as reader:
        await seated(reader)
        await backend.write(row(backend, "one"))
        hand = await take(reader, timeout_s=LONG_S)
        assert reader.marks[hand.messages[0].slot] == Mark(0, 0)
        reader.advance(hand.reached)
        assert reader.marks[hand.messages[0].slot] == hand.messages[0].mark
        reader.advance({("other.topic", 1): Mark(9, 9)})
        assert ("other.topic", 1) not in reader.marks


# Members of a group


async def test_each_slot_belongs_to_one_member_and_both_topics_of_a_partition_to_the_same(backend: Backend) -> None:
    """Or two members would decide the same customer at once. Five members: 24 does not divide by it."""
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(member(backend)) for _ in range(5)]

        async def shared_out() -> bool:
            await asyncio.gather(*(reader.poll(1, 0.02) for reader in readers))
            return sum(len(reader.marks) for reader in readers) == 2 * PARTITIONS and all(r.marks for r in readers)

        await until(shared_out, "five members share the slots")
        for reader in readers:
            first, second = ({part for topic, part in reader.marks if topic == name} for name in backend.topics)
            assert first == second
            assert len(first) in (4, 5)


async def test_a_member_that_lost_its_partition_writes_nothing(backend: Backend) -> None:
    async with member(backend) as zombie:
        await seated(zombie)
        await backend.write(*(row(backend, f"{part}", part=part) for part in range(PARTITIONS)))
        hands: list[Hand] = []
        while len({slot for hand in hands for slot in hand.moves}) < PARTITIONS:
            hands.append(await take(zombie, timeout_s=LONG_S))
        await backend.expel(zombie)
        async with member(backend) as heir:

            async def inherited() -> bool:
                await step(backend.store, heir)
                return len(await backend.store.applied()) >= PARTITIONS // 2

            await until(inherited, "the heir has applied what it was given")
            applied = await backend.store.applied()
            lost = [hand for hand in hands if hand.moves.keys() & {message.slot for message in applied}]
            assert lost
            for hand in lost:
                with pytest.raises(Fenced):
                    await apply(backend.store, hand, zombie)
            assert await backend.store.applied() == applied


async def test_a_batch_in_hand_is_void_once_the_slot_went_to_another_and_came_back(backend: Backend) -> None:
    async with member(backend) as reader:
        await seated(reader)
        await backend.write(row(backend, "once"))
        hand = await take(reader, timeout_s=LONG_S)
        other = Hand(hand.messages, hand.moves)
        async with backend.store.applying(other):  # another member was given the slot, and lost it again
            pass
        await reader.reset()
        assert await reader.poll(MANY, 0.05) == []
        assert reader.marks[hand.messages[0].slot] == hand.messages[0].mark
        with pytest.raises(Fenced):
            await apply(backend.store, hand, reader)
    assert bodies(await backend.store.applied()) == ["once"]


async def test_members_come_and_go_while_messages_flow(backend: Backend) -> None:
    dice = random.Random(7)
    done = asyncio.Event()
    steps = 0

    async def write() -> None:
        for number in range(60):
            await backend.write(*(row(backend, f"{number}", part=dice.randrange(PARTITIONS)) for _ in range(5)))
            await reached(number * 2)
        done.set()

    async def reached(count: int) -> None:
        """The readers have polled so often: writing goes on as reading does."""

        async def polled() -> bool:
            return steps >= count

        await until(polled, f"{count} polls")

    async def live(leaves: Callable[[], Awaitable[bool]]) -> None:
        nonlocal steps
        async with member(backend) as reader:
            while not await leaves():
                await step(backend.store, reader, max_messages=dice.randint(1, 40), timeout_s=0.02)
                steps += 1

    async def after(count: int) -> bool:
        return steps >= count

    async def when_all_is_applied() -> bool:
        return done.is_set() and len(await backend.store.applied()) >= 300

    async def come_and_go() -> None:
        for shift in (30, 60, 90):
            await live(partial(after, shift))

    async with asyncio.timeout(2 * LONG_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(live(when_all_is_applied))
        tasks.create_task(live(partial(after, 70)))
        tasks.create_task(come_and_go())
        tasks.create_task(write())
    await all_applied(backend, backend.store)


class Unreachable(Exception):
    """The reader's database is away."""


async def test_marks_that_could_not_be_loaded_are_loaded_later(backend: Backend) -> None:
    """A database that is away while slots are given out must not leave a member with slots that it never reads."""
    calls = 0

    async def flaky(slots: Collection[Slot]) -> dict[Slot, Mark]:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise Unreachable
        return await backend.store.load(slots)

    await backend.write(row(backend, "one"))
    found: list[Message] = []

    async def read() -> bool:
        try:
            async with backend.bus.subscribe("flaky", backend.topics, flaky) as reader:
                while not found:
                    found.extend(await reader.poll(MANY, 0.05))
        except Unreachable:
            return False
        return True

    await until(read, "the message comes")
    assert bodies(found) == ["one"]
    assert calls > 2


# Waiting


async def test_an_idle_poll_returns_within_its_time(backend: Backend) -> None:
    async with member(backend) as reader:
        await seated(reader)
        began = monotonic()
        assert await reader.poll(MANY, 0.3) == []
        assert 0.25 < monotonic() - began < 3


async def test_a_message_ends_the_wait_at_once(backend: Backend) -> None:
    async with member(backend) as reader, asyncio.TaskGroup() as tasks:
        await seated(reader)
        began = monotonic()
        polling = tasks.create_task(reader.poll(MANY, LONG_S))
        await backend.write(row(backend, "wake up"))
        assert bodies(await polling) == ["wake up"]
        assert monotonic() - began < LONG_S / 2


async def test_a_message_of_another_topic_wakes_nobody(memory: Backend) -> None:
    reading = memory.bus.subscribe("readers", memory.topics[:1], memory.store.load)
    async with reading as reader, asyncio.TaskGroup() as tasks:
        polling = tasks.create_task(reader.poll(MANY, 0.2))
        await memory.write(row(memory, "not for you", topic=1))
        assert await polling == []


async def test_a_stop_that_comes_with_a_message_is_a_stop(memory: Backend) -> None:
    """Or a service would now and then not end when it is told to."""
    async with (
        memory.bus.subscribe("readers", memory.topics, memory.store.load) as reader,
        asyncio.TaskGroup() as tasks,
    ):
        polling = tasks.create_task(reader.poll(MANY, LONG_S))
        await asyncio.sleep(0)  # waits: for nothing but the poll's first step
        await memory.write(row(memory, "and stop"))
        polling.cancel()
    assert polling.cancelled()


async def test_marks_of_a_server_that_is_not_this_one_are_refused(postgres: PostgresBackend) -> None:
    """A dump restored elsewhere: everything new would stand below the marks and never be read."""
    slot = (postgres.topics[0], 3)
    await postgres.store.load([slot])
    await postgres.readers.execute("UPDATE marks SET xid = '99999999999'")
    with pytest.raises(OfAnotherServer, match="99999999999"):
        async with postgres.bus.subscribe("readers", postgres.topics, postgres.store.load):
            pass
