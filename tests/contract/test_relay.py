"""The relay: what stands in the outbox comes to Kafka in order, whoever dies in between or relays beside it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidReplicationFactorError

from common.bus import relay as relaying
from common.bus.kafka import make_topics, open_publisher
from common.bus.port import Mark, Subscription
from common.db import outbox
from common.db.outbox import Row
from tests.contract.bus_backends import KafkaBackend, member, step
from tests.contract.waiting import until


def rows(backend: KafkaBackend, first: int, count: int) -> list[Row]:
    """Two in a row go to one partition, and every fourth to the other topic."""
    numbers = range(first, first + count)
    return [(backend.topics[n % 4 == 0], n // 2 % 24, "shop/customer", b"%d" % n) for n in numbers]


async def write_only(backend: KafkaBackend, *written: Row) -> None:
    """Commits, and leaves the rest to the relay under test."""
    async with backend.writers.acquire() as connection, connection.transaction():
        await outbox.write(connection, written)
    for topic in backend.topics:
        backend.bell.ring(topic)


async def read(backend: KafkaBackend, reader: Subscription, count: int) -> None:
    """Until so many were applied in all, and every one that was written."""

    async def applied() -> bool:
        await step(backend.store, reader)
        return len(await backend.store.applied()) >= count

    await until(applied, f"{count} messages are applied")
    assert sorted(await backend.store.applied()) == await backend.written()


class Died(Exception):
    """The relay's process is gone."""


async def test_a_relay_killed_before_it_wrote_its_position_down_repeats_and_nobody_notices(
    kafka: KafkaBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise Died

    await write_only(kafka, *rows(kafka, 0, 100))
    with monkeypatch.context() as patched:
        patched.setattr(relaying, "tell_reader", die)
        with pytest.raises(Died):
            await kafka.settle()
    async with member(kafka) as reader:
        published = 0

        async def some() -> bool:
            nonlocal published
            published += await step(kafka.store, reader)
            return published > 0

        await until(some, "what was published before the death is read")
        await kafka.settle()
        await write_only(kafka, *rows(kafka, 100, 20))
        await kafka.settle()
        await read(kafka, reader, 120)


async def test_a_position_is_written_down_only_for_what_kafka_has(kafka: KafkaBackend) -> None:
    class Broken:
        async def publish(self, _: object) -> None:
            raise Died

    await write_only(kafka, *rows(kafka, 0, 10))
    relay = kafka.relay()
    async with kafka.writers.acquire() as connection:
        positions = await relay._load(connection, kafka.topics[0])
        with pytest.raises(Died):
            await relay._publish(connection, Broken(), kafka.topics[0], positions)  # type: ignore[arg-type]
        assert positions == dict.fromkeys(range(24), Mark(0, 0))
        assert await relay._load(connection, kafka.topics[0]) == positions
    assert await kafka.writers.fetchval("SELECT count(*) FROM readers") == 0


async def test_a_zombie_relay_beside_a_new_one_does_no_harm(kafka: KafkaBackend) -> None:
    async def relay() -> None:
        assert kafka.settings.kafka is not None
        async with open_publisher(kafka.settings.kafka) as publisher, kafka.writers.acquire() as connection:
            await kafka.relay().publish_all(connection, publisher)

    async with asyncio.TaskGroup() as tasks, member(kafka) as reader:
        zombies = [tasks.create_task(relay()) for _ in range(2)]
        for first in range(0, 600, 20):
            await write_only(kafka, *rows(kafka, first, 20))
            await step(kafka.store, reader, timeout_s=0.01)
        await read(kafka, reader, 600)
        for zombie in zombies:
            zombie.cancel()


async def test_of_two_relays_one_leads_and_the_other_takes_over(kafka: KafkaBackend) -> None:
    async with asyncio.TaskGroup() as tasks, member(kafka) as reader:
        first, second = (tasks.create_task(kafka.relay().run()) for _ in range(2))
        await write_only(kafka, *rows(kafka, 0, 50))
        await read(kafka, reader, 50)
        assert await leaders(kafka) == 1
        first.cancel()
        await write_only(kafka, *rows(kafka, 50, 50))
        await read(kafka, reader, 100)
        second.cancel()


async def leaders(backend: KafkaBackend) -> int:
    found: int = await backend.writers.fetchval(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return found


async def test_a_relay_that_loses_its_connection_goes_on_by_itself(kafka: KafkaBackend) -> None:
    async with asyncio.TaskGroup() as tasks, member(kafka) as reader:
        relay = tasks.create_task(kafka.relay().run())
        await write_only(kafka, *rows(kafka, 0, 50))
        await read(kafka, reader, 50)
        await kafka.writers.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()",
            kafka.schema,
        )
        await write_only(kafka, *rows(kafka, 50, 50))
        await read(kafka, reader, 100)
        relay.cancel()


async def test_a_relay_can_be_stopped_at_any_time(kafka: KafkaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while what it does about the stop fails: a connection that is gone cannot be given back in order."""
    publishing = asyncio.Event()

    async def fail_at_the_stop(*_: object) -> None:
        try:
            publishing.set()
            await asyncio.Event().wait()
        finally:
            raise ConnectionResetError

    monkeypatch.setattr(relaying.Relay, "publish_all", fail_at_the_stop)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        relay = tasks.create_task(kafka.relay().run())
        await publishing.wait()
        relay.cancel()
    assert relay.done()


async def test_a_record_that_no_relay_wrote_is_skipped(kafka: KafkaBackend) -> None:
    assert kafka.settings.kafka is not None
    foreign: list[Mapping[str, Any]] = [
        {"value": b"no header", "key": b"k"},
        {"value": b"half a header", "key": b"k", "headers": [("sequence", b"7")]},
        {"value": None, "key": b"k", "headers": [("sequence", b"99999999999:1")]},
        {"value": b"no key", "headers": [("sequence", b"99999999999:1")]},
    ]
    async with AIOKafkaProducer(bootstrap_servers=kafka.settings.kafka) as producer:
        for record in foreign:
            await producer.send_and_wait(kafka.topics[0], partition=0, **record)
    await write_only(kafka, *rows(kafka, 0, 10))
    await kafka.settle()
    async with member(kafka) as reader:
        await read(kafka, reader, 10)


async def test_messages_larger_than_a_batch_pass_in_their_order(kafka: KafkaBackend) -> None:
    sizes = [10, 900_000, 10, 900_000, 1_500_000, 10]
    await write_only(kafka, *((kafka.topics[0], 5, "shop/customer", bytes([n]) * size) for n, size in enumerate(sizes)))
    await kafka.settle()
    async with member(kafka) as reader:
        await read(kafka, reader, len(sizes))
    assert [len(message.body) for message in await kafka.store.applied()] == sizes


async def test_topics_that_the_cluster_refuses_are_heard_of(kafka: KafkaBackend) -> None:
    assert kafka.settings.kafka is not None
    await make_topics(kafka.settings.kafka, kafka.topics)  # again is harmless
    with pytest.raises(InvalidReplicationFactorError):
        await make_topics(kafka.settings.kafka, [f"{kafka.schema}.more.v1"], replication=7)
