"""`make kafka`: a broker until Ctrl-C."""

import argparse
import asyncio
import signal
import sys

from regulars.kafka_broker.cluster import NODES_ALLOWED, KafkaCluster
from regulars.kafka_broker.failed import KafkaFailed, KafkaUnavailable

WATCH_S = 1.0


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
