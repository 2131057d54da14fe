"""Ingest over HTTP on a durable server, in a process of its own: single events, and batches."""

import asyncio
from itertools import islice
from statistics import median
from typing import NamedTuple

import asyncpg

from common.web.auth import create_key
from regulars.bench import as_sent, figures
from regulars.bench.client import Run, post, request
from regulars.bench.figures import Figure
from regulars.bench.stage import Stage
from regulars.processes import Process, environment, running

ROUNDS = 3
CONNECTIONS = 64
SINGLES = 12_000  # events in a round
BATCHES = 600  # requests in a round
BATCH_EVENTS = 100
BATCH_CONNECTIONS = 8
SINGLES_SEED, BATCHES_SEED = 1, 2  # of the events: each of them is new to ingest
WARM_UP = 0.1  # of a round
BARE = "regulars.bench.ingest_bare"
SHOP = "demo"
TAKEN = "SELECT count(*) FROM ingest.outbox WHERE key <> ''"  # all but the ticks


async def measure(stage: Stage) -> list[Figure]:
    """Ours and the ceiling by turns, the same requests; the median of the rounds."""
    async with stage.database() as database:
        admin = await asyncpg.connect(database.dsn)
        try:
            key = await create_key(admin, SHOP, ["ingest"])
            given = environment(database.settings)
            ours = Process("ingest", given, stage.folder / "ingest.log", folder=stage.folder)
            bare = Process("ingest_bare", given, stage.folder / "ingest_bare.log", "-m", BARE, folder=stage.folder)
            async with running([ours]), running([bare]):
                sides = Sides(ours.port, bare.port, key)
                singles = await _rounds(stage, sides, SINGLE_EVENTS)
                batches = await _rounds(stage, sides, IN_BATCHES)
            sent = sum(events for events, _, _ in singles + batches)
            taken = await admin.fetchval(TAKEN)
            if taken != sent:
                raise RuntimeError(f"{sent} events were answered, {taken} are in the outbox")
        finally:
            await admin.close()
    return [
        *_figures("ingest.single", singles[1:], f"one event a request, {CONNECTIONS} connections"),
        *_figures("ingest.batches", batches[1:], f"{BATCH_EVENTS} events a request, {BATCH_CONNECTIONS} connections"),
    ]


Round = tuple[int, Run, Run]  # events, ours, bare


class Case(NamedTuple):
    """What a round consists of."""

    seed: int  # of the events
    requests: int
    events: int  # in each
    connections: int


class Sides(NamedTuple):
    """Where ours and the bare one listen, and what ours asks for."""

    ours: int
    bare: int
    key: str


SINGLE_EVENTS = Case(SINGLES_SEED, SINGLES, 1, CONNECTIONS)
IN_BATCHES = Case(BATCHES_SEED, BATCHES, BATCH_EVENTS, BATCH_CONNECTIONS)


async def _rounds(stage: Stage, sides: Sides, case: Case) -> list[Round]:
    """Both sides by turns. The first round warms up and is not counted."""
    done: list[Round] = []
    amounts = [stage.amount(int(case.requests * WARM_UP)), *[stage.amount(case.requests)] * ROUNDS]
    bodies = iter(as_sent.bodies(case.seed, sum(amounts) * case.events))
    for amount in amounts:
        made = [request(_body(list(islice(bodies, case.events))), sides.key) for _ in range(amount)]
        run = await asyncio.to_thread(post, sides.ours, made, case.connections)
        done.append((amount * case.events, run, await asyncio.to_thread(post, sides.bare, made, case.connections)))
    return done


def _body(events: list[bytes]) -> bytes:
    return events[0] if len(events) == 1 else b"[" + b",".join(events) + b"]"


def _figures(name: str, rounds: list[Round], what: str) -> list[Figure]:
    """Rate, p50 and p99."""
    ceiling = "ceiling: Starlette and msgspec without a sink, same client"
    rates = [median(events / run[side].seconds for events, *run in rounds) for side in (0, 1)]
    made = [figures.rate(name, rates[0], "events/s", f"{what}; durable; {ceiling}", rates[1])]
    for part in (50, 99):
        took = [median(run[side].percentile_ms(part / 100) for _, *run in rounds) for side in (0, 1)]
        made.append(figures.time(f"{name}.p{part}", took[0], "ms", "of a request, under that load", took[1]))
    return made
