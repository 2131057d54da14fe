"""The Kafka of the tests: one broker that all processes of a session share, and clusters that a test may break."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NoReturn, Protocol

import pytest
import pytest_asyncio

from regulars.kafka_broker import KafkaCluster, KafkaUnavailable, brokers_at
from tests.memory import temporary

POLL_S = 0.1
# The process that started the broker waits this long for the others to finish with it: less than pytest's own timeout,
# which covers the teardown too.
SHARE_DEADLINE_S = 240
KILL_AT_ONCE_S = 0.0  # nobody reads the data of a test's broker again


class StartKafka(Protocol):
    """Starts a cluster that belongs to the asking test, which may kill its nodes; it ends with the test."""

    async def __call__(self, nodes: int = 1) -> KafkaCluster: ...


def cannot_start(reason: str) -> NoReturn:
    """Skip where a person may lack a broker; fail where nobody would see the skip."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have a Kafka broker: {reason}", pytrace=False)
    pytest.skip(f"NOT TESTED ON KAFKA: {reason}")


async def start_or_skip(folder: Path, nodes: int = 1) -> KafkaCluster:
    """A cluster with its data in the folder."""
    try:
        return await KafkaCluster.start(nodes, folder)
    except KafkaUnavailable as fault:
        cannot_start(str(fault))


@asynccontextmanager
async def locked(path: Path, kind: int) -> AsyncIterator[None]:
    """Hold a lock on a file; the kernel takes it back from a process that dies, so no count of users can go wrong."""
    with path.open("a") as file:
        async with asyncio.timeout(SHARE_DEADLINE_S):
            while True:
                try:
                    fcntl.flock(file, kind | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(POLL_S)  # waits: for a lock that another process holds
        yield


@asynccontextmanager
async def shared_broker(folder: Path) -> AsyncIterator[str]:
    """The broker of all processes that name the same folder: the first starts it, and ends it when no other uses it.

    Who joins or ends the broker holds the gate; who uses it holds a share of `users`. The one that started it lets its
    own share go, then takes all of `users` behind the closed gate: the others have finished, and who comes later finds
    no address and starts a new one. An address that nobody answers at was left by a process that died.
    """
    address, gate, users = folder / "kafka.address", folder / "kafka.gate", folder / "kafka.users"
    cluster: KafkaCluster | None = None
    with temporary() as home:
        async with AsyncExitStack() as share:
            async with locked(gate, fcntl.LOCK_EX):
                if not (address.exists() and await brokers_at(address.read_text())):
                    cluster = await start_or_skip(home)
                    address.write_text(cluster.bootstrap)
                await share.enter_async_context(locked(users, fcntl.LOCK_SH))
            try:
                yield address.read_text()
            finally:
                await share.aclose()
                if cluster is not None:
                    try:
                        async with locked(gate, fcntl.LOCK_EX), locked(users, fcntl.LOCK_EX):
                            address.unlink()
                    finally:
                        await cluster.stop(KILL_AT_ONCE_S)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The session's broker, or the one in $REGULARS_KAFKA. Others use it too: take topics and groups of your own."""
    if given := os.environ.get("REGULARS_KAFKA"):
        yield given
        return
    own = tmp_path_factory.getbasetemp()
    # Under pytest-xdist the base of a worker lies in that of the session, which is the one they share.
    async with shared_broker(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) as bootstrap:
        yield bootstrap


@pytest_asyncio.fixture
async def start_kafka() -> AsyncIterator[StartKafka]:
    """Starts clusters of the test's own: `cluster = await start_kafka(nodes=3)`."""
    async with AsyncExitStack() as running:

        async def start(nodes: int = 1) -> KafkaCluster:
            cluster = await start_or_skip(running.enter_context(temporary()), nodes)
            running.push_async_callback(cluster.stop, KILL_AT_ONCE_S)
            return cluster

        yield start
