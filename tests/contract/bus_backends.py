"""The three buses behind one harness: how to write to them, and a reader that keeps marks and what it has applied.

What PostgreSQL and Kafka share is an outbox: a message is written in a transaction, which may stay open. On the bus in
memory `publish` is the commit, so there is nothing to hold open and nothing that could commit late.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple, Protocol
from uuid import uuid4

import asyncpg
from asyncpg.transaction import Transaction

from common.bus.bell import Bell
from common.bus.kafka import KafkaBus, KafkaPublisher, make_topics, open_publisher
from common.bus.port import Bus, Mark, Message, Slot, Subscription
from common.bus.postgres import PostgresBus, PostgresSubscription
from common.bus.relay import Relay
from common.contracts.ingest import EVENTS
from common.contracts.topics import Topic
from common.db import marks, outbox
from common.db.engine import Connection, open_pool
from common.db.marks import Fenced
from common.db.outbox import Row
from common.db.tables import view_of
from common.settings import Settings
from tests.contract.memory_bus import MemoryBus
from tests.contract.schemas import make_schema, settings_for

GROUP = "readers"
CONNECTIONS = 12  # of writers, and of readers: a few members of a group, each with a seat and a transaction
SESSION_TIMEOUT_MS = 2_000  # of Kafka members: a dead one is noticed soon, a slow one is not thought dead
APPLIED = """CREATE TABLE applied (
    n bigint GENERATED ALWAYS AS IDENTITY, topic text, part smallint, xid bigint, id bigint, key text, body bytea)"""
APPLY = """INSERT INTO applied (topic, part, xid, id, key, body)
SELECT * FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[])"""

Moves = Mapping[Slot, tuple[Mark, Mark]]


class Hand(NamedTuple):
    """What a poll handed out, and what the marks were then."""

    messages: Sequence[Message]
    moves: Moves

    @property
    def reached(self) -> dict[Slot, Mark]:
        """The marks once it is applied."""
        return {slot: new for slot, (_, new) in self.moves.items()}


class Store(Protocol):
    """A reader's own database: its marks, and what it has applied, in one transaction."""

    async def load(self, slots: Collection[Slot]) -> dict[Slot, Mark]:
        """See port.LoadMarks."""
        ...

    def applying(self, hand: Hand) -> AbstractAsyncContextManager[None]:
        """The transaction, which commits at the end of the context; raises Fenced."""
        ...

    async def applied(self) -> list[Message]:
        """All that was applied, of each slot in the order of application."""
        ...


class Backend(Protocol):
    """One bus with two topics. `settle` returns when all that may be read can be read."""

    topics: tuple[str, str]

    @property
    def bus(self) -> Bus: ...

    @property
    def store(self) -> Store: ...

    async def write(self, *rows: Row) -> None:
        """Commits the rows in one transaction, and lets readers see them."""
        ...

    async def settle(self) -> None: ...

    async def written(self) -> list[Message]:
        """All that was committed, of each slot in order."""
        ...

    async def expel(self, reader: Subscription) -> None:
        """Takes its slots from a member that does not poll, so that the next to join can have them."""
        ...


def member(backend: Backend, store: Store | None = None) -> AbstractAsyncContextManager[Subscription]:
    """A new member of the one group of readers."""
    return backend.bus.subscribe(GROUP, backend.topics, (store or backend.store).load)


async def take(reader: Subscription, max_messages: int = 1_000, timeout_s: float = 0.05) -> Hand:
    """Polls once."""
    messages = await reader.poll(max_messages, timeout_s)
    return Hand(messages, {message.slot: (reader.marks[message.slot], message.mark) for message in messages})


async def apply(store: Store, hand: Hand, reader: Subscription) -> None:
    """Applies what is in hand and tells the bus; raises Fenced."""
    async with store.applying(hand):
        pass
    reader.advance(hand.reached)


async def step(store: Store, reader: Subscription, max_messages: int = 1_000, timeout_s: float = 0.05) -> int:
    """Polls and applies once; returns how many were applied."""
    hand = await take(reader, max_messages, timeout_s)
    try:
        await apply(store, hand, reader)
    except Fenced:
        await reader.reset()
        return 0
    return len(hand.messages)


class MemoryStore:
    """Marks in a dict, under the rule of common.db.marks: what they were is compared before they move."""

    def __init__(self) -> None:
        self._marks: dict[Slot, Mark] = {}
        self._applied: list[Message] = []

    async def load(self, slots: Collection[Slot]) -> dict[Slot, Mark]:
        return {slot: self._marks.get(slot, Mark(0, 0)) for slot in slots}

    @asynccontextmanager
    async def applying(self, hand: Hand) -> AsyncIterator[None]:
        yield
        if any(self._marks.get(slot, Mark(0, 0)) != old for slot, (old, _) in hand.moves.items()):
            raise Fenced
        self._marks |= hand.reached
        self._applied += hand.messages

    async def applied(self) -> list[Message]:
        return list(self._applied)


class MemoryBackend:
    """Lists, and a reader with a dict."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        self.store = MemoryStore()
        self.topics = ("shop.events.v1", "shop.others.v1")

    async def write(self, *rows: Row) -> None:
        for row in rows:
            self.bus.publish(*row)

    async def settle(self) -> None:
        """What is published can be read."""

    async def written(self) -> list[Message]:
        return [message for log in self.bus._log.values() for message in log]

    async def expel(self, reader: Subscription) -> None:
        """The bus itself takes them."""


class DatabaseStore:
    """Marks and applied messages in the reader's own schema."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def load(self, slots: Collection[Slot]) -> dict[Slot, Mark]:
        async with self._pool.acquire() as connection:
            return await marks.load(connection, slots)

    @asynccontextmanager
    async def applying(self, hand: Hand) -> AsyncIterator[None]:
        async with self._pool.acquire() as connection, connection.transaction():
            await marks.move(connection, hand.moves)
            columns = zip(*((m.topic, m.part, *m.mark, m.key, m.body) for m in hand.messages), strict=True)
            await connection.execute(APPLY, *(columns if hand.messages else [[]] * 6))
            yield

    async def applied(self) -> list[Message]:
        rows = await self._pool.fetch("SELECT topic, part, xid, id, key, body FROM applied ORDER BY n")
        return [Message(topic, part, Mark(xid, id_), key, body) for topic, part, xid, id_, key, body in rows]


class Open:
    """A transaction of a writer that has taken its id and stays open until it is ended."""

    def __init__(
        self, pool: asyncpg.Pool, connection: asyncpg.pool.PoolConnectionProxy, transaction: Transaction
    ) -> None:
        self._pool, self.connection, self._transaction = pool, connection, transaction

    @classmethod
    async def begin(cls, pool: asyncpg.Pool) -> "Open":
        connection = await pool.acquire()
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT pg_current_xact_id()")
        return cls(pool, connection, transaction)

    async def write(self, *rows: Row) -> None:
        await outbox.write(self.connection, rows)

    async def end(self, *, commit: bool = True) -> None:
        await (self._transaction.commit() if commit else self._transaction.rollback())
        await self._pool.release(self.connection)


class PostgresBackend:
    """Readers read the writer's outbox."""

    def __init__(self, settings: Settings, schema: str, writers: asyncpg.Pool, readers: asyncpg.Pool) -> None:
        self.settings, self.schema, self.writers, self.readers = settings, schema, writers, readers
        self.topics = topics_of(schema)
        self.bell = Bell()
        self.bus: Bus = PostgresBus(readers, self.bell)
        self.store = DatabaseStore(readers)

    async def write(self, *rows: Row) -> None:
        async with self.writers.acquire() as connection, connection.transaction():
            await outbox.write(connection, rows)
        for row in rows:
            self.bell.ring(row[0])
        await self.settle()

    async def settle(self) -> None:
        """What is committed can be read."""

    async def written(self) -> list[Message]:
        found: list[Message] = []
        for topic in self.topics:
            rows = await self.writers.fetch(f"SELECT part, xid::text::bigint, id, key, body FROM {view_of(topic)}")
            found += [Message(topic, part, Mark(xid, id_), key, body) for part, xid, id_, key, body in rows]
        return sorted(found)

    async def expel(self, reader: Subscription) -> None:
        """Ends the connection that its locks hang on."""
        assert isinstance(reader, PostgresSubscription)
        await self.readers.execute("SELECT pg_terminate_backend($1)", reader._seat.get_server_pid())


class KafkaBackend(PostgresBackend):
    """A relay carries the writer's outbox to a broker. `settle` relays by hand what may be relayed by now."""

    def __init__(
        self, settings: Settings, schema: str, writers: asyncpg.Pool, readers: asyncpg.Pool, publisher: KafkaPublisher
    ) -> None:
        super().__init__(settings, schema, writers, readers)
        assert settings.kafka is not None
        self.publisher = publisher
        self.bus = KafkaBus(settings.kafka, SESSION_TIMEOUT_MS)

    def relay(self) -> Relay:
        """A new one, which knows no more than what was written down."""
        return Relay(self.schema, self.writers, self.bell, self.topics, self.settings)

    async def settle(self) -> None:
        relay = self.relay()
        async with self.writers.acquire() as connection:
            for topic in self.topics:
                await settle_topic(relay, connection, self.publisher, topic)

    async def expel(self, reader: Subscription) -> None:
        """The group itself takes them: its protocol runs beside the reader."""


async def settle_topic(relay: Relay, connection: Connection, publisher: KafkaPublisher, topic: str) -> None:
    """Relays until there is nothing left that may be relayed."""
    positions = await relay._load(connection, topic)
    while await relay._publish(connection, publisher, topic, positions):
        pass


def topics_of(schema: str) -> tuple[str, str]:
    """The two topics of a writer."""
    return f"{schema}.events.v1", f"{schema}.others.v1"


@asynccontextmanager
async def open_postgres(dsn: str) -> AsyncIterator[PostgresBackend]:
    """Schemas for a writer and a reader, and a pool for each."""
    async with open_database(settings_for(dsn, pool_max_connections=CONNECTIONS)) as opened:
        yield PostgresBackend(*opened)


@asynccontextmanager
async def open_kafka(dsn: str, bootstrap: str) -> AsyncIterator[KafkaBackend]:
    """The same, and topics of the test's own on the broker."""
    settings = settings_for(dsn, pool_max_connections=CONNECTIONS, kafka=bootstrap)
    async with open_database(settings) as opened, open_publisher(bootstrap) as publisher:
        backend = KafkaBackend(*opened, publisher)
        await make_topics(bootstrap, backend.topics)
        yield backend


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[tuple[Settings, str, asyncpg.Pool, asyncpg.Pool]]:
    """Schemas of names that no other test has, since brokers and roles are shared."""
    name = uuid4().hex[:12]
    writer, reader = f"writer_{name}", f"reader_{name}"
    assert settings.admin_database is not None
    owned = [Topic(topic, writer, EVENTS) for topic in topics_of(writer)]
    await make_schema(settings.admin_database, writer, owned)
    await make_schema(settings.admin_database, reader, [], APPLIED)
    async with open_pool(settings, writer) as writers, open_pool(settings, reader) as readers:
        yield settings, writer, writers, readers
