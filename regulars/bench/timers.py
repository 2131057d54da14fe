"""Due timers through journeys, with few and with very many pending, and behind an old snapshot.

One table grows from size to size. Every pending timer is a customer's payment reminder; some are due within the
hour that the run plays, spread over the whole table, all others in months to come. Half of the due ones are for the
road, half, in a partition of their own, for the bare script: both work on the same table, turn by turn.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

import asyncpg

from common.clock import FrozenClock
from common.contracts.envelope import encode
from common.contracts.ingest import Tick
from common.contracts.topics import INGEST_EVENTS, REQUESTS
from common.db import outbox
from common.house import House
from common.ids import PARTITIONS
from common.shops import load_shops
from journeys import app, presets
from regulars.bench import figures, timers_bare
from regulars.bench.as_received import event
from regulars.bench.figures import Figure, rate
from regulars.bench.road_stage import quiet, woken
from regulars.bench.stage import Database, Stage
from regulars.bench.timers_table import Plan, grow

PENDING = {"100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}
WARM_UP, ROUND, AGEING = 1_000, 6_000, 8_000  # timers due at one go, for each of the two
ROUNDS = 3  # of each kind; the median counts
TURNS = (WARM_UP, *[ROUND] * ROUNDS, AGEING, *[ROUND] * ROUNDS)  # the snapshot is taken before the ageing
SERVICE = "journeys"
HOUR = timedelta(hours=1)
OPENED = datetime(2030, 1, 1, tzinfo=UTC)
DEADLINE_S = 120.0
LOOK_EVERY_S = 0.002

TOLD = "SELECT count(*) FROM journeys.outbox WHERE topic = $1"
LEFT = "SELECT count(*) FROM journeys.states WHERE part = ANY($1::smallint[]) AND wake_at < $2"


async def measure(stage: Stage) -> list[Figure]:
    """Size after size, the old snapshot in each."""
    turns = tuple(stage.amount(turn) for turn in TURNS)
    made: list[Figure] = []
    plain: list[float] = []
    aged: list[float] = []
    async with stage.database() as database:
        pending = 0
        for number, (name, whole) in enumerate(PENDING.items()):
            # Each size plays an earlier hour: what the one before has armed anew lies beyond this one's end.
            plan = Plan(OPENED - number * 3 * HOUR, turns)
            size = stage.amount(whole)
            await grow(database, plan, pending, size)
            pending = size
            ours, bare, ours_aged, bare_aged = await _play(database, plan)
            plain.append(ours)
            aged.append(ours_aged)
            made += _figures(name, pending, ours, bare, ours_aged, bare_aged)
    most, fewest = list(PENDING)[-1], next(iter(PENDING))
    for name, rates in (("flat", plain), ("flat.old_snapshot", aged)):
        what = f"how many times slower with {most} pending than with {fewest}; ceiling: no difference"
        made.append(figures.time(f"timers.{name}", rates[0] / rates[-1], "times", what, 1.0))
    return made


def _figures(name: str, pending: int, ours: float, bare: float, ours_aged: float, bare_aged: float) -> list[Figure]:
    each = f"median of {ROUNDS} rounds of {ROUND:,} due at once, {pending:,} pending"
    ceiling = "ceiling: bare SKIP LOCKED claim + UPDATE + outbox insert, same batches, same table"
    return [
        rate(f"timers.{name}", ours, "timers/s", f"journeys, tick to committed request; {each}; {ceiling}", bare),
        rate(
            f"timers.{name}.old_snapshot",
            ours_aged,
            "timers/s",
            f"the same behind a snapshot {AGEING + ROUND * ROUNDS:,} timers old; {ceiling}, without the snapshot",
            bare,
        ),
        rate(f"timers.{name}.old_snapshot.bare", bare_aged, "timers/s", "what the snapshot makes of the bare script"),
    ]


async def _play(database: Database, plan: Plan) -> tuple[float, float, float, float]:
    """Timers per second of the road and of the bare script; then behind the snapshot."""
    clock = FrozenClock(plan.opens)  # in the past: only ticks move the watermark
    house = House(database.settings, clock, load_shops())
    service = app.service(presets.load(house.shops))
    rates: list[tuple[float, float]] = []
    quiet()
    async with (
        house.pool(service.name) as pool,
        _connected(database, user=service.name) as bare,
        _connected(database) as admin,
        _connected(database) as old,
        asyncio.TaskGroup() as tasks,
    ):
        road = tasks.create_task(house.road(service, pool).run())
        for turn, (due, watermark) in enumerate(zip(plan.turns, plan.watermarks(), strict=True)):
            if turn == TURNS.index(AGEING):
                await _take_snapshot(old)
            ours = await _ours(admin, house, due, watermark)
            rates.append((ours, await _bare(admin, bare, house, due, watermark)))
        road.cancel()
    measured = [rates[turn] for turn, whole in enumerate(TURNS) if whole == ROUND]
    plain, aged = measured[:ROUNDS], measured[ROUNDS:]
    return median_of(plain, 0), median_of(plain, 1), median_of(aged, 0), median_of(aged, 1)


def median_of(rates: Sequence[tuple[float, float]], place: int) -> float:
    """Of the first or the second of each pair."""
    return median(pair[place] for pair in rates)


async def _ours(admin: asyncpg.Connection, house: House, due: int, watermark: datetime) -> float:
    """From the commit of ingest's tick until the last timer's decision is committed."""
    told, before = await admin.fetchval(TOLD, REQUESTS.name), woken(SERVICE)
    body = encode(event("tick", "*", watermark, Tick(watermark), shop_id="*"))
    async with admin.transaction():
        await admin.execute("SET LOCAL search_path TO ingest")
        await outbox.write(admin, [(INGEST_EVENTS.name, part, "", body) for part in range(PARTITIONS)])
    began = perf_counter()
    house.bell.ring(INGEST_EVENTS.name)
    async with asyncio.timeout(DEADLINE_S):
        while woken(SERVICE) < before + due:  # noqa: ASYNC110 - the road tells nobody but the metric
            await asyncio.sleep(LOOK_EVERY_S)
    seconds = perf_counter() - began
    left = await admin.fetchval(LEFT, list(range(PARTITIONS)), watermark)
    _check(due, await admin.fetchval(TOLD, REQUESTS.name) - told, left)
    return due / seconds


async def _bare(
    admin: asyncpg.Connection, connection: asyncpg.Connection, house: House, due: int, watermark: datetime
) -> float:
    fact = await admin.fetchval("SELECT body FROM journeys.outbox WHERE topic = $1 LIMIT 1", REQUESTS.name)
    told = await admin.fetchval(TOLD, timers_bare.TOPIC)
    began = perf_counter()
    claimed = await timers_bare.claim_all(connection, watermark, house.settings.batch_max_messages, fact)
    seconds = perf_counter() - began
    left = await admin.fetchval(LEFT, [timers_bare.PART], watermark)
    _check(due, await admin.fetchval(TOLD, timers_bare.TOPIC) - told, left + due - claimed)
    return due / seconds


def _check(due: int, told: int, left: int) -> None:
    if told != due or left:
        raise AssertionError(f"{due} timers were due: {told} facts were told, {left} timers are left")


async def _take_snapshot(connection: asyncpg.Connection) -> None:
    """A transaction that keeps everything that is deleted from now on from being cleaned away; never closed by us."""
    await connection.execute("SET transaction_timeout = 0; SET idle_in_transaction_session_timeout = 0")
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM journeys.marks")


@asynccontextmanager
async def _connected(database: Database, user: str | None = None) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.dsn, user=user)
    try:
        yield connection
    finally:
        await connection.close()
