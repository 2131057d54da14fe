"""A PostgreSQL of a test's own, to be killed and started again."""

import os
import shutil
import signal
from pathlib import Path

from regulars.embedded_postgres import EmbeddedPostgres
from regulars.embedded_postgres.server import SOCKET_NAME
from tests.memory import folder

# The disk may forget with the power, which stays on here; what is committed must outlive a kill.
SETTINGS = {"synchronous_commit": "on"}


class MortalPostgres:
    """Keeps its folder and its address over kills."""

    def __init__(self, folder: Path, server: EmbeddedPostgres) -> None:
        self._folder, self._server = folder, server
        self.dsn = server.dsn()
        self.socket = server.data / SOCKET_NAME  # a folder of ours is short enough for it

    @classmethod
    async def born(cls) -> "MortalPostgres":
        home = folder()
        return cls(home, await EmbeddedPostgres.start(home, durable=False, settings=SETTINGS))

    async def kill(self) -> None:
        """As a crash would: nothing is written, nobody is told."""
        await self._server.kill()

    async def stop_at_once(self) -> None:
        """PostgreSQL's own immediate stop: its processes are told to drop everything."""
        os.kill(self._server.pid, signal.SIGQUIT)
        await self._server.ended()
        await self._server.kill()

    async def start(self) -> None:
        """Again, on what the kill has left."""
        self._server = await EmbeddedPostgres.start(self._folder, durable=False, settings=SETTINGS)

    async def bury(self) -> None:
        """For good."""
        await self._server.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
