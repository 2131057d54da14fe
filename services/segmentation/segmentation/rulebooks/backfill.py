"""The loop by which an edit is felt by everybody: each customer is told, once, to look at the edited segments.

1. Lead: one transaction in the whole installation takes a step at a time. 2. Wait while the road is behind, or has not
decided what the last step told: so live traffic goes first, and never more than one chunk waits in front of it.
3. Look at the next customers, and 4. tell those who are behind, in the transaction that moves the cursor: whoever is
killed leaves nobody out and tells nobody twice.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

from common.beside import repeat
from common.bus.bell import Bell
from common.contracts.envelope import Data, Event
from common.contracts.segmentation import ListChanged, SegmentRecheck
from common.contracts.topics import SEGMENTATION_WORK
from common.db import outbox
from common.db.engine import Connection
from common.ids import PARTITIONS, derived_id
from common.settings import Settings
from common.telemetry import metrics
from segmentation.lists import store as lists
from segmentation.rulebooks import held as rulebooks
from segmentation.rulebooks import jobs
from segmentation.rulebooks.jobs import Job, LastAsked

CHUNK_CUSTOMERS = 500  # looked at in one transaction
LOOKS = 10  # chunks looked at in one transaction, where nobody in them is behind
LOOK_S = 0.5  # between two looks for something to do
BREATH_S = 0.05  # between two steps, or looks whether the road has come so far
WAIT = rulebooks.WAIT  # for whoever begins one: until every process has heard of the edit
PASS_AGAIN = timedelta(seconds=2)  # alarms that the last pass set have gone off by then; longer after each pass
# Whoever is behind after so many, a quarter of an hour, cannot be asked: its letters say why, or no process knows the
# edit. It is asked when it is next met.
PASSES_MAX = 30
SOURCE = "regulars/segmentation/backfill"  # none of the road's own: so it is passed on to who somebody was merged into
# Of no time of its own: it is decided at the time the customer has come to, and no alarm goes off because of it.
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger()

LagS = Callable[[], float]


def road_lag_s() -> float:
    """How far this process's road is behind the edge."""
    samples = (sample for metric in metrics.ROAD_LAG_SECONDS.collect() for sample in metric.samples)
    return next((sample.value for sample in samples if sample.labels.get("service") == "segmentation"), 0.0)


class Backfill:
    """Several, in one process or many, share what is to be done."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        settings: Settings,
        bell: Bell,
        lag_s: LagS = road_lag_s,
        again: timedelta = PASS_AGAIN,
        chunk: int = CHUNK_CUSTOMERS,
    ) -> None:
        self._pool, self._bell, self._lag_s, self._again, self._chunk = pool, bell, lag_s, again, chunk
        self._per_s, self._lag_max_s = settings.backfill_per_s, settings.backfill_lag_max_s

    async def run(self) -> None:
        """Until cancelled."""
        await repeat(self.step, LOOK_S, "back-fill waits", BREATH_S)

    async def step(self) -> bool:
        """Looks at one chunk of customers; whether there may be more to do at once."""
        if self._lag_s() > self._lag_max_s:
            return False
        async with self._pool.acquire() as connection, connection.transaction():
            if not await jobs.lead(connection):
                return False
            metrics.BACKFILL_LEFT.set(await jobs.left(connection))
            if await jobs.is_undecided(connection, SEGMENTATION_WORK.name, PARTITIONS):
                return True
            job = await jobs.next_job(connection)
            if job is None:
                return False
            told = await (self._of_list(connection, job) if job.list else self._of_shop(connection, job))
        if told:
            self._bell.ring(SEGMENTATION_WORK.name)
            metrics.BACKFILL_TOLD.inc(told)
        return True

    async def _of_shop(self, connection: Connection, job: Job) -> int:
        """Where nobody is behind it looks further, since that costs little: a last pass tells nobody."""
        cursor, passed = job.cursor, 0
        events: list[Event[Data]] = []
        while not events and passed < LOOKS * self._chunk:
            found = await jobs.customers(connection, job.shop_id, cursor, self._chunk)
            if not found:
                break
            cursor, passed = found[-1].customer_id, passed + len(found)
            events = [_recheck(job, each.customer_id) for each in found if _is_behind(each, job)]
        if passed:
            await self._tell(connection, job, cursor, passed, events)
        else:
            await self._passed(connection, job)
        return len(events)

    async def _of_list(self, connection: Connection, job: Job) -> int:
        """The first pass tells whom the edit put on or took off, those after it look whether they know."""
        assert job.list is not None
        found = await lists.changed(connection, job.shop_id, job.list, job.revision, job.cursor, self._chunk)
        if not found:
            await self._passed(connection, job)
            return 0
        theirs = {customer_id: is_in for customer_id, is_in, is_theirs in found if is_theirs}
        known = await jobs.these(connection, job.shop_id, list(theirs))
        if job.pass_ == 1:
            events = [
                _list_changed(job, job.list, customer_id, is_in, is_new=customer_id not in known)
                for customer_id, is_in in theirs.items()
                if is_in or customer_id in known
            ]
        else:
            events = [_recheck(job, each.customer_id) for each in known.values() if _is_behind(each, job)]
        await self._tell(connection, job, found[-1][0], len(found), events)
        return len(events)

    async def _tell(
        self, connection: Connection, job: Job, cursor: str, passed: int, events: Sequence[Event[Data]]
    ) -> None:
        await outbox.write(connection, [outbox.row(SEGMENTATION_WORK.name, event) for event in events])
        pause = timedelta(seconds=len(events) / self._per_s)
        await jobs.step(connection, job, cursor, passed, len(events), pause)

    async def _passed(self, connection: Connection, job: Job) -> None:
        if job.told and job.pass_ < PASSES_MAX:
            await jobs.again(connection, job, self._again * job.pass_)
            return
        await jobs.end(connection, job)
        if job.told:
            metrics.BACKFILL_BEHIND.inc(job.told)
            log.warning("back-fill given up", shop=job.shop_id, revision=job.revision, behind=job.told)
        else:
            log.info("back-fill ended", shop=job.shop_id, revision=job.revision, passes=job.pass_)


def _is_behind(customer: LastAsked, job: Job) -> bool:
    """Who is inside an import is told once, and asked when that ends: nobody waits for it."""
    if customer.aside or (customer.is_imported and job.pass_ > 1):
        return False
    return customer.revision < job.revision or customer.edition != job.edition


def _recheck(job: Job, customer_id: str) -> Event[Data]:
    return _event(job, customer_id, SegmentRecheck(job.revision, job.at), NO_TIME)


def _list_changed(job: Job, name: str, customer_id: str, is_in: bool, *, is_new: bool) -> Event[Data]:
    received_at = job.at if is_new else NO_TIME  # a new face begins with the list
    return _event(job, customer_id, ListChanged(name, is_in, job.revision, job.at), received_at)


def _event(job: Job, customer_id: str, data: Data, received_at: datetime) -> Event[Data]:
    return Event(
        specversion="1.0",
        id=derived_id("backfill", str(job.id), str(job.pass_), customer_id),
        source=SOURCE,
        type=data.TYPE,
        shop_id=job.shop_id,
        customer_id=customer_id,
        occurred_at=job.at,
        received_at=received_at,
        data=data,
    )
