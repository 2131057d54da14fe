"""The five services, each in a process of its own, by the very command that a container would run."""

import asyncio
import base64
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import NoReturn

import httpx

from regulars.services import NAMES

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.1


class Process:
    """One service in its process; `restart` after a kill takes the same command again."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path, *command: str) -> None:
        """`command` is what Python is to run instead of `-m <name> serve`."""
        self.name, self.log = name, log
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**environment, "REGULARS_PORT": str(self.port)}
        self._command = command or ("-m", name, "serve")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """`python -m <name> serve`."""
        with self.log.open("ab") as log:
            command = [sys.executable, *self._command]
            self._process = subprocess.Popen(command, env={**os.environ, **self.environment}, stdout=log, stderr=log)

    @property
    def ended(self) -> int | None:
        """How it ended; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        assert self._process is not None
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    def send(self, number: signal.Signals) -> None:
        """Signals the process."""
        assert self._process is not None
        self._process.send_signal(number)

    async def watch(self) -> NoReturn:
        """Fails when it ends: to be run beside what would otherwise wait for it in vain."""
        assert self._process is not None
        while (status := self._process.poll()) is None:  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(POLL_S)  # waits: for another process, which may end at any time
        raise AssertionError(f"{self.name} ended with {status}:\n{self.log.read_text()[-4000:]}")

    async def ready(self) -> None:
        """Until it says that it is ready; its log, if it ends instead."""
        deadline = monotonic() + READY_TIMEOUT_S
        async with httpx.AsyncClient(base_url=self.url) as client:
            while monotonic() < deadline:
                assert self._process is not None
                if self._process.poll() is not None:
                    raise AssertionError(f"{self.name} ended:\n{self.log.read_text()[-4000:]}")
                try:
                    if (await client.get("/health/ready")).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(POLL_S)  # waits: for another process; nothing tells us when it listens
        raise AssertionError(f"{self.name} is not ready after {READY_TIMEOUT_S} s:\n{self.log.read_text()[-4000:]}")

    async def stop(self) -> int:
        """SIGTERM, and how it ended."""
        assert self._process is not None
        self._process.terminate()
        try:
            return await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return await asyncio.to_thread(self._process.wait)


@asynccontextmanager
async def five_processes(
    folder: Path, database: str, kafka: str, clock: str = "real", **more: str
) -> AsyncIterator[dict[str, Process]]:
    """All five on one migrated database (an address without a role) and one Kafka; stopped at the end."""
    environment = {
        "REGULARS_DATABASE": database,
        "REGULARS_KAFKA": kafka,
        "REGULARS_CLOCK": clock,
        "REGULARS_VAULT_KEY": base64.b64encode(b"v" * 32).decode(),
        "REGULARS_INTERNAL_KEY": "internal-key-of-the-five-processes",
        "REGULARS_LOG_LEVEL": "warning",
        **more,
    }
    processes: dict[str, Process] = {name: Process(name, environment, folder / f"{name}.log") for name in NAMES}
    for process in processes.values():
        process.environment["REGULARS_INGEST_URL"] = processes["ingest"].url
        process.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            for process in processes.values():
                tasks.create_task(process.ready())
        yield processes
    finally:
        await asyncio.gather(*(process.stop() for process in processes.values()))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
