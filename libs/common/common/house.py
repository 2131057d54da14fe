"""What one process shares among the services it runs, and how it runs them: all in one, or one alone."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import asyncpg
import uvicorn
from aiokafka.errors import KafkaError
from fastapi import APIRouter

from common.bus.bell import Bell
from common.bus.kafka import KafkaBus, make_topics
from common.bus.postgres import PostgresBus
from common.bus.relay import Relay
from common.clock import Clock, parse_clock
from common.contracts.topics import TOPICS, Topic
from common.db.engine import open_pool
from common.db.migrate import migrate
from common.pipeline import Road
from common.retry import is_stopped
from common.service import Service
from common.settings import Settings, SettingsError, load_settings
from common.shops import Shop, load_shops
from common.telemetry import logs, metrics
from common.web.app import create_app
from common.web.auth import KeyRing
from common.web.limits import Limits

S = TypeVar("S")
Loop = Callable[[], Coroutine[Any, Any, None]]
GC_THRESHOLDS = (50_000, 50, 50)  # batches of small objects: the collector's defaults cost up to half of the time


@dataclass(frozen=True)
class Part:
    """One service as its app.py wired it: its routes, its loops (each runs until cancelled), its readiness."""

    name: str
    pool: asyncpg.Pool
    router: APIRouter
    loops: Sequence[Loop]
    ready: Callable[[], str | None]


@dataclass(frozen=True)
class House:
    """Shared by all services of a process."""

    settings: Settings
    clock: Clock
    shops: Mapping[str, Shop]
    bell: Bell = field(default_factory=Bell)

    @cached_property
    def limits(self) -> Limits:
        """Of all requests to this process."""
        return Limits(self.settings)

    def pool(self, service: str) -> AbstractAsyncContextManager[asyncpg.Pool]:
        """A pool of connections under the service's role."""
        return open_pool(self.settings, service)

    def road(self, service: Service[S], pool: asyncpg.Pool) -> Road[S]:
        """The service's consumer, on the bus that the settings name."""
        settings = self.settings
        bus = KafkaBus(settings.kafka, settings.kafka_session_ms) if settings.kafka else PostgresBus(pool, self.bell)
        return Road(service, pool, bus, self.clock, settings, self.bell)

    def part(self, service: Service[S], pool: asyncpg.Pool, router: APIRouter) -> Part:
        """A service that does nothing but consume and answer."""
        road = self.road(service, pool)
        return Part(service.name, pool, router, (road.run, *self.relays(pool, service.name, service.reads)), road.ready)

    def relays(self, pool: asyncpg.Pool, owner: str, reads: tuple[Topic, ...] = ()) -> tuple[Loop, ...]:
        """The loop that carries a service's outbox to Kafka; the PostgreSQL bus needs none."""
        metrics.RELAY_OLDEST.labels(owner)  # 0: there a row is published by its commit
        if not self.settings.kafka:
            return ()
        owned = [topic for topic in TOPICS if topic.owner == owner]
        dead = [topic.dead for topic in (*reads, *owned) if topic in reads or topic.work]
        return (Relay(owner, pool, self.bell, (*(topic.name for topic in owned), *dead), self.settings).run,)


Opener = Callable[[House], AbstractAsyncContextManager[Part]]


def build_house(settings: Settings) -> House:
    """The house as the settings describe it."""
    return House(settings, parse_clock(settings.clock), load_shops(settings.shops))


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: stopping is decided in one place, here."""

    def capture_signals(self) -> AbstractAsyncContextManager[None]:  # type: ignore[override]
        return nullcontext()


@asynccontextmanager
async def running(house: House, openers: Sequence[Opener], title: str) -> AsyncIterator[str]:
    """Runs the services, and their routes on one port, for as long as the context lasts; gives the base URL."""
    settings = house.settings
    gc.set_threshold(*GC_THRESHOLDS)
    listener = socket.create_server((settings.host, settings.port), backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its connections inherit it; else an answer in two
    # pieces (head, body) waits up to 40 ms for the first one's acknowledgement
    if settings.kafka:
        names = [name for topic in TOPICS for name in (topic.name, topic.dead)]
        await make_topics(settings.kafka, names, settings.kafka_replication)
    async with AsyncExitStack() as stack:
        parts = [await stack.enter_async_context(opener(house)) for opener in openers]
        app = create_app(
            title,
            [part.router for part in parts],
            ready={part.name: part.ready for part in parts},
            body_max_bytes=settings.body_max_bytes,
        )
        app.state.key_ring = KeyRing(parts[0].pool, settings.internal_key, limits=house.limits)
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                proxy_headers=False,
                timeout_graceful_shutdown=settings.shutdown_s,
            )
        )
        gc.freeze()
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve(sockets=[listener]))
            loops = [tasks.create_task(_kept(loop)) for part in parts for loop in part.loops]
            host, port = listener.getsockname()[:2]
            try:
                yield f"http://{host}:{port}"
            finally:
                server.should_exit = True
                await asyncio.wait([serving], timeout=settings.shutdown_s)
                for loop in loops:
                    loop.cancel()


async def _kept(loop: Loop) -> None:
    """The loop; one that is cancelled though nobody asked it to stop ends the process, not itself in silence."""
    try:
        await loop()
    except asyncio.CancelledError:
        if is_stopped():
            raise
        raise RuntimeError("a loop was cancelled from within") from None


async def until_stopped() -> None:
    """Returns at the first SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()


def main(name: str, opener: Opener) -> None:
    """`python -m <service> serve|migrate`: one service in a process of its own."""
    if sys.argv[1:] not in (["serve"], ["migrate"]):
        sys.exit(f"usage: python -m {name} serve | migrate")
    try:
        settings = load_settings()
        if settings.database is None:
            raise ValueError("REGULARS_DATABASE is not set: postgresql://host:port/name, without a role")
        logs.configure(settings.log_level, settings.log_format)
        if sys.argv[1] == "migrate":
            asyncio.run(migrate(settings, (name,)))
        else:
            asyncio.run(_serve(build_house(settings), name, opener))
    except (SettingsError, ValueError, OSError, KafkaError) as error:  # what whoever runs it can mend
        sys.exit(f"{name}: {error}")


async def _serve(house: House, name: str, opener: Opener) -> None:
    async with running(house, [opener], f"Regulars {name}"):
        await until_stopped()
