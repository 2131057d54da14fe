"""The containers of docker-compose.yml as processes: the same command, the same environment, without the walls.

What a container reaches by name stands in for on this machine: PostgreSQL on a socket, a Kafka of the test's own, and
ingest on a free port.
"""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs, urlsplit

import asyncpg

from regulars.embedded_postgres import EmbeddedPostgres
from regulars.embedded_postgres.cluster import programs
from tests.deploy.compose import FIVE, command, environment, mounted, services
from tests.deploy.dockerfile import stages
from tests.deploy.tools import ROOT
from tests.five_processes import Process

RUN_TIMEOUT_S = 60.0
NOTHING: Mapping[str, str] = MappingProxyType({})
POSTGRES_URL = re.compile(r"postgresql://(?:(?P<role>\w+):\w+@)?postgres:5432/(?P<database>\w+)")
NEEDED_OUTSIDE_A_CONTAINER = ("PATH", "PYTHONPATH")  # where Python and our packages are


@dataclass
class StandIns:
    """What is reached by name in a container, and where it is here."""

    postgres: EmbeddedPostgres
    kafka: str
    ingest: str = "http://127.0.0.1:0"
    settings: Mapping[str, str] = field(default_factory=dict)  # what a test sets besides

    def environment(self, name: str) -> dict[str, str]:
        """All that the container sees, with names and places replaced."""
        files = {place: str(path) for place, path in mounted(name).items()}
        seen = {key: self._here(value, files) for key, value in (environment(name) | dict(self.settings)).items()}
        return seen | {key: os.environ[key] for key in NEEDED_OUTSIDE_A_CONTAINER if key in os.environ}

    def _here(self, value: str, files: Mapping[str, str]) -> str:
        if address := POSTGRES_URL.fullmatch(value):
            role = address["role"] or "nobody"
            dsn = self.postgres.dsn(role, address["database"])
            return dsn if address["role"] else dsn.replace(f"{role}@", "", 1)
        return {"kafka:9092": self.kafka, "http://ingest:8000": self.ingest, **files}.get(value, value)

    async def set_up(self) -> None:
        """What PostgreSQL's image does on an empty data folder: it runs the scripts that are mounted for that."""
        admin = await asyncpg.connect(self.postgres.dsn(database="postgres"))
        try:
            await admin.execute("DROP DATABASE regulars")  # the embedded server makes its own
        finally:
            await admin.close()
        where = parse_qs(urlsplit(self.postgres.dsn()).query)
        reached = {"PGHOST": where["host"][0], "PGPORT": where["port"][0], "PATH": f"{programs()}:{os.environ['PATH']}"}
        told = {key: str(value) for key, value in services()["postgres"]["environment"].items()}
        for place, script in mounted("postgres").items():
            assert place.startswith("/docker-entrypoint-initdb.d/")
            await asyncio.to_thread(_run, ["sh", str(script)], told | reached)

    async def run(self, name: str, *arguments: str) -> str:
        """`docker compose run --rm NAME ARGUMENTS`, or the container's own command: what it says."""
        words = [*(services()[name].get("entrypoint") or ()), *arguments] if arguments else command(name)
        return await asyncio.to_thread(_run, _python(words), self.environment(name))

    async def health(self, process: Process) -> int:
        """What Docker's own question comes to, asked in the container."""
        seen = {"REGULARS_PORT": str(process.port)}
        done = await asyncio.to_thread(
            subprocess.run, _python(stages()[-1].health_command), env=seen, capture_output=True, timeout=RUN_TIMEOUT_S
        )
        return done.returncode


class Container(Process):
    """One of the five, by the command and in the environment that Compose gives it."""

    def __init__(self, name: str, log: Path) -> None:
        super().__init__(name, NOTHING, log)
        self.stand_ins: StandIns | None = None

    def start(self) -> None:
        """As `docker compose up NAME`."""
        assert self.stand_ins is not None
        seen = self.stand_ins.environment(self.name) | {"REGULARS_PORT": str(self.port)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                _python(command(self.name)), env=seen, cwd=self.log.parent, stdout=log, stderr=log
            )


@asynccontextmanager
async def data_tier(kafka: str, settings: Mapping[str, str] = NOTHING) -> AsyncIterator[StandIns]:
    """PostgreSQL set up as Compose's is, and a broker."""
    folder = Path(tempfile.mkdtemp(prefix="regulars-test-"))  # not pytest's own: see tests/memory.py
    try:
        async with await EmbeddedPostgres.start(folder, durable=False) as postgres:
            stand_ins = StandIns(postgres, kafka, settings=settings)
            await stand_ins.set_up()
            yield stand_ins
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def five_containers(stand_ins: StandIns, folder: Path) -> AsyncIterator[dict[str, Container]]:
    """All five, ready; killed at the end if they still run."""
    containers = {name: Container(name, folder / f"{name}.log") for name in FIVE}
    stand_ins.ingest = containers["ingest"].url
    for container in containers.values():
        container.stand_ins = stand_ins
        container.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            for container in containers.values():
                tasks.create_task(container.ready())
        yield containers
    finally:
        await asyncio.gather(*(container.stop() for container in containers.values()))


def _python(words: Sequence[str]) -> list[str]:
    """The container's Python is ours here."""
    assert words[0] == "python"
    return [sys.executable, *words[1:]]


def _run(words: Sequence[str], seen: Mapping[str, str]) -> str:
    done = subprocess.run(words, check=False, env=seen, cwd=ROOT, capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    assert done.returncode == 0, f"{shlex.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout
