"""The bus on Apache Kafka: messages come from the relay, each with its outbox sequence as a header.

A reader starts where its group's offsets say, drops what is at or below its marks, and moves the offsets after them
(they are for lag tools; the marks decide). Partitions are dealt out in ranges: a member has the same ones of every
topic, so that a customer is decided in one place.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import groupby

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError, NoError, TopicAlreadyExistsError, for_code

from common.bus.port import LoadMarks, Mark, Message, Slot
from common.ids import PARTITIONS

SEQUENCE = "sequence"  # header: "xid:id" of the outbox row
COMMIT_EVERY_S = 1.0
COMMIT_TIMEOUT_S = 1.0  # aiokafka would wait for a broker that is gone
REBALANCE_PATIENCE_S = 0.5  # on top of a poll's own time: aiokafka would wait for the end of a rebalance
STOP_TIMEOUT_S = 5.0  # aiokafka may wait for a broker that is gone
MAX_POLL_INTERVAL_MS = 60_000
REQUEST_TIMEOUT_MS = 20_000
# How long a reader may take a broker for the leader that it no longer is. aiokafka asks again by itself when a fetch is
# refused, but not when a look-up of offsets is: and while one such waits, it fetches nothing from that broker.
METADATA_MAX_AGE_MS = 5_000
MESSAGE_MAX_BYTES = 2_000_000

log = structlog.get_logger()


async def make_topics(bootstrap: str, names: Iterable[str], replication: int = 1) -> None:
    """Makes the topics that are missing, 24 partitions each. Raises KafkaError when the cluster refuses."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        missing = set(names) - set(await admin.list_topics())
        limits = {"max.message.bytes": str(MESSAGE_MAX_BYTES)}  # ours, whatever the cluster's default is
        new = [NewTopic(name, PARTITIONS, replication, topic_configs=limits) for name in sorted(missing)]
        for name, code, *_ in (await admin.create_topics(new)).topic_errors if new else ():
            if (error := for_code(code)) not in (NoError, TopicAlreadyExistsError):
                raise error(name)
    finally:
        await admin.close()


class KafkaBus:
    """Reads topics of a Kafka cluster."""

    def __init__(self, bootstrap: str, session_timeout_ms: int) -> None:
        self._bootstrap, self._session_timeout_ms = bootstrap, session_timeout_ms

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
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            partition_assignment_strategy=(RangePartitionAssignor,),
        )
        subscription = KafkaSubscription(consumer, load_marks)
        consumer.subscribe(topics, listener=subscription)
        try:
            await consumer.start()
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

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:  # noqa: ARG002 - all are
        """A rebalance begins: nothing is ours until it ends."""
        self.marks.clear()
        self._offsets.clear()
        await self._commit_offsets()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Nothing yet: the next poll loads the marks. A failure here would be heard by nobody."""

    async def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """See port."""
        if time.monotonic() - self._committed_at > COMMIT_EVERY_S:
            await self._commit_offsets()
        records: Mapping[TopicPartition, list[ConsumerRecord]] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s + REBALANCE_PATIENCE_S):
                records = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=max_messages)
        await self._hold_what_is_assigned()
        return [message for tp, batch in records.items() for message in self._above_mark(tp, batch)]

    async def _hold_what_is_assigned(self) -> None:
        """Loads the marks of slots gained, before any message of theirs is looked at; forgets slots lost."""
        gained = self._assigned() - self.marks.keys()
        loaded = await self._load_marks(gained) if gained else {}
        assigned = self._assigned()
        self.marks = {slot: mark for slot, mark in (self.marks | loaded).items() if slot in assigned}

    def _assigned(self) -> set[Slot]:
        return {(tp.topic, tp.partition) for tp in self._consumer.assignment()}

    def _above_mark(self, tp: TopicPartition, batch: Iterable[ConsumerRecord]) -> list[Message]:
        """What of the batch was not applied yet; nothing of a slot lost meanwhile, who has it now reads it."""
        slot = (tp.topic, tp.partition)
        found: list[Message] = []
        if (mark := self.marks.get(slot)) is None:
            return found
        offsets = self._offsets.setdefault(slot, {})
        for record in batch:
            sequence = _sequence(record)
            if sequence is None:
                log.error("skipped: not from an outbox", topic=tp.topic, part=tp.partition, offset=record.offset)
            elif sequence > mark:
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
        """See port: goes back to the first message handed out and not applied; the next poll loads the marks."""
        for slot, offsets in self._offsets.items():
            if offsets:
                with suppress(IllegalStateError):  # lost meanwhile
                    self._consumer.seek(TopicPartition(*slot), min(offsets.values()))
        self._offsets.clear()
        self.marks.clear()

    async def _commit_offsets(self) -> None:
        held = self._consumer.assignment()
        offsets = {tp: offset for tp, offset in self._applied.items() if tp in held}
        self._applied = {}
        self._committed_at = time.monotonic()
        if offsets:
            with suppress(KafkaError, TimeoutError):  # only lag tools miss it; the marks are in our database
                async with asyncio.timeout(COMMIT_TIMEOUT_S):
                    await self._consumer.commit(offsets)


def _sequence(record: ConsumerRecord) -> Mark | None:
    """Where the record stood in its outbox; None when somebody else than a relay has put it there."""
    xid, _, id_ = dict(record.headers).get(SEQUENCE, b"").partition(b":")
    if not (xid.isdigit() and id_.isdigit()) or record.key is None or record.value is None:
        return None
    return Mark(int(xid), int(id_))


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
            while message is not None and _append(batch, message):  # a batch takes at least one
                message = next(rest, None)
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
    try:
        await producer.start()
        yield KafkaPublisher(producer)
    finally:
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await producer.stop()
