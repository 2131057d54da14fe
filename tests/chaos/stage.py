"""The servers and processes of a run, each behind a proxy, and the orchestrator that starts again what has died."""

import asyncio
import base64
import contextlib
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from time import monotonic

import asyncpg

from common.bus.kafka import make_topics
from common.contracts.topics import TOPICS
from common.db.migrate import migrate
from common.retry import FOREVER, Retry
from common.settings import load_settings
from common.web.auth import create_key
from regulars.history import olist
from regulars.kafka_broker import KafkaCluster
from regulars.processes import NotReady
from regulars.services import NAMES
from tests.chaos.calm import let_time_pass
from tests.chaos.proxy import HOST, Proxy
from tests.chaos.schedule import BROKERS, ONE_PROCESS, SERVICES, Mode
from tests.chaos.smtp_server import SmtpServer
from tests.chaos.traffic import LIVE_SHOP
from tests.contract.mortal_postgres import MortalPostgres
from tests.five_processes import Process

SESSION_MS = 3_000  # of Kafka's readers; the schedule's pauses are longer
LOOK_EVERY_S = 0.1
SAID_MAX_CHARS = 200
STEADY_S = 10.0  # who has run so long is started again at once when it dies
RESTART = Retry(first_ms=200, factor=2.0, max_ms=3_000, max_tries=FOREVER)
SECRETS = {
    "REGULARS_VAULT_KEY": base64.b64encode(b"v" * 32).decode(),
    "REGULARS_INTERNAL_KEY": "internal-key-of-the-fault-harness",
}
# Ticks come often, so that a run does not wait for them; no partition's alarms ever go by the clock alone.
PACE = {
    "REGULARS_TICK_MS": "100",
    "REGULARS_TICK_IDLE_MS": "250",
    "REGULARS_WATERMARK_PATIENCE_S": "86400",
    "REGULARS_PUBLISH_SCALES": "false",  # a scale holds what was known when it was made: in no two runs the same
    "REGULARS_LOG_LEVEL": "warning",
}


class Stage:
    """All that a run runs on. `ended_alone` counts by name and status what ended without being killed by us."""

    def __init__(
        self, mode: Mode, folder: Path, postgres: MortalPostgres, smtp: SmtpServer, proxies: dict[str, Proxy]
    ) -> None:
        self.mode, self.folder, self.postgres, self.smtp, self.proxies = mode, folder, postgres, smtp, proxies
        self.cluster: KafkaCluster | None = None
        self.processes: dict[str, Process] = {}
        self.keys: Mapping[str, str] = {}
        self.killed = 0
        self.ended_alone: Counter[str] = Counter()
        self._turn: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # who stops and starts a process
        self._started_at: dict[str, float] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, mode: Mode, folder: Path) -> AsyncIterator["Stage"]:
        """Servers and proxies; no process and no table yet. All ends with the context."""
        names = SERVICES if mode is Mode.KAFKA else (ONE_PROCESS,)
        brokers = BROKERS if mode is Mode.KAFKA else ()
        links = [*(f"database:{name}" for name in names), *(f"kafka:{number}" for number in brokers)]
        async with contextlib.AsyncExitStack() as stack:
            postgres = await MortalPostgres.born()
            stack.push_async_callback(postgres.bury)
            smtp = await stack.enter_async_context(SmtpServer().listening())
            proxies = {
                link: await stack.enter_async_context(Proxy().listening()) for link in (*links, "door", "vault", "smtp")
            }
            stage = cls(mode, folder, postgres, smtp, proxies)
            stack.push_async_callback(stage._end)
            if mode is Mode.KAFKA:
                fronts = [proxies[f"kafka:{number}"].port for number in brokers]
                stage.cluster = await KafkaCluster.start(len(BROKERS), folder / "kafka", fronts)
                stack.push_async_callback(stage.cluster.stop, 0.0)
            stage._wire(names)
            if stage.cluster is not None:  # now, while nothing waits for it: over a thousand replicas take a while
                topics = [name for topic in TOPICS for name in (topic.name, topic.dead)]
                await make_topics(stage.cluster.bootstrap, topics, len(BROKERS))
            yield stage

    async def furnish(self) -> None:
        """Before the first act."""
        self.keys = await furnish(self.postgres)

    def _wire(self, names: tuple[str, ...]) -> None:
        for name in names:
            database = self.proxies[f"database:{name}"]
            database.target = self.postgres.socket
            environment = {**PACE, **SECRETS, "REGULARS_DATABASE": f"postgresql://{HOST}:{database.port}/regulars"}
            environment["REGULARS_SMTP_URL"] = f"smtp://{HOST}:{self.proxies['smtp'].port}"
            environment["REGULARS_INGEST_URL"] = f"http://{HOST}:{self.proxies['vault'].port}"
            if self.cluster is not None:
                environment["REGULARS_KAFKA"] = self.cluster.bootstrap
                environment["REGULARS_KAFKA_REPLICATION"] = str(len(BROKERS))
                environment["REGULARS_KAFKA_SESSION_MS"] = str(SESSION_MS)
                self.processes[name] = Process(name, environment, self.folder / f"{name}.log")
            else:
                environment["REGULARS_ADMIN_DATABASE"] = self.postgres.dsn
                command = ("-m", "regulars", "up", "--data", str(self.folder / "up"))
                self.processes[name] = Process(name, environment, self.folder / "up.log", *command)
        if self.cluster is not None:
            for number in BROKERS:
                self.proxies[f"kafka:{number}"].target = (HOST, self.cluster.ports[int(number)])
        door = next(iter(self.processes.values()))
        self.proxies["door"].target = self.proxies["vault"].target = (HOST, door.port)
        self.proxies["smtp"].target = (HOST, self.smtp.port)

    @property
    def url(self) -> str:
        """Where events are sent."""
        return f"http://{HOST}:{self.proxies['door'].port}"

    async def at(self, moment: datetime) -> None:
        """All processes at a standing clock: those that run are asked to end first, as at every deployment."""
        async with contextlib.AsyncExitStack() as held:
            for name in self.processes:
                await held.enter_async_context(self._turn[name])
            await asyncio.gather(*(self.processes[name].stop() for name in self._started_at))
            for name, process in self.processes.items():
                process.environment["REGULARS_CLOCK"] = f"frozen:{moment.isoformat()}"
                self._start(name)
            await asyncio.gather(*(process.ready() for process in self.processes.values()))

    async def kill(self, name: str, seconds: float) -> None:
        """SIGKILL; it is started again after so long."""
        async with self._turn[name]:
            await self.processes[name].kill()
            self.killed += 1
            await asyncio.sleep(seconds)  # waits: it is down for as long as the schedule says
            self._start(name)

    async def hurry(self) -> None:
        """Kills the one that sends messages; before it comes back, minutes pass in its table. Returns when it is back:
        where that takes long, it would else be killed again before it has sent anything."""
        name = "notifier" if self.cluster is not None else ONE_PROCESS
        async with self._turn[name]:
            await self.processes[name].kill()
            await let_time_pass(self.postgres.dsn)
            self._start(name)
        with contextlib.suppress(NotReady):  # it ended by itself, so it is started again
            await self.processes[name].ready()

    def signal(self, name: str, number: signal.Signals) -> None:
        """To a process, if it runs."""
        if self.processes[name].ended is None:
            self.processes[name].send(number)

    def stand_in(self, name: str) -> Process:
        """A second process of the same service, as an orchestrator starts one for a node that it lost sight of."""
        return Process(name, self.processes[name].environment, self.folder / f"{name}-stand-in.log")

    def tell_ended(self, process: Process, name: str, status: int) -> None:
        """It ended without being killed by us: counted, and the last it said."""
        said = process.log.read_text(errors="replace").strip().splitlines()[-1:]
        self.ended_alone[f"{name} with status {status}: {''.join(said)[:SAID_MAX_CHARS]}"] += 1

    async def orchestrate(self) -> None:
        """Starts again what has ended, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name in self.processes:
                tasks.create_task(self._keep(name))

    async def _keep(self, name: str) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)  # waits: for a process to end, which sets no event of ours
            async with self._turn[name]:
                if (status := self.processes[name].ended) is None:
                    continue
                self.tell_ended(self.processes[name], name, status)
                attempt = attempt + 1 if monotonic() - self._started_at[name] < STEADY_S else 1
                await asyncio.sleep(RESTART.next(attempt, name) or 0)  # waits: as orchestrators do
                self._start(name)

    def _start(self, name: str) -> None:
        self._started_at[name] = monotonic()
        self.processes[name].start()

    async def _end(self) -> None:
        await asyncio.gather(*(self.processes[name].kill() for name in self._started_at))


async def furnish(postgres: MortalPostgres) -> dict[str, str]:
    """Migrates the database (one at a time: Alembic has but one place for its context); a key for each shop."""
    database = postgres.dsn.replace("postgres@", "", 1)
    await migrate(load_settings(database=database, admin_database=postgres.dsn), NAMES)
    connection = await asyncpg.connect(postgres.dsn)
    try:
        return {shop: await create_key(connection, shop, ("ingest", "operate")) for shop in (LIVE_SHOP, olist.SHOP)}
    finally:
        await connection.close()
