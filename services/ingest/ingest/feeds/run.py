"""Keeps the feeds connected: those of this process, with whatever options and secrets they have now."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
import structlog

from common.clock import Clock
from common.db.engine import is_outside
from common.retry import FOREVER, Retry
from common.telemetry import metrics
from ingest.connectors.port import Delivery
from ingest.feeds.claims import Claims
from ingest.feeds.connection import Opened, converse
from ingest.feeds.pdd import Pinduoduo
from ingest.feeds.port import Conversation, Handed, Refused
from ingest.feeds.tmc import Tmc
from ingest.hooks import Hooks
from ingest.sources import Source, Sources

log = structlog.get_logger()

LOOK_S = 2.0  # as long as any other change of a source may go unnoticed
AGAIN = Retry(first_ms=500, factor=2.0, max_ms=60_000, max_tries=FOREVER, jitter=0.5)
HOLDER_BYTES = 8
CONVERSATIONS: Mapping[str, Callable[[Any, str], Conversation]] = {"taobao": Tmc, "pinduoduo": Pinduoduo}


class Feeds:
    """All feeds of this process."""

    def __init__(self, pool: asyncpg.Pool, sources: Sources, hooks: Hooks, clock: Clock) -> None:
        self._sources, self._hooks, self._clock = sources, hooks, clock
        self._claims = Claims(pool, secrets.token_hex(HOLDER_BYTES))
        for kind in CONVERSATIONS:
            metrics.FEED_CONNECTIONS.labels(kind)

    async def run(self) -> None:
        """Until cancelled."""
        kept: dict[str, tuple[str, asyncio.Task[None]]] = {}
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    if (wanted := await self._wanted()) is not None:
                        for source_id, (was, task) in list(kept.items()):
                            if wanted.get(source_id) != was:
                                task.cancel()
                                del kept[source_id]
                        for source_id, now_is in wanted.items():
                            if source_id not in kept:
                                self._sources.forget(source_id)
                                kept[source_id] = now_is, tasks.create_task(self._keep(tasks, source_id))
                    await asyncio.sleep(LOOK_S)
        finally:
            if kept:
                await self._tell(self._claims.release())

    async def _wanted(self) -> Mapping[str, str] | None:
        """None while nobody knows: what is connected stays so."""
        try:
            return await self._claims.claim(tuple(CONVERSATIONS))
        except Exception as error:
            if not is_outside(error):
                raise
            log.warning("feeds are not looked for", cause=repr(error))
            return None

    async def _keep(self, tasks: asyncio.TaskGroup, source_id: str) -> None:
        """Connected again whenever the connection ends: with the newest secret, and in turn with others still good.

        Each connection is a task of its own: how one of them ends is no part of whether this one was asked to stop.
        """
        attempt = 0

        async def opened() -> None:
            nonlocal attempt
            attempt = 0
            await self._say(source_id, "connected")

        while True:
            connection = tasks.create_task(self._try(source_id, attempt, opened))
            try:
                await asyncio.wait([connection])
            finally:
                connection.cancel()
            cause = "cancelled" if connection.cancelled() else connection.result()
            log.warning("a feed is not connected", source=source_id, cause=cause)
            await self._say(source_id, cause)
            attempt += 1
            await asyncio.sleep(AGAIN.next(attempt, source_id) or 0)

    async def _try(self, source_id: str, attempt: int, opened: Opened) -> str:
        """One connection; gives why it ended."""
        try:
            source = await self._sources.find(source_id)
            if source is not None:
                await self._connect(source, attempt, opened)
        except Exception as error:  # noqa: BLE001 - the platform's, the network's, our own: told, and tried again
            return _cause(error)
        return "the source is gone"

    async def _connect(self, source: Source, attempt: int, opened: Opened) -> None:
        good = source.active(self._clock.now())
        lasting = [secret for secret, until in source.secrets if until is None]
        in_turn = [*lasting, *(secret for secret in good if secret not in lasting)]
        if not in_turn:
            raise Refused("no secret: give it with `regulars sources rotate`")
        kind = source.connector.kind
        conversation = CONVERSATIONS[kind](source.origin.options, in_turn[attempt % len(in_turn)])
        source_id = source.origin.source_id

        async def take(handed: Handed) -> None:
            current = await self._sources.find(source_id)
            if current is None:
                raise Refused("the source is gone")
            await self._hooks.take(current, Delivery(handed.body))

        gauge, counted = metrics.FEED_CONNECTIONS.labels(kind), False

        async def on_opening() -> None:
            nonlocal counted
            gauge.inc()
            counted = True
            await opened()

        try:
            await converse(conversation, self._clock, take, on_opening)
        finally:
            if counted:
                gauge.dec()

    async def _say(self, source_id: str, said: str) -> None:
        await self._tell(self._claims.say(source_id, said, self._clock.now()))

    async def _tell(self, telling: Any) -> None:
        """What only people read is no reason to end a connection."""
        try:
            await telling
        except Exception as error:
            if not is_outside(error):
                raise
            log.warning("feeds' words are not written", cause=repr(error))


def _cause(error: BaseException) -> str:
    """What ended a connection: of several tasks that failed together the first; without what was being said."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"refused: {error}" if isinstance(error, Refused) else type(error).__name__
