"""The folder of an installation on one machine (./.regulars): its database, its secrets, who is running on it."""

import base64
import fcntl
import json
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from msgspec import Struct
from msgspec import json as mjson

from common.db.migrate import migrate
from common.house import House, build_house
from common.settings import Settings, load_settings
from common.web import audit
from common.web.auth import create_key, key_id_of
from ingest.access import revoke_key
from regulars.embedded_postgres import EmbeddedPostgres, FolderInUse, kept
from regulars.kafka_broker import KafkaCluster
from regulars.ports import free_port
from regulars.services import NAMES

OWNER_SCOPES = ("ingest", "read", "operate")
SECRET_BYTES = 32
REACH_TIMEOUT_S = 10.0


class Running(Struct):
    """What a running `regulars up` tells others that come to the same folder."""

    pid: int
    url: str
    database: str
    admin_database: str


class Home:
    """The folder and what is kept in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._secrets = folder / "secrets.json"
        self._running = folder / "running.json"
        self._lock = folder / "lock"

    def secret(self, name: str) -> str:
        """A secret of this installation: made at the first use, kept where only its owner can read it."""
        known = self._read()
        if name not in known:
            known[name] = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
            write_closed(self._secrets, json.dumps(known, indent=2).encode())
        return known[name]

    def known(self, name: str) -> str | None:
        """A secret, if there is one of the name."""
        return self._read().get(name)

    def renew(self, name: str, former: str) -> str:
        """Another secret of the name; the one before goes in front of those under `former`."""
        known = self._read()
        if name in known:
            known[former] = ",".join(filter(None, (known.pop(name), known.get(former))))
            write_closed(self._secrets, json.dumps(known, indent=2).encode())
        return self.secret(name)

    def drop(self, name: str) -> None:
        """The secret is not needed any more."""
        known = self._read()
        known.pop(name, None)
        write_closed(self._secrets, json.dumps(known, indent=2).encode())

    def _read(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self._secrets.read_text()) if self._secrets.exists() else {}
        return found

    @asynccontextmanager
    async def admin_key(self, admin_database: str, shop_id: str) -> AsyncIterator[str]:
        """An API key of the shop that may do everything, revoked at the end."""
        connection = await asyncpg.connect(admin_database)
        try:
            async with connection.transaction():
                key = await create_key(connection, shop_id, ["admin"])
                await audit.note(connection, audit.command(shop_id), "key.made", key_id_of(key))
            try:
                yield key
            finally:
                async with connection.transaction():
                    if await revoke_key(connection, key_id_of(key), shop_id) is not None:
                        await audit.note(connection, audit.command(shop_id), "key.revoked", key_id_of(key))
        finally:
            await connection.close()

    async def owner_key(self, admin_database: str, shop_id: str) -> str:
        """The owner's API key of a shop: made at the first use, checked against the database it is used with."""
        known = self._read()
        name = f"key:{shop_id}"
        connection = await asyncpg.connect(admin_database)
        try:
            if name in known and await _is_known(connection, known[name]):
                return known[name]
            async with connection.transaction():
                known[name] = await create_key(connection, shop_id, OWNER_SCOPES)
                await audit.note(connection, audit.command(shop_id), "key.made", key_id_of(known[name]))
        finally:
            await connection.close()
        write_closed(self._secrets, json.dumps(known, indent=2).encode())
        return known[name]

    def running(self) -> Running | None:
        """Who runs on this folder and is up, if anybody is."""
        try:
            with self._lock.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return mjson.decode(self._running.read_bytes(), type=Running) if self._running.exists() else None
        return None  # one that was killed may have left its word behind, not its lock

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Takes the folder for as long as the context lasts, or until we die. Raises FolderInUse.

        By a lock of the kernel's, not by a process id: in a container the next process may have the very same one.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                told = self.running()
                who = (
                    f"Regulars runs on it at {told.url} (process {told.pid})" if told else "Regulars is starting on it"
                )
                raise FolderInUse(f"{self.folder} is in use: {who}") from None
            self._running.unlink(missing_ok=True)
            try:
                yield
            finally:
                self._running.unlink(missing_ok=True)

    def tell(self, running: Running) -> None:
        """Tells others, whole or not at all, where the one that has taken the folder is found."""
        write_closed(self._running, mjson.encode(running))  # its addresses may hold a password

    @asynccontextmanager
    async def database(self, settings: Settings) -> AsyncIterator[Settings]:
        """The settings with a database: the one they name, the running installation's, or the embedded one, started
        and kept. When that one can not be kept, whoever uses it is cancelled and ServerFailed is raised."""
        if settings.database is not None:
            await reach(settings)
            yield settings
        elif (told := self.running()) is not None:
            yield load_settings(**(_given(settings) | _database(told.database, told.admin_database)))
        else:
            async with await EmbeddedPostgres.start(self.folder / "postgres") as server, kept(server):
                yield load_settings(**(_given(settings) | _database(_without_role(server), server.dsn())))

    def settings(self) -> Settings:
        """The settings of an installation that is there; ValueError where there is none."""
        settings = load_settings()
        if settings.database is None and not (self.folder / "postgres").exists():
            raise ValueError(f"no installation in {self.folder}: `regulars up` makes one, --data names another folder")
        return settings

    @asynccontextmanager
    async def installed(self) -> AsyncIterator[Settings]:
        """The settings with the database of an installation that is there, migrated; ValueError where there is none."""
        async with self.database(self.settings()) as complete:
            if self.running() is None:
                await migrate(complete, NAMES)
            yield complete

    def _port_to_listen_on(self, settings: Settings) -> int:
        """The port to listen on, looked at before there is a folder; who runs on the folder is the better reason."""
        try:
            return _port(settings.host, settings.port)
        except OSError:
            if self.folder.exists():
                with self.taken():
                    pass
            raise

    @asynccontextmanager
    async def house(self, *, kafka: bool = False, **overrides: Any) -> AsyncIterator[House]:
        """The house on this folder, its database started and migrated; with `kafka` on a broker of its own if needed.

        Raises FolderInUse when somebody runs here.
        """
        settings = load_settings(**overrides)
        made: dict[str, Any] = {"port": self._port_to_listen_on(settings)}
        async with AsyncExitStack() as stack:
            stack.enter_context(self.taken())
            if settings.vault_key is None:
                made["vault_key"] = self.secret("vault_key")
                if settings.vault_old_keys is None and (old := self.known("vault_old_keys")) is not None:
                    made["vault_old_keys"] = old
            if settings.internal_key is None:
                made["internal_key"] = self.secret("internal_key")
            made["ingest_url"] = f"http://{settings.host}:{made['port']}"
            if kafka and settings.kafka is None:
                cluster = await KafkaCluster.start(nodes=1, folder=self.folder / "kafka")
                stack.push_async_callback(cluster.stop)
                made["kafka"] = cluster.bootstrap
            settings = await stack.enter_async_context(self.database(load_settings(**(overrides | made))))
            await migrate(settings, NAMES)
            self.tell(Running(os.getpid(), settings.ingest_url, settings.database or "", admin_of(settings)))
            yield build_house(settings)


def write_closed(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)


async def reach(settings: Settings) -> None:
    """Raises OSError when nobody answers at REGULARS_DATABASE: said once here, where it can still be said by name."""
    try:
        connection = await asyncpg.connect(admin_of(settings), timeout=REACH_TIMEOUT_S)
    except (OSError, TimeoutError) as error:
        raise OSError(f"no database answers at the address in REGULARS_DATABASE: {str(error) or 'timed out'}") from None
    await connection.close()


def admin_of(settings: Settings) -> str:
    """The address that may do everything in the database."""
    address = settings.admin_database or settings.database
    assert address is not None, "asked before the database was there"
    return address


def _given(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.model_fields_set}


def _database(database: str, admin_database: str) -> dict[str, str]:
    return {"database": database, "admin_database": admin_database}


def _without_role(server: EmbeddedPostgres) -> str:
    return server.dsn(role="role").replace("role@", "", 1)


async def _is_known(connection: asyncpg.Connection, key: str) -> bool:
    known = "SELECT 1 FROM access.api_keys WHERE key_id = $1 AND revoked_at IS NULL"
    found = await connection.fetchval(known, key_id_of(key))
    return found is not None


def _port(host: str, wanted: int) -> int:
    """The port, or a free one for 0; looked at before anything is started, so that a taken one is told at once."""
    try:
        with socket.create_server((host, wanted or free_port())) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(f"can not listen on {host} port {wanted}: {why}; --port names another") from None
