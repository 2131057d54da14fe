"""How soon after its second a change that comes of time alone is committed, among very many that are pending, while
events arrive.

Ingest and segmentation run as in production, each in a process of its own; their clock is the machine's, set back or
forward to the plan's day. Whose change is the road's and whose the bare script's is settled before: both work on the
same table, turn by turn, and the events go on through all turns. What counts is when the server says a transaction
was committed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg

from common.clock import AcceleratedClock, Clock, RealClock
from common.contracts.envelope import Decoder, Event
from common.contracts.topics import MEMBERSHIPS
from common.ids import PARTITIONS
from common.web.auth import create_key
from regulars.bench import as_sent, figures, timers_bare
from regulars.bench.as_received import SHOP
from regulars.bench.client import offer, percentile, request
from regulars.bench.figures import Figure
from regulars.bench.pending import ANY_DAY, BESIDE, PREFIX, STEP, Plan, load
from regulars.bench.stage import Database, Stage
from regulars.processes import Process, environment, running

CUSTOMERS, QUICK_CUSTOMERS = 1_000_000, 10_000
TURN_S, QUICK_TURN_S = 10, 2
ROUNDS = 2  # of a turn of the road's and one of the bare script's
WARM_UP_S = 3.0
OFFERED_PER_S = 500
CONNECTIONS = 64
SEED = 3  # of the events
STUCK_S = 60.0
SERVICES = ("ingest", "segmentation")
PARTS = (50, 99)  # percentiles

LEFT = f"""
SELECT count(*) FROM segmentation.states WHERE wake_at < $1 AND part < {PARTITIONS} AND customer_id LIKE '{PREFIX}%'
"""
COMMITTED = f"""
SELECT split_part(key, '/', 2), body, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8
FROM segmentation.outbox WHERE topic = $1 AND key LIKE '{SHOP}/{PREFIX}%'
"""
A_FACT = "SELECT body FROM segmentation.outbox WHERE topic = $1 LIMIT 1"


class Turn(NamedTuple):
    """Whose it is, and the time it takes."""

    is_bare: bool
    begins: datetime
    ends: datetime


async def measure(stage: Stage) -> list[Figure]:
    """Of all changes in the road's turns and of all in the bare script's, two percentiles each."""
    customers = QUICK_CUSTOMERS if stage.quick else CUSTOMERS
    turn_s = QUICK_TURN_S if stage.quick else TURN_S
    plan = Plan(ANY_DAY, customers, int(timedelta(seconds=turn_s) / STEP))
    async with stage.database() as database:
        await load(database, plan)
        admin = await asyncpg.connect(database.dsn)
        try:
            ours, bare = await _watch(stage, database, admin, plan)
        finally:
            await admin.close()
    each = f"{len(ours):,} of {customers:,} pending changes, {OFFERED_PER_S} events/s beside them"
    ceiling = "ceiling: the same by a bare loop that claims, updates and tells every 100 ms"
    what = f"from its due instant to the commit of a change that comes of time; {each}; {ceiling}"
    return [
        figures.time(
            f"on_time.p{part}", percentile(ours, part / 100) * 1_000, "ms", what, percentile(bare, part / 100) * 1_000
        )
        for part in PARTS
    ]


async def _watch(
    stage: Stage, database: Database, admin: asyncpg.Connection, plan: Plan
) -> tuple[list[float], list[float]]:
    """How many seconds late each change was, sorted; the road's, and the bare script's."""
    key = await create_key(admin, SHOP, ["ingest"])
    clock = AcceleratedClock(1.0, plan.opens, RealClock().now())
    told = f"accelerated:1@{clock.shop_start.isoformat()}@{clock.wall_start.isoformat()}"
    given = {**environment(database.settings), "REGULARS_CLOCK": told}
    processes = [Process(name, given, stage.folder / f"{name}.log") for name in SERVICES]
    bare = await asyncpg.connect(database.dsn, user="segmentation")
    try:
        async with running(processes), asyncio.TaskGroup() as tasks:
            turns = upcoming(plan, clock.now())
            seconds = (turns[-1].ends - clock.now()).total_seconds()
            bodies = as_sent.bodies(SEED, int(OFFERED_PER_S * seconds))
            requests = [request(body, key) for body in bodies]
            offering = asyncio.to_thread(offer, processes[0].port, requests, OFFERED_PER_S, CONNECTIONS)
            events = tasks.create_task(offering)
            for turn in turns:
                await _until(clock, turn.begins)
                if turn.is_bare:
                    await _claim(bare, clock, turn, database.settings.poll_ms / 1_000)
                else:
                    await _until(clock, turn.ends)
            await events
            await _all_done(admin, turns[-1].ends)
        return await _late(admin, clock, plan, turns)
    finally:
        await bare.close()


def upcoming(plan: Plan, now: datetime) -> list[Turn]:
    """The next whole ones, the road's first."""
    first = -(-(now + timedelta(seconds=WARM_UP_S) - plan.opens) // plan.turn)
    first += first % 2
    made = [Turn(n % 2 == 1, plan.begin(n), plan.begin(n + 1)) for n in range(first, first + 2 * ROUNDS)]
    if made[-1].ends > plan.dues[-1]:
        raise AssertionError(f"{plan.customers:,} pending changes are over before all turns are: the start took long")
    return made


async def _until(clock: Clock, at: datetime) -> None:
    while (left := (at - clock.now()).total_seconds()) > 0:  # noqa: ASYNC110 - a clock sets no event
        await asyncio.sleep(left)  # waits: for the turn


async def _claim(connection: asyncpg.Connection, clock: Clock, turn: Turn, pause_s: float) -> None:
    """The bare script's turn. Of earlier turns it claims what is left, and that does not count."""
    await connection.execute("SET search_path TO segmentation")
    body = await connection.fetchval(A_FACT, MEMBERSHIPS.name) or b""
    while clock.now() < turn.ends + timedelta(seconds=2 * pause_s):
        await timers_bare.claim_all(connection, min(clock.now(), turn.ends), 1_000, body)
        await asyncio.sleep(pause_s)  # waits: for more to fall due


async def _all_done(admin: asyncpg.Connection, ends: datetime) -> None:
    async with asyncio.timeout(STUCK_S):
        while await admin.fetchval(LEFT, ends):  # noqa: ASYNC110 - the road tells nobody but its table
            await asyncio.sleep(0.05)  # waits: for the road


async def _late(
    admin: asyncpg.Connection, clock: AcceleratedClock, plan: Plan, turns: Sequence[Turn]
) -> tuple[list[float], list[float]]:
    decoder = Decoder(MEMBERSHIPS.events)
    committed: dict[str, float] = {}
    for customer, body, at in await admin.fetch(COMMITTED, MEMBERSHIPS.name):
        fact = decoder.decode(body)
        assert isinstance(fact, Event)
        if fact.occurred_at == plan.due(customer):
            committed[customer] = max(at, committed.get(customer, 0.0))
    by_bare = {customer: at for customer, _, at in await admin.fetch(COMMITTED, timers_bare.TOPIC)}
    return (
        _seconds(committed, clock, plan, [turn for turn in turns if not turn.is_bare]),
        _seconds(by_bare, clock, plan, [turn for turn in turns if turn.is_bare]),
    )


def _seconds(committed: Mapping[str, float], clock: AcceleratedClock, plan: Plan, turns: Sequence[Turn]) -> list[float]:
    late: list[float] = []
    for customer, at in committed.items():
        due = plan.due(customer)
        if any(turn.begins <= due < turn.ends for turn in turns):
            late.append(at - (clock.wall_start + (due - clock.shop_start)).timestamp())
    if len(late) != (wanted := len(turns) * plan.turn_steps * BESIDE):
        raise AssertionError(f"{wanted} changes fell due, {len(late)} were told")
    return sorted(late)
