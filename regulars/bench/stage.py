"""What every benchmark stands on: servers of its own, started when first asked for, and how much work to do."""

import itertools
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from common.db.migrate import migrate
from common.settings import Settings, load_settings
from regulars.bench.figures import not_measured
from regulars.embedded_postgres import EmbeddedPostgres
from regulars.kafka_broker import KafkaCluster, KafkaUnavailable
from regulars.services import NAMES

SETTINGS = {"track_commit_timestamp": "on"}  # when something was delivered; costs ten bytes a transaction
QUICK_SHARE = 0.05  # of the work, when one only wants to see that everything runs


@dataclass(frozen=True)
class Database:
    """A fresh database with all services' tables: `dsn` may do everything in it, `settings` name it to the services."""

    dsn: str
    settings: Settings


class Stage:
    """Use `stage()`. All databases lie on one durable server, as `regulars up` starts it; Kafka is one broker."""

    def __init__(self, folder: Path, quick: bool, stack: AsyncExitStack) -> None:
        self.folder, self.quick = folder, quick
        self._stack = stack
        self._server: EmbeddedPostgres | None = None
        self._cluster: KafkaCluster | None = None
        self._numbers = itertools.count()

    def amount(self, whole: int) -> int:
        """How much of this work to do."""
        return max(1, int(whole * QUICK_SHARE)) if self.quick else whole

    async def server(self) -> EmbeddedPostgres:
        """The one server."""
        if self._server is None:
            server = await EmbeddedPostgres.start(self.folder / "postgres", settings=SETTINGS)
            self._server = await self._stack.enter_async_context(server)
        return self._server

    @asynccontextmanager
    async def database(self, *, migrated: bool = True) -> AsyncIterator[Database]:
        """A new database, dropped at the end."""
        server = await self.server()
        name = f"bench_{next(self._numbers)}"
        admin = await asyncpg.connect(server.dsn())
        try:
            await admin.execute(f"CREATE DATABASE {name}")
            dsn = server.dsn(database=name)
            without_role = server.dsn(role="role", database=name).replace("role@", "", 1)
            settings = load_settings(
                database=without_role, admin_database=dsn, vault_key="A" * 43 + "=", internal_key="b" * 32
            )
            if migrated:
                await migrate(settings, NAMES)
            try:
                yield Database(dsn, settings)
            finally:
                await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            await admin.close()

    async def kafka(self, what: str) -> str | None:
        """The address of the one broker. None where there can be none: then it is said that `what` is not measured."""
        if self._cluster is None:
            try:
                self._cluster = await KafkaCluster.start(1, self.folder / "kafka")
            except KafkaUnavailable as fault:
                not_measured(what, fault)
                return None
            self._stack.push_async_callback(self._cluster.stop)
        return self._cluster.bootstrap


@asynccontextmanager
async def stage(quick: bool) -> AsyncIterator[Stage]:
    """A stage in a temporary folder; everything on it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="regulars-bench-", ignore_cleanup_errors=True) as folder:
        async with AsyncExitStack() as stack:
            yield Stage(Path(folder), quick, stack)
