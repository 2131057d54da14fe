"""One node of a cluster: its ports, its folder, its configuration, and who answers at its address."""

import asyncio
import contextlib
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from regulars.kafka_broker.failed import KafkaUnavailable

HOST = "127.0.0.1"
# Below the ports that systems dial out from: a client that keeps dialling the port of a broker that is down could
# otherwise be given that very port as its own, connect to itself, and keep the broker from coming back.
PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
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
