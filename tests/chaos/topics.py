"""Whether Kafka holds what the outboxes hold: each event at least once, and in order when its repeats are dropped."""

import asyncio
import re
from hashlib import blake2b

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from common.bus.kafka import SEQUENCE
from common.contracts.topics import TOPICS
from common.ids import PARTITIONS
from tests.chaos.compare import Differences

READ_TIMEOUT_S = 300.0
POLL_MS = 500
PREFETCH = 5_000
EXAMPLES_MAX = 10
DIGEST_BYTES = 8
# Without ticks: they are told to partitions, and the old ones are deleted.
OUTBOX = """
SELECT part, xid::text::bigint, id, key, body FROM {owner}.outbox WHERE topic = $1 AND key <> '' ORDER BY part, xid, id
"""

Sequence = tuple[int, int]
Digests = dict[tuple[int, Sequence], bytes]  # by partition and sequence


async def compare_topics(bootstrap: str, connection: asyncpg.Connection) -> list[Differences]:
    """Every topic against the outbox it is carried from."""
    return [await _compare(topic.name, topic.owner, bootstrap, connection) for topic in TOPICS]


async def _compare(topic: str, owner: str, bootstrap: str, connection: asyncpg.Connection) -> Differences:
    found = Differences(f"Kafka: {topic}")
    wanted: Digests = {}
    async with connection.transaction():
        async for part, xid, id_, key, body in connection.cursor(OUTBOX.format(owner=owner), topic, prefetch=PREFETCH):
            wanted[part, (xid, id_)] = _digest(key.encode(), body)
    found.rows = len(wanted)
    disordered: list[str] = []
    carried = await _carried(topic, bootstrap, disordered)
    for place in wanted.keys() - carried.keys():
        found.lost += 1
        found.examples.append(f"{topic}: lost: partition {place[0]}, sequence {place[1]}")
    for place in carried.keys() & wanted.keys():
        if carried[place] != wanted[place]:
            found.different += 1
            found.examples.append(f"{topic}: different: partition {place[0]}, sequence {place[1]}")
    found.doubled = len(carried.keys() - wanted.keys())  # of no outbox: what was rolled back must not be told
    found.different += len(disordered)
    found.examples += disordered
    del found.examples[EXAMPLES_MAX:]
    return found


async def _carried(topic: str, bootstrap: str, disordered: list[str]) -> Digests:
    """All records but ticks; what comes for the first time behind a later one is out of order."""
    carried: Digests = {}
    highest: dict[int, Sequence] = {}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        slots = [TopicPartition(topic, part) for part in range(PARTITIONS)]
        consumer.assign(slots)
        ends = {slot: end for slot, end in (await consumer.end_offsets(slots)).items() if end}
        async with asyncio.timeout(READ_TIMEOUT_S):
            while any([await consumer.position(slot) < end for slot, end in ends.items()]):
                for slot, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                    for record in records:
                        sequence = _sequence(dict(record.headers)[SEQUENCE])
                        if record.key and (slot.partition, sequence) not in carried:
                            carried[slot.partition, sequence] = _digest(record.key, record.value)
                            if sequence < highest.get(slot.partition, sequence):
                                disordered.append(f"{topic}: out of order: partition {slot.partition}, {sequence}")
                            highest[slot.partition] = max(sequence, highest.get(slot.partition, sequence))
    finally:
        await consumer.stop()
    return carried


def _sequence(header: bytes) -> Sequence:
    matched = re.fullmatch(rb"(\d+):(\d+)", header)
    assert matched is not None, header
    return int(matched[1]), int(matched[2])


def _digest(key: bytes, body: bytes) -> bytes:
    return blake2b(key + b"\0" + body, digest_size=DIGEST_BYTES).digest()
