"""The five services, each in a process of its own, by the very command that a container would run; and watched."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from common.settings import load_settings
from regulars import processes
from regulars.processes import environment, running
from regulars.services import NAMES

__all__ = ["Process", "five_processes"]

VAULT_KEY, INTERNAL_KEY = base64.b64encode(b"v" * 32).decode(), "internal-key-of-the-five-processes"
POLL_S = 0.1


class Process(processes.Process):
    """One that a test may watch."""

    async def watch(self) -> NoReturn:
        """Fails when it ends: to be run beside what would otherwise wait for it in vain."""
        while (status := self.ended) is None:  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(POLL_S)  # waits: for another process, which may end at any time
        raise AssertionError(f"{self.name} ended with {status}:\n{self.said()}")


@asynccontextmanager
async def five_processes(
    folder: Path, database: str, kafka: str, clock: str = "real", **more: str
) -> AsyncIterator[dict[str, Process]]:
    """All five on one migrated database (an address without a role) and one Kafka; stopped at the end."""
    settings = load_settings(database=database, admin_database=None, vault_key=VAULT_KEY, internal_key=INTERNAL_KEY)
    given = {**environment(settings, kafka), "REGULARS_CLOCK": clock, **more}
    started: dict[str, Process] = {name: Process(name, given, folder / f"{name}.log") for name in NAMES}
    async with running(list(started.values())):
        yield started
