"""A PostgreSQL of a test's own, to be killed and started again."""

import shutil
import tempfile
from pathlib import Path

from regulars.embedded_postgres import EmbeddedPostgres

# The disk may forget with the power, which stays on here; what is committed must outlive a kill.
SETTINGS = {"synchronous_commit": "on"}


class MortalPostgres:
    """Keeps its folder and its address over kills."""

    def __init__(self, folder: Path, server: EmbeddedPostgres) -> None:
        self._folder, self._server = folder, server
        self.dsn = server.dsn()

    @classmethod
    async def born(cls) -> "MortalPostgres":
        # Not pytest's own folder: its path is too long for a socket, and closed to PostgreSQL's account.
        folder = Path(tempfile.mkdtemp(prefix="regulars-test-"))
        return cls(folder, await EmbeddedPostgres.start(folder, durable=False, settings=SETTINGS))

    async def kill(self) -> None:
        """As a crash would: nothing is written, nobody is told."""
        await self._server.kill()

    async def start(self) -> None:
        """Again, on what the kill has left."""
        self._server = await EmbeddedPostgres.start(self._folder, durable=False, settings=SETTINGS)

    async def bury(self) -> None:
        """For good."""
        await self._server.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
