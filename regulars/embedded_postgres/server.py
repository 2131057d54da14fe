"""One server on one folder: start, address, start again, stop."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import quote

import asyncpg
import psutil

from regulars.embedded_postgres.account import Account, account_for
from regulars.embedded_postgres.cluster import SUPERUSER, ensure_cluster, environment, programs, trees
from regulars.embedded_postgres.failed import ServerFailed
from regulars.embedded_postgres.leftovers import end_leftovers, pid_file, send
from regulars.embedded_postgres.lock import FolderLock
from regulars.embedded_postgres.settings import NOT_DURABLE, SETTINGS

DATABASE = "regulars"
SOCKET_PORT = 5432  # only a part of the socket's name: nothing listens on a network
SOCKET_NAME = f".s.PGSQL.{SOCKET_PORT}"
SOCKET_PATH_MAX_BYTES = 103  # what the kernel takes for a socket: 107 on Linux, 103 on macOS
SHORT_FOLDER_PREFIX = "regulars-socket-"

START_TIMEOUT_S = 120.0  # a start takes 0.1 s; recovery after a crash reads up to max_wal_size
FAST_STOP_S = 3.0  # disconnects everybody and writes a checkpoint; what is not done by then is recovered later
IMMEDIATE_STOP_S = 1.0
POLL_S = 0.01
LOG_MAX_BYTES = 5_000_000  # a larger log is begun anew at the next start
LOG_TAIL_CHARS = 2_000  # of the log, in the error when the server does not start
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


class EmbeddedPostgres:
    """A running server; `async with await EmbeddedPostgres.start(folder) as server:` stops it at the end."""

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        """Use `start`."""
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "server.log"
        self._lock = lock
        self._short_folder: Path | None = None
        self._command: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    async def start(cls, folder: Path, *, settings: Mapping[str, str] = NO_SETTINGS, durable: bool = True) -> Self:
        """Start a server on `folder`, made if missing; the first time with an empty database `regulars`.

        `settings` win over the server's own. Not `durable` (for tests) may lose its last moments when it is killed.
        Call it from a thread that lives as long as the server should: Linux stops the server when that thread ends.
        Raises FolderInUse, ServerFailed.
        """
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        server = cls(folder, FolderLock.take(folder))
        try:
            account = account_for(server.data)
            await asyncio.to_thread(server._prepare, account, durable)
            server._command = server._command_of(account, {**SETTINGS, **({} if durable else NOT_DURABLE), **settings})
            server._launch()
            await server._ready()
            await server._ensure_database()
        except BaseException:
            await server.kill()
            raise
        return server

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None, "not started"
        return self._process.pid

    def dsn(self, role: str = SUPERUSER, database: str = DATABASE) -> str:
        """The address for asyncpg; with `postgresql+asyncpg` as its scheme, for SQLAlchemy."""
        host = quote(str(self._short_folder or self.data))
        return f"postgresql://{quote(role, safe='')}@/{quote(database, safe='')}?host={host}&port={SOCKET_PORT}"

    async def ended(self) -> int:
        """Wait until the server's process has ended; its exit status, below zero for a signal."""
        assert self._process is not None, "not started"
        return await asyncio.to_thread(self._process.wait)

    async def start_again(self) -> None:
        """Start a server that has ended by itself, on the same address.

        Raises ServerFailed or OSError, and may then be called again.
        """
        # Not in a thread, which would go on when we are cancelled, and could end the server of whoever comes next.
        end_leftovers(self.data)
        self._launch()
        try:
            await self._ready()
        except ServerFailed:
            await self._kill_processes()
            raise

    async def stop(self, timeout_s: float = FAST_STOP_S) -> None:
        """Disconnect everybody, write everything and end, within `timeout_s`; else end at once, to recover later."""
        try:
            for how, patience_s in ((signal.SIGINT, timeout_s), (signal.SIGQUIT, IMMEDIATE_STOP_S)):
                if self._process is not None and self.running:
                    self._process.send_signal(how)
                    await self._ended_within(patience_s)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """End all processes of the server as a crash would: for tests, and for a server that does not stop."""
        await self._kill_processes()
        if self._short_folder is not None:
            shutil.rmtree(self._short_folder, ignore_errors=True)
        self._lock.give_back()

    async def __aenter__(self) -> Self:
        """Give the running server."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        await self.stop()

    def _prepare(self, account: Account, durable: bool) -> None:
        """All that must be in place before the server starts; takes a second the first time."""
        for tree in trees():
            account.let_read(tree)
        account.let_into(self.folder)
        end_leftovers(self.data)
        ensure_cluster(self.data, account, durable=durable)
        former = self._lock.former_temporary_folder
        if former is not None and former.name.startswith(SHORT_FOLDER_PREFIX):
            shutil.rmtree(former, ignore_errors=True)
        # asyncpg takes a comma in an address for the end of a host.
        if len(os.fsencode(self.data / SOCKET_NAME)) > SOCKET_PATH_MAX_BYTES or "," in str(self.data):
            self._short_folder = _short_folder(account)
        self._lock.write_down(self._short_folder)

    def _command_of(self, account: Account, settings: Mapping[str, str]) -> list[str]:
        folder = str(self._short_folder or self.data).replace('"', '""')
        socket = {"unix_socket_directories": f'"{folder}"', "port": str(SOCKET_PORT)}
        postgres = [str(programs() / "postgres"), "-D", str(self.data)]
        for name, value in {**settings, **socket}.items():
            postgres += ["-c", f"{name}={value}"]
        launcher = str(Path(__file__).with_name("die_with_starter.py"))
        who = [str(os.getpid()), str(account.uid), str(account.gid)]
        return [sys.executable, "-I", "-S", launcher, *who, *postgres]

    def _launch(self) -> None:
        begin_anew = self.log.exists() and self.log.stat().st_size > LOG_MAX_BYTES
        with self.log.open("wb" if begin_anew else "ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.data,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for us: we stop the server when nobody needs it any more
            )

    async def _ready(self) -> None:
        """Wait until the server writes that it is ready, which it does only after recovery."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.running:
                raise ServerFailed(f"PostgreSQL did not start on {self.folder}:\n{self._log_tail()}")
            lines = pid_file(self.data)
            if lines[:1] == [str(self.pid)] and lines[-1] == "ready":
                return
            await asyncio.sleep(POLL_S)
        raise ServerFailed(f"PostgreSQL was not ready within {START_TIMEOUT_S:.0f} s:\n{self._log_tail()}")

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self.dsn(database="postgres"))
        try:
            if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()

    async def _kill_processes(self) -> None:
        if self.running:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                postmaster = psutil.Process(self.pid)
                for process in (postmaster, *postmaster.children(recursive=True)):
                    send(process, signal.SIGKILL)
            await self._ended_within(IMMEDIATE_STOP_S)

    async def _ended_within(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:  # noqa: ASYNC110 - a process that ends sets no Event
            await asyncio.sleep(POLL_S)

    def _log_tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARS:]


def _short_folder(account: Account) -> Path:
    """A closed temporary folder for the socket of a project whose own path will not do."""
    temporary = tempfile.gettempdir()
    longest = len(os.fsencode(f"{temporary}/{SHORT_FOLDER_PREFIX}xxxxxxxx/{SOCKET_NAME}"))
    folder = Path(
        tempfile.mkdtemp(prefix=SHORT_FOLDER_PREFIX, dir=temporary if longest <= SOCKET_PATH_MAX_BYTES else "/tmp")  # noqa: S108 - mkdtemp makes it closed
    )
    account.own(folder)
    account.let_into(folder.parent)
    return folder
