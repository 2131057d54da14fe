"""Processes of ours on free ports: started, waited for until they are ready, signalled, and gone when they are said to
be. What runs the services as production does stands on it: the benchmarks and the tests."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import httpx

from common.settings import Settings
from regulars.ports import free_port

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.05
LOG_TAIL_CHARS = 4_000


class NotReady(RuntimeError):
    """A process ended, or said nothing for too long, before it was ready; with the last it logged."""


class Process:
    """`python -m <name> serve` in a process of its own; `start` after a kill takes the same command again."""

    def __init__(
        self, name: str, environment: Mapping[str, str], log: Path, *command: str, folder: Path | None = None
    ) -> None:
        """`command` is what Python is to run instead; `folder` is where: its modules go before installed ones."""
        self.name, self.log = name, log
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**environment, "REGULARS_PORT": str(self.port)}
        self._command, self._folder = command or ("-m", name, "serve"), folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """At once; `ready` waits."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                cwd=self._folder,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
            )

    @property
    def ended(self) -> int | None:
        """How it ended; None while it runs."""
        return self._started.poll()

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-LOG_TAIL_CHARS:]

    async def ready(self) -> None:
        """Until it says that it is ready; raises NotReady if it ends instead."""
        deadline = monotonic() + READY_TIMEOUT_S
        async with httpx.AsyncClient(base_url=self.url) as client:
            while not await _is_ready(client):
                if self.ended is not None:
                    raise NotReady(f"{self.name} ended with {self.ended}:\n{self.said()}")
                if monotonic() > deadline:
                    raise NotReady(f"{self.name} is not ready after {READY_TIMEOUT_S} s:\n{self.said()}")
                await asyncio.sleep(POLL_S)  # waits: for another process; nothing tells us when it listens

    def send(self, number: signal.Signals) -> None:
        """Signals the process."""
        self._started.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._started.kill()
        await asyncio.to_thread(self._started.wait)

    async def stop(self) -> int:
        """SIGTERM, or SIGKILL when that takes too long; how it ended, once it is gone."""
        self._started.terminate()
        try:
            return await asyncio.to_thread(self._started.wait, STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            await self.kill()
            return self._started.wait()

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} has not been started"
        return self._process


@asynccontextmanager
async def running(processes: Sequence[Process]) -> AsyncIterator[None]:
    """Until the end, from when all are ready. The first is told to the others as ingest."""
    started: list[Process] = []
    try:
        for process in processes:
            process.environment["REGULARS_INGEST_URL"] = processes[0].url
            process.start()
            started.append(process)
        for process in started:
            await process.ready()
        yield
    finally:
        await asyncio.gather(*(process.stop() for process in started))


def environment(settings: Settings, kafka: str | None = None) -> dict[str, str]:
    """What tells a process of the database that these settings name."""
    assert settings.vault_key is not None
    assert settings.internal_key is not None
    return {
        "REGULARS_DATABASE": settings.database or "",
        "REGULARS_ADMIN_DATABASE": settings.admin_database or "",
        "REGULARS_VAULT_KEY": settings.vault_key.get_secret_value(),
        "REGULARS_VAULT_OLD_KEYS": settings.vault_old_keys.get_secret_value() if settings.vault_old_keys else "",
        "REGULARS_INTERNAL_KEY": settings.internal_key.get_secret_value(),
        "REGULARS_KAFKA": kafka or "",
        "REGULARS_LOG_LEVEL": "warning",
    }


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).is_success
    except httpx.TransportError:
        return False
