"""The loop that asks platforms what has changed, and sends what it is told down the webhooks' road.

1. A poll that is due is claimed for a while. 2. Pages are asked for from the cursor on, with an overlap before it: a
platform may show a change later than its time. 3. All of a page is durable before 4. the cursor moves behind it, and
the claim is made longer. So whoever is killed at any point leaves nothing out; what is told again counts once, as
every repeat. The cursor moves within a poll only while changes come in order; else at its end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import asyncpg
import httpx
import structlog

from common.beside import repeat
from common.clock import Clock
from common.db.engine import is_outside
from common.retry import FOREVER, Retry
from common.telemetry import metrics
from common.web.problems import Problem
from ingest.connectors.port import Delivery
from ingest.hooks import Taken
from ingest.reconcile import polls
from ingest.reconcile.dialect import Ask, Found, Unreadable
from ingest.reconcile.known import DIALECTS
from ingest.reconcile.polls import Lost, Poll
from ingest.reconcile.rest import Away, Rest, Sleep
from ingest.sources import Source
from ingest.vault import Vault

log = structlog.get_logger()

OVERLAP = timedelta(minutes=5)  # asked for again before the cursor
LEASE = timedelta(
    minutes=5
)  # longer than a page takes at worst: three tries of 30 s, as long a pause after each, the road
LOOK_S = 2.0  # between two looks for what is due
AT_ONCE = 50  # objects on the road at the same time: they share a flush
MAX_PAGES = 1_000  # of one poll; the rest is the next one's
OUTCOMES = ("complete", "goes_on", "failed")  # of polls, as the metrics name them
AGAIN = Retry(first_ms=5_000, factor=2.0, max_ms=900_000, max_tries=FOREVER, jitter=0.2)


class Road(Protocol):
    """Where every delivery goes, however it came."""

    async def take(self, source: Source, delivery: Delivery, polled: bool = False) -> Taken:
        """Returns when it is durable."""


class Reconciler:
    """Polls one source after another; several, in one process or many, share what is due."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        vault: Vault,
        find: Callable[[str], Awaitable[Source | None]],
        road: Road,
        clock: Clock,
        client: httpx.AsyncClient,
        pause: timedelta,
        lease: timedelta = LEASE,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._pool, self._vault, self._find, self._road, self._clock = pool, vault, find, road, clock
        self._client, self._pause, self._lease, self._sleep = client, pause, lease, sleep
        # What was told within the overlap and has not changed since: else whatever cannot be converted would be
        # written down at every poll. Who starts anew tells it once more.
        self._known: dict[tuple[str, str], dict[tuple[str, str], datetime | None]] = {}
        for kind in DIALECTS:
            metrics.POLL_EVENTS.labels(kind)
            for outcome in OUTCOMES:
                metrics.POLLS.labels(kind, outcome)

    async def run(self) -> None:
        """Until cancelled."""
        await repeat(self.step, LOOK_S, "reconciliation waits")

    async def step(self) -> bool:
        """Does the poll that is due longest; whether there was one."""
        behind_since = await polls.oldest(self._pool)
        now = self._clock.now()
        metrics.POLL_LAG_SECONDS.set((now - behind_since).total_seconds() if behind_since else 0)
        poll = await polls.claim(self._pool, now, self._lease)
        if poll is None:
            return False
        source = await self._find(poll.source_id)
        access = await polls.access(self._pool, poll.source_id)
        if source is None or access is None:
            return True  # removed a moment ago
        kind = source.connector.kind
        try:
            up_to = await self._ask_all(poll, source, access)
        except Lost:
            log.info("another has taken the poll over", source=poll.source_id, resource=poll.resource)
        except (Away, Unreadable, Problem) as error:
            await self._failed(poll, kind, error)
        except Exception as error:
            if is_outside(error):
                raise
            log.exception("reconciliation failed", source=poll.source_id, resource=poll.resource)
            await self._failed(poll, kind, Unreadable(f"{type(error).__name__}: see the log"))
        else:
            await self._ended(poll, kind, up_to)
        return True

    async def _ended(self, poll: Poll, kind: str, up_to: datetime | None) -> None:
        now = self._clock.now()
        if up_to is None:
            await polls.go_on(self._pool, poll, now)
        else:
            await polls.end(self._pool, poll, up_to, now + self._pause, now)
        metrics.POLLS.labels(kind, "goes_on" if up_to is None else "complete").inc()

    async def _ask_all(self, poll: Poll, source: Source, access: tuple[str, bytes]) -> datetime | None:
        """Page by page; how far everything is known then. None where the next poll has to go on from the cursor."""
        shop, sealed = access
        dialect = DIALECTS[source.connector.kind]
        rest = Rest(self._client, dialect, shop, self._vault.open_secret(poll.source_id, sealed), self._sleep)
        ask = Ask(poll.resource, poll.up_to - OVERLAP)
        newest, in_order = poll.up_to, True
        before: datetime | None = None
        for _ in range(MAX_PAGES):
            page = dialect.read(ask, await rest.page(dialect.url(shop, ask)))
            told = await self._tell(poll, source, page.found)
            for each in page.found:
                if each.changed_at is not None:
                    in_order = in_order and (before is None or before <= each.changed_at)
                    before = each.changed_at
                    newest = max(newest, each.changed_at)
            until = self._clock.now() + self._lease
            await polls.move(self._pool, poll, newest if in_order else poll.up_to, told, until)
            metrics.POLL_EVENTS.labels(source.connector.kind).inc(told)
            self._remember(poll, page.found, newest)
            if page.next is None:
                return newest
            ask = page.next
        if not in_order or newest == poll.up_to:
            raise Unreadable("more changes than one poll reads, in no order: it comes no further")
        return None

    async def _tell(self, poll: Poll, source: Source, found: Sequence[Found]) -> int:
        """Returns when all of it is durable: how many events were news."""
        known = self._known.get((poll.source_id, poll.resource), {})
        news = [each for each in found if each.key not in known]
        told = 0
        for first in range(0, len(news), AT_ONCE):
            some = news[first : first + AT_ONCE]
            taken = await asyncio.gather(
                *(self._road.take(source, each.delivery, polled=True) for each in some), return_exceptions=True
            )
            for each in taken:
                if isinstance(each, BaseException):
                    raise each
                told += each.accepted
        return told

    def _remember(self, poll: Poll, found: Sequence[Found], newest: datetime) -> None:
        known = self._known.setdefault((poll.source_id, poll.resource), {})
        known |= {each.key: each.changed_at for each in found}
        bound = newest - OVERLAP - timedelta(seconds=1)
        for key in [key for key, changed_at in known.items() if changed_at is None or changed_at < bound]:
            del known[key]

    async def _failed(self, poll: Poll, kind: str, error: Away | Unreadable | Problem) -> None:
        fault = error.detail if isinstance(error, Problem) else str(error)
        asked_s = error.after_s if isinstance(error, Away) else None
        pause_s = asked_s if asked_s is not None else AGAIN.next(poll.failures + 1, poll.source_id) or 0.0
        await polls.fail(self._pool, poll, self._clock.now() + timedelta(seconds=pause_s), fault)
        metrics.POLLS.labels(kind, "failed").inc()
        log.warning("a poll failed", source=poll.source_id, resource=poll.resource, cause=fault, again_in_s=pause_s)
