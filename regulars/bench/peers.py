"""One job, three ways: count and sum of orders per customer from a Kafka topic, the state durable; ours and peers.

All read the very same messages. The clock of each runs from the first message handled until all of them are counted
and committed, so that nobody's start counts. Afterwards each one's durable state must hold the same counts and sums.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from time import perf_counter
from typing import NamedTuple

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct
from rich.console import Console

from common.bus.kafka import make_topics, open_publisher
from common.bus.port import Mark, Message
from common.clock import RealClock
from common.contracts.envelope import Event, encode
from common.contracts.ingest import OrderPaid
from common.contracts.topics import Topic
from common.db.tables import road_v1
from common.decision import Decision, Occasion
from common.house import House
from common.ids import PARTITIONS, partition_of
from common.money import Money
from common.service import Service
from common.shops import load_shops
from common.telemetry import metrics
from regulars.bench.figures import Figure, rate
from regulars.bench.road_stage import quiet
from regulars.bench.stage import Database, Stage
from regulars.kafka_broker import cache_folder

MESSAGES, KEYS = 100_000, 5_000
EVENTS = Topic("peers.events.v1", "peers", (OrderPaid,))
SHOP = "demo"
ROUNDS = 3  # the best counts
JOB_DEADLINE_S, INSTALL_DEADLINE_S = 180.0, 240.0
CHANGELOG_PAUSE_MS = 2_000  # a changelog that gives nothing for so long has been read
LOOK_EVERY_S = 0.002
JOBS = Path(__file__).parent / "peer_jobs"

Totals = dict[str, tuple[int, int]]  # customer -> number of orders, their sum in minor units


class Peer(NamedTuple):
    """Another's way: what its environment holds, its script, how it is set, and where its durable state is read."""

    name: str
    packages: tuple[str, ...]
    script: str
    option: str
    changelog: str  # of a group; the last value of a key is its state
    rounds: int
    what: str

    def environment(self) -> Path:
        """Where it is kept, made once per machine."""
        return cache_folder().parent / "-".join(("peer", *self.packages)).replace("==", "-")


QUIXSTREAMS = ("quixstreams==3.28.1", "rocksdict==0.3.29", "confluent-kafka==2.12.2")
FAUST = ("faust-streaming==0.15.3", "rocksdict==0.3.29", "aiokafka==0.14.0")
QUIX_STATE = "state in RocksDB, put there and into a changelog topic once per key at each commit, every 5 s"
PEERS = (
    Peer(
        "quixstreams.exactly_once",
        QUIXSTREAMS,
        "quixstreams_job.py",
        "exactly-once",
        f"changelog__{{group}}--{EVENTS.name}--default",
        ROUNDS,
        f"quixstreams 3.28, exactly-once by Kafka transactions; {QUIX_STATE}",
    ),
    Peer(
        "quixstreams.at_least_once",
        QUIXSTREAMS,
        "quixstreams_job.py",
        "at-least-once",
        f"changelog__{{group}}--{EVENTS.name}--default",
        1,
        f"quixstreams 3.28, its default guarantee: after a crash some are counted twice; {QUIX_STATE}",
    ),
    Peer(
        "faust",
        FAUST,
        "faust_job.py",
        str(PARTITIONS),
        "{group}-totals-changelog",
        1,
        "faust-streaming 0.15, at least once: after a crash some are counted twice; state in RocksDB (rocksdict), "
        "each change into a changelog topic",
    ),
)
OURS = (
    "the road: exactly once; state in PostgreSQL, in one transaction per batch (up to 2,000) with the marks, "
    "fsync at each; "
    "ceiling: the fastest peer that promises exactly once"
)


class State(Struct, frozen=True):
    """The whole job."""

    count: int = 0
    total: int = 0


async def measure(stage: Stage) -> list[Figure]:
    """Turn by turn, each in a process that the others' are gone from."""
    messages, wanted = make(stage.amount(MESSAGES), stage.amount(KEYS))
    kafka = await stage.kafka()
    await make_topics(kafka, [EVENTS.name])
    async with open_publisher(kafka) as publisher:
        await publisher.publish(messages)
    peers = [peer for peer in PEERS if await asyncio.to_thread(_provided, peer)]
    best: defaultdict[str, float] = defaultdict(float)
    async with stage.database() as database:
        for number in range(ROUNDS):
            best["ours"] = max(best["ours"], len(messages) / await _ours(database, kafka, number, wanted))
            for peer in peers:
                if number < peer.rounds:
                    seconds = await _peer(peer, kafka, number, len(messages), wanted)
                    best[peer.name] = max(best[peer.name], len(messages) / seconds)
    job = f"count and sum of {len(messages):,} messages per each of {len(wanted):,} keys"
    ours = best["ours"]
    ceiling = best.get("quixstreams.exactly_once")
    return [
        rate("peers.ours", ours, "events/s", f"{job}; {OURS}; best of {ROUNDS}", ceiling),
        *(
            rate(f"peers.{peer.name}", best[peer.name], "events/s", f"{job}; {peer.what}; best of {peer.rounds}")
            for peer in peers
        ),
    ]


def make(count: int, keys: int) -> tuple[list[Message], Totals]:
    """Messages as the relay would write them, and what they come to; the same ones every time."""
    rng = random.Random(count)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    messages: list[Message] = []
    totals: Totals = {}
    for number in range(count):
        customer_id, amount = f"c{rng.randrange(keys):05d}", rng.randrange(1, 100_000)
        event = Event(
            specversion="1.0",
            id=f"o{number:07d}:paid",
            source="bench",
            type=OrderPaid.TYPE,
            shop_id=SHOP,
            customer_id=customer_id,
            occurred_at=at,
            received_at=at,
            data=OrderPaid(f"o{number:07d}", Money(amount, "CNY")),
        )
        part = partition_of(SHOP, customer_id)
        key = f"{SHOP}/{customer_id}"
        messages.append(Message(EVENTS.name, part, Mark(1, number + 1), key, encode(event)))
        before, total = totals.get(customer_id, (0, 0))
        totals[customer_id] = (before + 1, total + amount)
    return messages, totals


def counting(name: str, began: Callable[[], None]) -> Service[State]:
    """The job as a service; it says when it is first asked."""

    def decide(state: State | None, occasion: Occasion) -> Decision[State]:
        if state is None:
            began()
            state = State()
        assert isinstance(occasion.what, OrderPaid)
        return Decision(State(state.count + 1, state.total + occasion.what.amount.amount_minor))

    writes, work = Topic(f"{name}.totals.v1", name, ()), Topic(f"{name}.work.v1", name, (), work=True)
    return Service(name=name, reads=(EVENTS,), writes=writes, work=work, state=State, decide=decide)


async def _ours(database: Database, kafka: str, number: int, wanted: Totals) -> float:
    """In a schema, and as a group, of its own; gives the seconds."""
    begun: list[float] = []
    service = counting(f"counting{number}", lambda: None if begun else begun.append(perf_counter()))
    await _make_schema(database, service)
    await make_topics(kafka, [service.work.name])
    count = sum(count for count, _ in wanted.values())
    house = House(database.settings.model_copy(update={"kafka": kafka}), RealClock(), load_shops())
    quiet()
    async with house.pool(service.name) as pool:
        async with asyncio.timeout(JOB_DEADLINE_S), asyncio.TaskGroup() as tasks:
            road = tasks.create_task(house.road(service, pool).run())
            while _decided(service.name) < count:  # noqa: ASYNC110 - the road tells nobody but the metric
                await asyncio.sleep(LOOK_EVERY_S)
            seconds = perf_counter() - begun[0]
            road.cancel()
        query = "SELECT customer_id, body->'state'->>'count', body->'state'->>'total' FROM states"
        found = {customer: (int(count), int(total)) for customer, count, total in await pool.fetch(query)}
    _check("ours", found, wanted)
    return seconds


async def _make_schema(database: Database, service: Service[State]) -> None:
    admin = await asyncpg.connect(database.dsn)
    try:
        await admin.execute(f"CREATE ROLE {service.name} LOGIN")
        await admin.execute(f"ALTER ROLE {service.name} SET search_path = {service.name}")
        await admin.execute(f"CREATE SCHEMA {service.name} AUTHORIZATION {service.name}")
    finally:
        await admin.close()
    owner = await asyncpg.connect(database.dsn, user=service.name)
    try:
        for statement in road_v1((service.writes, service.work)):
            await owner.execute(statement)
    finally:
        await owner.close()


def _decided(service: str) -> int:
    (metric,) = metrics.ROAD_EVENTS.labels(service).collect()
    return int(metric.samples[0].value)


async def _peer(peer: Peer, kafka: str, number: int, count: int, wanted: Totals) -> float:
    """In a process of its own; gives the seconds."""
    group = f"{peer.name.replace('_', '-').replace('.', '-')}-{number}"
    with tempfile.TemporaryDirectory(prefix="regulars-peer-") as folder:
        python = str(peer.environment() / "bin" / "python")
        command = [python, str(JOBS / peer.script), kafka, EVENTS.name, peer.option, str(count), folder, group]
        seconds = float(await asyncio.to_thread(_run, command, JOB_DEADLINE_S))
    _check(peer.name, await _changelog(kafka, peer.changelog.format(group=group)), wanted)
    return seconds


def _run(command: list[str], deadline_s: float) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=deadline_s)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


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


def _check(name: str, found: Totals, wanted: Totals) -> None:
    if found != wanted:
        different = sum(found.get(key) != wanted.get(key) for key in found.keys() | wanted.keys())
        raise AssertionError(f"{name}: {different} of {len(wanted)} keys are counted or summed otherwise")


def _provided(peer: Peer) -> bool:
    """Whether its environment is there or could be made; says loudly if not."""
    environment = peer.environment()
    complete = environment / "complete"  # written last: what an aborted installation left is made anew
    if complete.exists():
        return True
    console = Console(stderr=True, soft_wrap=True)
    console.print(f"[dim]installing {', '.join(peer.packages)} into {environment} ...")
    try:
        _run([sys.executable, "-m", "venv", "--clear", str(environment)], INSTALL_DEADLINE_S)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*pip, *peer.packages], INSTALL_DEADLINE_S)
        complete.touch()
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as fault:
        rmtree(environment, ignore_errors=True)
        console.print(f"[bold red]NOT MEASURED: peers.{peer.name}: {peer.packages[0]} cannot be had here: {fault}")
        return False
    return True
