"""The peers, and their environments: each one's packages, pinned, in a virtual environment of its own.

It lies in the cache folder beside Kafka's jars and is made, from the package index that pip is set to, when it is
first asked for: nothing of it comes into ours.
"""

import subprocess
import sys
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

from rich.console import Console

from common.ids import PARTITIONS
from regulars.bench.counting import EVENTS
from regulars.bench.figures import not_measured
from regulars.kafka_broker import cache_folder

ROUNDS = 3  # of ours, and of whom it is compared with; the best counts
INSTALL_DEADLINE_S = 240.0


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


def provided(peer: Peer) -> bool:
    """Whether its environment is there or could be made; says loudly if not."""
    environment = peer.environment()
    complete = environment / "complete"  # written last: what an aborted installation left is made anew
    if complete.exists():
        return True
    said = f"installing {', '.join(peer.packages)} into {environment} ..."
    Console(stderr=True).print(said, style="dim", markup=False, highlight=False, soft_wrap=True)
    try:
        run([sys.executable, "-m", "venv", "--clear", str(environment)], INSTALL_DEADLINE_S)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run([*pip, *peer.packages], INSTALL_DEADLINE_S)
        complete.touch()
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as fault:
        rmtree(environment, ignore_errors=True)
        not_measured(f"peers.{peer.name}", f"{peer.packages[0]} cannot be had here: {fault}")
        return False
    return True


def run(command: list[str], deadline_s: float) -> str:
    """What it printed; raises RuntimeError when it failed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=deadline_s)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout
