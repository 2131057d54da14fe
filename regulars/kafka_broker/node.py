"""One node of a cluster: its ports, its folder, its configuration, and who answers at its address."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from regulars.ports import HOST


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
