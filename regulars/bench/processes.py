"""The services in processes of their own, by the commands of production: one alone, all five, or `regulars up`."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import httpx

from common.settings import Settings
from regulars.services import NAMES

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.05
LOG_TAIL_CHARS = 4_000
INGEST: Mapping[str, Sequence[str]] = {"ingest": ("serve",)}
FIVE: Mapping[str, Sequence[str]] = dict.fromkeys(NAMES, ("serve",))


def environment(settings: Settings, kafka: str | None = None) -> dict[str, str]:
    """What tells a process of the database that these settings name."""
    assert settings.vault_key is not None
    assert settings.internal_key is not None
    return {
        "REGULARS_DATABASE": settings.database or "",
        "REGULARS_ADMIN_DATABASE": settings.admin_database or "",
        "REGULARS_VAULT_KEY": settings.vault_key.get_secret_value(),
        "REGULARS_INTERNAL_KEY": settings.internal_key.get_secret_value(),
        "REGULARS_KAFKA": kafka or "",
        "REGULARS_LOG_LEVEL": "warning",
    }


@asynccontextmanager
async def running(modules: Mapping[str, Sequence[str]], given: Mapping[str, str], folder: Path) -> AsyncIterator[int]:
    """`python -m module arguments` for each, in `folder`, until the end; gives the port of the first when all are
    ready. Modules of the folder go before installed ones."""
    ports = {module: _free_port() for module in modules}
    first = ports[next(iter(modules))]
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for module, arguments in modules.items():
            own = {"REGULARS_PORT": str(ports[module]), "REGULARS_INGEST_URL": f"http://127.0.0.1:{first}"}
            started[module] = _start(module, arguments, {**os.environ, **given, **own}, folder)
        deadline = monotonic() + READY_TIMEOUT_S
        for module, process in started.items():
            while not await _is_ready(ports[module]):
                if process.poll() is not None or monotonic() > deadline:
                    said = (folder / f"{module}.log").read_text()[-LOG_TAIL_CHARS:]
                    raise RuntimeError(f"{module} is not ready:\n{said}")
                await asyncio.sleep(POLL_S)  # waits: for another process; nothing tells us when it listens
        yield first
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            try:
                await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _start(module: str, arguments: Sequence[str], given: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / f"{module}.log").open("ab") as log:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(command, cwd=folder, env=given, stdout=log, stderr=log)


async def _is_ready(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/health/ready")).is_success
        except httpx.TransportError:
            return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
