"""A server is killed and comes back while messages are written and read: nothing is lost, nothing is doubled."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
from aiokafka.errors import KafkaError

from common.db import outbox
from common.db.engine import is_outside
from common.ids import PARTITIONS
from tests.contract.bus_backends import PostgresBackend, member, open_kafka, open_postgres, step
from tests.contract.mortal_postgres import MortalPostgres
from tests.contract.waiting import until
from tests.kafka_fixture import StartKafka

KILLED_AT, WHILE_AWAY, IN_ALL = 30, 60, 120  # transactions acknowledged
DEADLINE_S = 60.0


class Traffic:
    """A writer and a reader that go on whatever the servers do, as the loops of a service do."""

    def __init__(self, backend: PostgresBackend) -> None:
        self._backend = backend
        self.acknowledged: list[bytes] = []
        self.goal = WHILE_AWAY
        self._polls = 0

    async def write(self) -> None:
        """Each transaction again until it is acknowledged; one that failed at its commit may stand there twice."""
        while True:
            if len(self.acknowledged) < self.goal:
                await self._write(b"%d" % len(self.acknowledged), len(self.acknowledged) % PARTITIONS)
            await asyncio.sleep(0.001)  # waits: for a server to come back, for a higher goal, for the reader's turn

    async def _write(self, body: bytes, part: int) -> None:
        try:
            async with self._backend.writers.acquire() as connection, connection.transaction():
                await outbox.write(connection, [(topic, part, "shop/customer", body) for topic in self._backend.topics])
        except Exception as error:
            if not is_outside(error):
                raise
            return
        self.acknowledged.append(body)
        for topic in self._backend.topics:
            self._backend.bell.ring(topic)

    async def read(self) -> None:
        """Subscribes again after every error, as the road does."""
        while True:
            try:
                async with member(self._backend) as reader:
                    while True:
                        await step(self._backend.store, reader, max_messages=100, timeout_s=0.02)
                        self._polls += 1
            except Exception as error:
                if not is_outside(error) and not isinstance(error, KafkaError):
                    raise
            await asyncio.sleep(0.01)  # waits: for the server to come back

    async def wrote(self, count: int) -> None:
        """Returns when so many transactions were acknowledged."""

        async def enough() -> bool:
            return len(self.acknowledged) >= count

        await until(enough, f"{count} transactions are acknowledged", DEADLINE_S)

    async def polled(self, more: int) -> None:
        """Returns when the reader has polled so often: it must not hang on a server that is away."""
        count = self._polls + more

        async def enough() -> bool:
            return self._polls >= count

        await until(enough, f"{more} polls more", DEADLINE_S)

    async def applied_some(self) -> None:
        """Returns when the reader is at work."""

        async def some() -> bool:
            return bool(await self._backend.store.applied())

        await until(some, "the reader has applied something", DEADLINE_S)

    async def prove(self) -> None:
        """All that stands in the outbox is applied, once and in order; all that was acknowledged stands there."""

        async def complete() -> bool:
            with suppress(OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
                return len(await self._backend.store.applied()) >= len(await self._backend.written())
            return False

        await until(complete, "all that was written is applied", DEADLINE_S)
        written, applied = await self._backend.written(), await self._backend.store.applied()
        assert {message.body for message in written} == set(self.acknowledged)
        assert sorted(applied, key=lambda message: message.slot) == written


async def survive(
    backend: PostgresBackend,
    *loops: Callable[[], Awaitable[None]],
    kill: Callable[[], Awaitable[None]],
    is_away: Callable[[Traffic], Awaitable[None]],
    start: Callable[[], Awaitable[None]],
) -> None:
    """Kills a server in the middle of the traffic, and starts it again when what is to go on without it has gone on."""

    async def forever(loop: Callable[[], Awaitable[None]]) -> None:
        await loop()

    traffic = Traffic(backend)
    async with asyncio.timeout(2 * DEADLINE_S), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(forever(loop)) for loop in (traffic.write, traffic.read, *loops)]
        await traffic.wrote(KILLED_AT)
        await traffic.applied_some()
        await kill()
        await is_away(traffic)
        await start()
        traffic.goal = IN_ALL
        await traffic.wrote(IN_ALL)
        await traffic.prove()
        for task in running:
            task.cancel()


async def nothing_goes_on(_: Traffic) -> None:
    """Without the database."""


async def intake_goes_on(traffic: Traffic) -> None:
    """Without the broker: outboxes take what comes, and readers look after their alarms between polls."""
    await traffic.wrote(WHILE_AWAY)
    await traffic.polled(60)


async def test_postgres_is_killed(mortal_postgres: MortalPostgres, quick_shares: None) -> None:
    async with open_postgres(mortal_postgres.dsn) as backend:
        await survive(backend, kill=mortal_postgres.kill, is_away=nothing_goes_on, start=mortal_postgres.start)


async def test_kafka_is_killed(shared_database: str, start_kafka: StartKafka) -> None:
    cluster = await start_kafka()
    async with open_kafka(shared_database, cluster.bootstrap) as backend:
        await survive(
            backend,
            backend.relay().run,
            kill=lambda: cluster.kill(1),
            is_away=intake_goes_on,
            start=lambda: cluster.restart(1),
        )
