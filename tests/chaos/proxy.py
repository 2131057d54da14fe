"""A TCP proxy that can be cut, stalled and closed: the network between two processes, in our hands."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

CHUNK_BYTES = 262_144
BACKLOG = 256
HOST = "127.0.0.1"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Target = tuple[str, int] | Path  # host and port, or a local socket


class Proxy:
    """One address in front of another. `target` may be told later: until then nobody gets through."""

    def __init__(self, target: Target | None = None) -> None:
        self.target = target
        self.port = 0
        self._open = asyncio.Event()
        self._open.set()
        self._idle = asyncio.Event()  # while no connection is open
        self._idle.set()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        """Takes connections for as long as the context lasts."""
        server = await asyncio.start_server(self._serve, HOST, 0, backlog=BACKLOG)
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield self
        finally:
            server.close()
            self._open.set()
            self.cut()
            await self._idle.wait()

    def cut(self) -> None:
        """Ends every connection at once, with whatever is on its way; new ones get through."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def stall(self, seconds: float) -> None:
        """Nothing passes, nothing ends: neither side can tell a stalled connection from a slow one."""
        self._open.clear()
        try:
            await asyncio.sleep(seconds)  # waits: the stall is as long as the schedule says
        finally:
            self._open.set()

    async def close(self, seconds: float) -> None:
        """Cuts, and lets nobody through for a while."""
        self._refuses = True
        self.cut()
        try:
            await asyncio.sleep(seconds)  # waits: closed for as long as the schedule says
        finally:
            self._refuses = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._idle.clear()
        self._writers.add(writer)
        try:
            if self._refuses or self.target is None:
                return
            onward_reader, onward_writer = await self._connect(self.target)
            self._writers.add(onward_writer)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._carry(reader, onward_writer))
                    tasks.create_task(self._carry(onward_reader, writer))
            finally:
                await self._end(onward_writer)
        except OSError:
            return  # who we stand in front of is away: the one who asked is cut off, below
        finally:
            await self._end(writer)
            if not self._writers:
                self._idle.set()

    async def _end(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._writers.discard(writer)

    @staticmethod
    async def _connect(target: Target) -> Streams:
        if isinstance(target, Path):
            return await asyncio.open_unix_connection(target)
        return await asyncio.open_connection(*target)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """One direction, to its end; then the other side is told, which ends the other direction."""
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(CHUNK_BYTES):
                if not self._open.is_set():
                    await self._open.wait()
                sink.write(chunk)
                await sink.drain()
        sink.close()
