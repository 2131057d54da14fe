"""Due timers through journeys, with few and with very many pending, and behind an old snapshot.

One table grows from stage to stage. Every pending timer is a customer's payment reminder; some are due within the
hour that the run plays, spread over the whole table, all others in months to come. Half of the due ones are for the
road, half, in a partition of their own, for the bare script: both work on the same table, turn by turn.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from statistics import median
from time import perf_counter

import asyncpg

from common.batch import Codec
from common.clock import FrozenClock
from common.contracts.envelope import Data, Event, encode
from common.contracts.ingest import OrderPlaced, Tick
from common.contracts.topics import INGEST_EVENTS, REQUESTS
from common.db import outbox
from common.decision import Aggregate
from common.house import House
from common.ids import PARTITIONS
from common.money import Money
from common.shops import load_shops
from common.telemetry import metrics
from journeys import app, presets
from regulars.bench import timers_bare
from regulars.bench.figures import Figure, rate, time
from regulars.bench.road_stage import quiet
from regulars.bench.stage import Database, Stage

PENDING = {"100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}
WARM_UP, ROUND, AGEING = 1_000, 6_000, 8_000  # timers due at one go, for each of the two
ROUNDS = 3  # of each kind; the median counts
TURNS = (WARM_UP, *[ROUND] * ROUNDS, AGEING, *[ROUND] * ROUNDS)  # the snapshot is taken before the ageing
HOUR = timedelta(hours=1)
ALL_DUE_WITHIN = timedelta(minutes=50)  # the next step of a reminder, 55 minutes later, is beyond it
WAIT = timedelta(minutes=5)  # the first step of a payment reminder
OPENED = datetime(2030, 1, 1, tzinfo=UTC)
SHOP, ORDER = "demo", "order-of-customer"
SPREAD = 7_919  # a prime that divides no stage's size: walks over the whole table
DEADLINE_S = 120.0
LOOK_EVERY_S = 0.002

# Each row is a state as journeys saves it, with its own customer, order and times; partitions as ids.partition_of.
GROW = f"""
INSERT INTO journeys.states (shop_id, customer_id, part, body, wake_at)
SELECT '{SHOP}', customer,
    CASE WHEN due AND place % 2 = 1 THEN {timers_bare.PART} ELSE crc32(('{SHOP}/' || customer)::bytea) % {PARTITIONS}
    END,
    replace(replace(replace($1, '{ORDER}', 'o-' || customer), $2, to_char(wake_at - $4::interval, $5)), $3,
            to_char(wake_at, $5))::json, wake_at
FROM (SELECT substr(md5(n::text), 1, 16) AS customer, (n * {SPREAD}) % ($7::bigint - $6) AS place
      FROM generate_series($6::bigint + 1, $7::bigint) AS n) AS row,
LATERAL (SELECT place < 2 * $8::bigint AS due) AS d,
LATERAL (SELECT CASE WHEN due THEN $9::timestamptz + (place / 2 * $10::bigint) * interval '1 microsecond'
    ELSE $9 + interval '60 days' + (place % 5184000) * interval '1 second' END AS wake_at) AS w
"""
TIME_IN_SQL = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
UNBIND = ("ALTER TABLE journeys.states DROP CONSTRAINT states_pkey", "DROP INDEX journeys.states_wake")
BIND = (
    "SET maintenance_work_mem = '1GB'",
    "ALTER TABLE journeys.states ADD CONSTRAINT states_pkey PRIMARY KEY (shop_id, customer_id)",
    "CREATE INDEX states_wake ON journeys.states (part, wake_at) WHERE wake_at IS NOT NULL",
    "VACUUM (ANALYZE) journeys.states",
    "CHECKPOINT",
)
TOLD = "SELECT count(*) FROM journeys.outbox WHERE topic = $1"
LEFT = "SELECT count(*) FROM journeys.states WHERE part = ANY($1::smallint[]) AND wake_at < $2"


@dataclass(frozen=True)
class Plan:
    """When the due timers of one stage go off: a batch of them after the other, `turns` of so many."""

    opens: datetime
    turns: tuple[int, ...]

    @property
    def step_us(self) -> int:
        """Between two due times."""
        return int(ALL_DUE_WITHIN / timedelta(microseconds=1)) // sum(self.turns)

    def watermarks(self) -> list[datetime]:
        """Each turn's timers are due before its watermark, and not before that of the turn before."""
        return [self.opens + timedelta(microseconds=self.step_us * due) for due in accumulate(self.turns)]


async def measure(stage: Stage) -> list[Figure]:
    """A stage per number of pending timers, the old snapshot in each."""
    turns = tuple(stage.amount(turn) for turn in TURNS)
    figures: list[Figure] = []
    plain: list[float] = []
    aged: list[float] = []
    async with stage.database() as database:
        pending = 0
        for number, (name, whole) in enumerate(PENDING.items()):
            # Each stage plays an earlier hour: what the one before has armed anew lies beyond this one's end.
            plan = Plan(OPENED - number * 3 * HOUR, turns)
            size = stage.amount(whole)
            await _grow(database, plan, pending, size)
            pending = size
            ours, bare, ours_aged, bare_aged = await _play(database, plan)
            plain.append(ours)
            aged.append(ours_aged)
            figures += _figures(name, pending, ours, bare, ours_aged, bare_aged)
    most, fewest = list(PENDING)[-1], next(iter(PENDING))
    for name, rates in (("flat", plain), ("flat.old_snapshot", aged)):
        what = f"how many times slower with {most} pending than with {fewest}; ceiling: no difference"
        figures.append(time(f"timers.{name}", rates[0] / rates[-1], "times", what, 1.0))
    return figures


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


async def _grow(database: Database, plan: Plan, before: int, after: int) -> None:
    """The table with so many more rows; loaded without its indexes, which are then made as the migration makes them."""
    body, since, due = _state()
    step = plan.step_us
    admin = await asyncpg.connect(database.dsn)
    try:
        for statement in UNBIND:
            await admin.execute(statement)
        arguments = (body, since, due, WAIT, TIME_IN_SQL, before, after, sum(plan.turns), plan.opens, step)
        await admin.execute(GROW, *arguments)
        for statement in BIND:
            await admin.execute(statement)
        assert await admin.fetchval("SELECT count(*) FROM journeys.states") == after
    finally:
        await admin.close()


def _state() -> tuple[str, str, str]:
    """What journeys stores of somebody who has placed an order; and the two times in it, as they stand there."""
    service = app.service(presets.load(load_shops()))
    aggregate = Aggregate(service.name, service.decide, SHOP, "c", None)
    aggregate.take(_event(SHOP, "c", OrderPlaced(ORDER, Money(12_900, "CNY")), OPENED))
    assert aggregate.stored is not None
    assert aggregate.stored.wake_at == OPENED + WAIT
    text = Codec(service).encoder.encode(aggregate.stored).decode()
    since, due = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (OPENED, OPENED + WAIT))
    assert since in text
    assert due in text
    return text, since, due


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
    told, woken = await admin.fetchval(TOLD, REQUESTS.name), _woken()
    body = encode(_event("*", "*", Tick(watermark), watermark))
    async with admin.transaction():
        await admin.execute("SET LOCAL search_path TO ingest")
        await outbox.write(admin, [(INGEST_EVENTS.name, part, "", body) for part in range(PARTITIONS)])
    began = perf_counter()
    house.bell.ring(INGEST_EVENTS.name)
    async with asyncio.timeout(DEADLINE_S):
        while _woken() < woken + due:  # noqa: ASYNC110 - the road tells nobody but the metric
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


def _woken() -> int:
    (metric,) = metrics.ROAD_TIMERS.labels("journeys").collect()
    return int(metric.samples[0].value)


def _event(shop_id: str, customer_id: str, data: Data, at: datetime) -> Event[Data]:
    return Event(
        specversion="1.0",
        id="bench",
        source="bench",
        type=data.TYPE,
        shop_id=shop_id,
        customer_id=customer_id,
        occurred_at=at,
        received_at=at,
        data=data,
    )


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
