"""The relay: rows of an outbox to a real Kafka broker, all acknowledged, and its position written down."""

import time
from itertools import groupby

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from common.bus.kafka import MESSAGE_MAX_BYTES, REQUEST_TIMEOUT_MS, SEQUENCE, make_topics
from common.contracts.envelope import encode
from common.contracts.topics import INGEST_EVENTS
from common.db.engine import Connection, open_pool
from common.ids import PARTITIONS
from regulars.bench import figures, road_stage
from regulars.bench.as_received import shop_events
from regulars.bench.figures import Figure
from regulars.bench.stage import Stage

EVENTS = 60_000
ROUNDS = 3  # of ours and of the bare one in turn; the best of each counts
TOPIC = INGEST_EVENTS.name

ROWS = "SELECT part, xid::text::bigint, id, key, body FROM outbox WHERE topic = $1 ORDER BY part, xid, id"


async def measure(stage: Stage) -> list[Figure]:
    """Ingest's outbox, full from the start; nothing without Kafka."""
    if (bootstrap := await stage.kafka("relay")) is None:
        return []
    events = shop_events(stage.amount(EVENTS))
    ours: list[float] = []
    bare: list[float] = []
    async with stage.database() as database, open_pool(database.settings, "ingest") as pool:
        await road_stage.fill(database, INGEST_EVENTS, events)
        settings = database.settings.model_copy(update={"kafka": bootstrap})
        await make_topics(bootstrap, [TOPIC])
        published = await _on_topic(bootstrap)
        for _ in range(ROUNDS):
            await pool.execute("DELETE FROM readers")
            road_stage.quiet()
            ours.append(len(events) / await road_stage.publish(settings, INGEST_EVENTS))
            async with pool.acquire() as connection:
                bare.append(len(events) / await publish(connection, bootstrap))
            published += 2 * len(events)
            if published != (found := await _on_topic(bootstrap)):
                raise AssertionError(f"{found} messages on the topic, not {published}")
    size = sum(len(encode(event)) for event in events) / len(events)
    what = (
        f"{len(events):,} rows of {size:,.0f} bytes on average to one broker, "
        f"idempotent, acknowledged by all; best of {ROUNDS}; ceiling: one SELECT and a bare producer set alike"
    )
    return [figures.rate("relay", max(ours), "rows/s", what, max(bare))]


async def publish(connection: Connection, bootstrap: str) -> float:
    """Seconds to read everything at once and to send it, as many batches at a time as there are partitions."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        acks="all",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        max_batch_size=MESSAGE_MAX_BYTES // 2,
    )
    await producer.start()
    try:
        began = time.perf_counter()
        sent = []
        for part, rows in groupby(await connection.fetch(ROWS, TOPIC), key=lambda row: row[0]):
            batch = producer.create_batch()
            for _, xid, id_, key, body in rows:
                message = {"key": key.encode(), "value": body, "timestamp": None}
                headers = [(SEQUENCE, b"%d:%d" % (xid, id_))]
                if batch.append(**message, headers=headers) is None:
                    sent.append(await producer.send_batch(batch, TOPIC, partition=part))
                    batch = producer.create_batch()
                    batch.append(**message, headers=headers)
            sent.append(await producer.send_batch(batch, TOPIC, partition=part))
        for acknowledged in sent:
            await acknowledged
        return time.perf_counter() - began
    finally:
        await producer.stop()


async def _on_topic(bootstrap: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition(TOPIC, part) for part in range(PARTITIONS)])
        return int(sum(ends.values()))
    finally:
        await consumer.stop()
