"""One job, three ways: count and sum of orders per customer from a Kafka topic, the state durable; ours and peers.

All read the very same messages. The clock of each runs from the first message handled until all of them are counted
and committed, so that nobody's start counts. Afterwards each one's durable state must hold the same counts and sums.
"""

import asyncio
import tempfile
from collections import defaultdict
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from common.bus.kafka import make_topics, open_publisher
from common.ids import PARTITIONS
from regulars.bench.as_received import SHOP
from regulars.bench.counting import EVENTS, JOB_DEADLINE_S, Totals, check, make, measure_ours
from regulars.bench.figures import Figure, rate
from regulars.bench.peer_environments import PEERS, ROUNDS, Peer, provided, run
from regulars.bench.segmentation_peer import measure_whole
from regulars.bench.stage import Stage

MESSAGES, KEYS = 100_000, 5_000
CHANGELOG_PAUSE_MS = 2_000  # a changelog that gives nothing for so long has been read
JOBS = Path(__file__).parent / "peer_jobs"

OURS = (
    "the road: exactly once; state in PostgreSQL, in one transaction per batch (up to 2,000) with the marks, "
    "fsync at each; "
    "ceiling: the fastest peer that promises exactly once"
)


WHOLE = "segmentation with everything it does: profile, models, segments, facts with reasons; ceiling: the same"


async def measure(stage: Stage) -> list[Figure]:
    """Turn by turn: ours in this process, each of the others in one of its own; nothing without Kafka."""
    if (kafka := await stage.kafka("peers")) is None:
        return []
    messages, wanted = make(stage.amount(MESSAGES), stage.amount(KEYS))
    await make_topics(kafka, [EVENTS.name])
    async with open_publisher(kafka) as publisher:
        await publisher.publish(messages)
    peers = [peer for peer in PEERS if await asyncio.to_thread(provided, peer)]
    best: defaultdict[str, float] = defaultdict(float)
    async with stage.database() as database:
        for number in range(ROUNDS):
            whole = await measure_whole(database, kafka, wanted)
            best["segmentation"] = max(best["segmentation"], len(messages) / whole)
            best["ours"] = max(best["ours"], len(messages) / await measure_ours(database, kafka, number, wanted))
            for peer in peers:
                if number < peer.rounds:
                    seconds = await _peer(peer, kafka, number, len(messages), wanted)
                    best[peer.name] = max(best[peer.name], len(messages) / seconds)
    job = f"count and sum of {len(messages):,} messages per each of {len(wanted):,} keys"
    ours = best["ours"]
    ceiling = best.get("quixstreams.exactly_once")
    return [
        rate("peers.ours", ours, "events/s", f"{job}; {OURS}; best of {ROUNDS}", ceiling),
        rate("peers.segmentation", best["segmentation"], "events/s", f"{job}; {WHOLE}; best of {ROUNDS}", ceiling),
        *(
            rate(f"peers.{peer.name}", best[peer.name], "events/s", f"{job}; {peer.what}; best of {peer.rounds}")
            for peer in peers
        ),
    ]


async def _peer(peer: Peer, kafka: str, number: int, count: int, wanted: Totals) -> float:
    """In a process of its own; gives the seconds."""
    group = f"{peer.name.replace('_', '-').replace('.', '-')}-{number}"
    with tempfile.TemporaryDirectory(prefix="regulars-peer-") as folder:
        python = str(peer.environment() / "bin" / "python")
        command = [python, str(JOBS / peer.script), kafka, EVENTS.name, peer.option, str(count), folder, group]
        seconds = float(await asyncio.to_thread(run, command, JOB_DEADLINE_S))
    check(peer.name, await _changelog(kafka, peer.changelog.format(group=group)), wanted)
    return seconds


async def _changelog(kafka: str, topic: str) -> Totals:
    """The state that a peer would have again after losing its machine: the last value of each key."""
    totals: Totals = {}
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed")
    await consumer.start()
    try:
        parts = [TopicPartition(topic, part) for part in range(PARTITIONS)]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        while batch := await consumer.getmany(timeout_ms=CHANGELOG_PAUSE_MS):
            for record in (record for records in batch.values() for record in records):
                customer_id = record.key.decode().partition("|")[0].strip('"').removeprefix(f"{SHOP}/")
                totals[customer_id] = msgspec.json.decode(record.value, type=tuple[int, int])
    finally:
        await consumer.stop()
    return totals
