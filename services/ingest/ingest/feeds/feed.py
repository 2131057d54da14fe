"""One source's feed: connected, and connected again, with whichever of its secrets the platform takes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

import structlog
from websockets.exceptions import InvalidStatus

from common.clock import Clock
from common.retry import FOREVER, Retry
from common.telemetry import metrics
from common.web.problems import Problem
from ingest.connectors.port import Delivery
from ingest.feeds.connection import converse
from ingest.feeds.pdd import Pinduoduo
from ingest.feeds.port import Conversation, Handed, Refused
from ingest.feeds.tmc import Tmc
from ingest.hooks import Hooks
from ingest.sources import Source, Sources

log = structlog.get_logger()

AGAIN = Retry(first_ms=500, factor=2.0, max_ms=60_000, max_tries=FOREVER, jitter=0.5)
STEADY_S = 60.0  # a connection that held so long was a good one: the next failure is a first one
CONVERSATIONS: Mapping[str, Callable[[Any, str], Conversation]] = {"taobao": Tmc, "pinduoduo": Pinduoduo}
CONNECTED = "connected"
OUTCOMES = ("opened", "lost", "failed")

Say = Callable[[str], Awaitable[None]]


class Feed:
    """A source that hands its messages out. `say` tells people how it does."""

    def __init__(self, source_id: str, sources: Sources, hooks: Hooks, clock: Clock, say: Say) -> None:
        self._source_id, self._sources, self._hooks, self._clock, self._say = source_id, sources, hooks, clock, say
        self._turn = 0  # of its secrets, the newest first: the one that the platform took last
        self._opened_at: float | None = None

    async def keep(self, tasks: asyncio.TaskGroup) -> None:
        """Until cancelled. Each connection is a task of its own: how it ends is no part of whether this one was asked
        to stop."""
        attempt = 0
        while True:
            connection = tasks.create_task(self._try())
            try:
                await asyncio.wait([connection])
            finally:
                connection.cancel()
            cause = "cancelled" if connection.cancelled() else connection.result()
            log.warning("a feed is not connected", source=self._source_id, cause=cause)
            await self._say(cause)
            steady = self._opened_at is not None and monotonic() - self._opened_at >= STEADY_S
            attempt = 1 if steady else attempt + 1
            await asyncio.sleep(AGAIN.next(attempt, self._source_id) or 0)

    async def _try(self) -> str:
        """One connection; gives why it ended."""
        self._opened_at = None
        try:
            source = await self._sources.find(self._source_id)
            if source is not None:
                await self._connect(source)
        except Exception as error:  # noqa: BLE001 - the platform's, the network's, our own: told, and tried again
            return _cause(error)
        return "the source is gone"

    async def _connect(self, source: Source) -> None:
        secrets = _newest_first(source, source.active(self._clock.now()))
        if not secrets:
            raise Refused("no secret: give it with `regulars sources rotate`")
        kind = source.connector.kind
        conversation = CONVERSATIONS[kind](source.origin.options, secrets[self._turn % len(secrets)])
        try:
            await converse(conversation, self._clock, self._take, lambda: self._opened(kind))
        finally:
            metrics.FEED_CONNECTIONS.labels(kind, "failed" if self._opened_at is None else "lost").inc()
            self._turn += self._opened_at is None  # the next secret, if there is another

    async def _opened(self, kind: str) -> None:
        self._opened_at = monotonic()
        metrics.FEED_CONNECTIONS.labels(kind, "opened").inc()
        await self._say(CONNECTED)

    async def _take(self, handed: Handed) -> None:
        """Down the one road of deliveries; returns when it is durable, as events or as a dead letter."""
        source = await self._sources.find(self._source_id)
        if source is None:
            raise Refused("the source is gone")
        await self._hooks.take(source, Delivery(handed.body))


def _newest_first(source: Source, good: list[str]) -> list[str]:
    """The one that nothing has replaced yet, then those that are good for a while."""
    lasting = [secret for secret, until in source.secrets if until is None]
    return [*lasting, *(secret for secret in good if secret not in lasting)]


def _cause(error: BaseException) -> str:
    """What ended a connection: of several tasks that failed together the first; without what was being said."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case Refused():
            return f"refused: {error}"
        case InvalidStatus():
            return f"refused: HTTP {error.response.status_code}"
        case Problem():
            return error.detail
        case _:
            return type(error).__name__
