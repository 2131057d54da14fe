"""The bus on Apache Kafka: messages come from the relay, each with its outbox sequence as a header.

A reader starts where its group's offsets say, drops what is at or below its marks, and moves the offsets after them
(they are for lag tools; the marks decide).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import groupby

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import IllegalStateError, KafkaError, TopicAlreadyExistsError

from common.bus.port import LoadMarks, Mark, Message, Slot
from common.ids import PARTITIONS

SEQUENCE = "sequence"  # header: "xid:id" of the outbox row
COMMIT_EVERY_S = 1.0
STOP_TIMEOUT_S = 5.0  # aiokafka may wait for a broker that is gone
SESSION_TIMEOUT_MS = 10_000
MAX_POLL_INTERVAL_MS = 60_000
REQUEST_TIMEOUT_MS = 20_000
MESSAGE_MAX_BYTES = 2_000_000


async def make_topics(bootstrap: str, names: Iterable[str], replication: int = 1) -> None:
    """Makes the topics that are missing, 24 partitions each."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        missing = set(names) - set(await admin.list_topics())
        new = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=replication) for name in sorted(missing)]
        with suppress(TopicAlreadyExistsError):
            await admin.create_topics(new)
    finally:
        await admin.close()


class KafkaBus:
    """Reads topics of a Kafka cluster."""

    def __init__(self, bootstrap: str, session_timeout_ms: int = SESSION_TIMEOUT_MS) -> None:
        self._bootstrap, self._session_timeout_ms = bootstrap, session_timeout_ms

    def ring(self, topic: str) -> None:
        """The broker itself wakes its readers."""

    @asynccontextmanager
    async def subscribe(
        self, group: str, topics: tuple[str, ...], load_marks: LoadMarks
    ) -> AsyncIterator["KafkaSubscription"]:
        """Joins the consumer group."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=self._session_timeout_ms // 3,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            max_partition_fetch_bytes=MESSAGE_MAX_BYTES,
        )
        subscription = KafkaSubscription(consumer, load_marks)
        consumer.subscribe(topics, listener=subscription)
        await consumer.start()
        try:
            yield subscription
        finally:
            with suppress(TimeoutError, KafkaError):
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await consumer.stop()


class KafkaSubscription(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """See port.Subscription."""

    def __init__(self, consumer: AIOKafkaConsumer, load_marks: LoadMarks) -> None:
        self.marks: dict[Slot, Mark] = {}
        self._consumer, self._load_marks = consumer, load_marks
        self._offsets: dict[Slot, dict[Mark, int]] = {}  # of messages handed out and not yet applied
        self._applied: dict[TopicPartition, int] = {}
        self._committed_at = 0.0

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """A rebalance begins: nothing is ours until it ends."""
        await self._commit_offsets()
        for gone in revoked:
            self.marks.pop((gone.topic, gone.partition), None)
            self._offsets.pop((gone.topic, gone.partition), None)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Loads the marks before the first message of a partition is read."""
        slots = [(gained.topic, gained.partition) for gained in assigned]
        self.marks |= await self._load_marks(slots)

    async def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """See port."""
        if time.monotonic() - self._committed_at > COMMIT_EVERY_S:
            await self._commit_offsets()
        records = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=max_messages)
        found: list[Message] = []
        for tp, batch in records.items():
            slot = (tp.topic, tp.partition)
            mark = self.marks.get(slot)
            if mark is None:  # lost again, or gained so newly that its marks are still loading: read it once more
                with suppress(IllegalStateError):
                    self._consumer.seek(tp, batch[0].offset)
                continue
            offsets = self._offsets.setdefault(slot, {})
            for record in batch:
                xid, _, id_ = dict(record.headers)[SEQUENCE].partition(b":")
                sequence = Mark(int(xid), int(id_))
                if sequence > mark:
                    mark = sequence
                    offsets[sequence] = record.offset
                    found.append(Message(tp.topic, tp.partition, sequence, record.key.decode(), record.value))
        return found

    def advance(self, marks: Mapping[Slot, Mark]) -> None:
        """See port."""
        for slot, mark in marks.items():
            if slot in self.marks:
                self.marks[slot] = mark
                offsets = self._offsets.get(slot, {})
                if mark in offsets:
                    self._applied[TopicPartition(*slot)] = offsets[mark] + 1
                self._offsets[slot] = {later: offset for later, offset in offsets.items() if later > mark}

    async def reset(self) -> None:
        """See port: goes back to the first message handed out and not applied."""
        for slot, offsets in self._offsets.items():
            if offsets and slot in self.marks:
                self._consumer.seek(TopicPartition(*slot), min(offsets.values()))
        self._offsets = {}
        self.marks = await self._load_marks(self.marks.keys())

    async def _commit_offsets(self) -> None:
        held = self._consumer.assignment()
        offsets = {tp: offset for tp, offset in self._applied.items() if tp in held}
        self._applied = {}
        self._committed_at = time.monotonic()
        if offsets:
            with suppress(KafkaError):  # only lag tools miss it; the marks are in our database
                await self._consumer.commit(offsets)


class KafkaPublisher:
    """Publishes outbox rows: in order per partition, the next batch only when the last one is acknowledged by all."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def publish(self, messages: Iterable[Message]) -> None:
        """All or an error; after an error the caller starts again from its position (readers drop the repeats)."""
        async with asyncio.TaskGroup() as tasks:
            for slot, batch in groupby(sorted(messages, key=lambda m: (m.slot, m.mark)), key=lambda m: m.slot):
                tasks.create_task(self._publish_slot(slot, list(batch)))

    async def _publish_slot(self, slot: Slot, messages: list[Message]) -> None:
        rest = iter(messages)
        message = next(rest, None)
        while message is not None:
            batch = self._producer.create_batch()
            first = message
            while message is not None and _append(batch, message):
                message = next(rest, None)
            if message is first:
                raise ValueError(f"a message of {len(first.body)} bytes is larger than a Kafka batch may be")
            await (await self._producer.send_batch(batch, slot[0], partition=slot[1]))


def _append(batch: object, message: Message) -> bool:
    sequence = b"%d:%d" % message.mark
    appended = batch.append(  # type: ignore[attr-defined]
        key=message.key.encode(), value=message.body, timestamp=None, headers=[(SEQUENCE, sequence)]
    )
    return appended is not None


@asynccontextmanager
async def open_publisher(bootstrap: str) -> AsyncIterator[KafkaPublisher]:
    """An idempotent producer that waits for all replicas."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        acks="all",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        max_batch_size=MESSAGE_MAX_BYTES // 2,
    )
    await producer.start()
    try:
        yield KafkaPublisher(producer)
    finally:
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await producer.stop()
