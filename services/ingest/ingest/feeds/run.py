"""Keeps feeds connected: those that are this process's, with whatever options and secrets they have now."""

import asyncio
import secrets
from collections.abc import Awaitable, Mapping
from itertools import product

import asyncpg
import structlog

from common.clock import Clock
from common.db.engine import is_outside
from common.telemetry import metrics
from ingest.feeds.claims import Claims
from ingest.feeds.feed import CONVERSATIONS, OUTCOMES, Feed
from ingest.hooks import Hooks
from ingest.sources import Sources

log = structlog.get_logger()

LOOK_S = 2.0  # as long as any other change of a source may go unnoticed
HOLDER_BYTES = 8


class Feeds:
    """All feeds of this process."""

    def __init__(self, pool: asyncpg.Pool, sources: Sources, hooks: Hooks, clock: Clock) -> None:
        self._sources, self._hooks, self._clock = sources, hooks, clock
        self._claims = Claims(pool, secrets.token_hex(HOLDER_BYTES))
        self._kept: dict[str, tuple[str, asyncio.Task[None]]] = {}  # what each was when it began
        for kind, outcome in product(CONVERSATIONS, OUTCOMES):  # at 0 from the start
            metrics.FEED_CONNECTIONS.labels(kind, outcome)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    if (wanted := await self._wanted()) is not None:
                        self._heed(tasks, wanted)
                    await asyncio.sleep(LOOK_S)
        finally:
            if self._kept:
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

    def _heed(self, tasks: asyncio.TaskGroup, wanted: Mapping[str, str]) -> None:
        """Ends what is gone or has changed, and begins what is new."""
        for source_id, (was, task) in list(self._kept.items()):
            if wanted.get(source_id) != was:
                task.cancel()
                del self._kept[source_id]
        for source_id, it_is in wanted.items():
            if source_id not in self._kept:
                self._sources.forget(source_id)
                self._kept[source_id] = it_is, tasks.create_task(self._feed(source_id).keep(tasks))

    def _feed(self, source_id: str) -> Feed:
        async def say(said: str) -> None:
            await self._tell(self._claims.say(source_id, said, self._clock.now()))

        return Feed(source_id, self._sources, self._hooks, self._clock, say)

    async def _tell(self, telling: Awaitable[None]) -> None:
        """What only people read is no reason to end anything."""
        try:
            await telling
        except Exception as error:
            if not is_outside(error):
                raise
            log.warning("how feeds do is not written", cause=repr(error))
