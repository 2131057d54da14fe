"""A running cluster of one node or three, each of which may be killed, paused and started again."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from regulars.kafka_broker.failed import KafkaFailed, KafkaUnavailable, tail
from regulars.kafka_broker.node import Node, brokers_at, properties
from regulars.kafka_broker.provide import provide
from regulars.ports import NoFreePort, free_ports

NODES_ALLOWED = (1, 3)  # two nodes can lose none, and more than three prove nothing more
START_DEADLINE_S = 60
STOP_DEADLINE_S = 10
POLL_S = 0.05
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
        try:
            ports = free_ports(2 * nodes)
        except NoFreePort as error:
            raise KafkaUnavailable(str(error)) from None
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
        return tail((self._nodes[node].folder / "broker.log").read_bytes())
