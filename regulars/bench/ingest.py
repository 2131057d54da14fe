"""Ingest over HTTP on a durable server, in a process of its own: single events, and batches."""

import asyncio
from itertools import islice
from statistics import median

import asyncpg

from common.web.auth import create_key
from regulars.bench import figures, shop_events
from regulars.bench.client import Run, post, request
from regulars.bench.figures import Figure
from regulars.bench.processes import INGEST, environment, running
from regulars.bench.stage import Stage

ROUNDS = 3
CONNECTIONS = 64
SINGLES = 12_000  # events in a round
BATCHES = 600  # requests in a round
BATCH_EVENTS = 100
BATCH_CONNECTIONS = 8
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
            async with running(INGEST, given, stage.folder) as ours, running({BARE: ()}, given, stage.folder) as bare:
                singles = await _rounds(stage, ours, bare, key, SINGLES, 1, CONNECTIONS)
                batches = await _rounds(stage, ours, bare, key, BATCHES, BATCH_EVENTS, BATCH_CONNECTIONS)
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


async def _rounds(
    stage: Stage, ours: int, bare: int, key: str, requests: int, events: int, connections: int
) -> list[Round]:
    """So many requests of so many events each a round. The first round warms up and is not counted."""
    done: list[Round] = []
    amounts = [stage.amount(int(requests * WARM_UP)), *[stage.amount(requests)] * ROUNDS]
    bodies = iter(shop_events.bodies(events, sum(amounts) * events))  # the seed: another one for each case
    for amount in amounts:
        made = [request(_body(list(islice(bodies, events))), key) for _ in range(amount)]
        run = await asyncio.to_thread(post, ours, made, connections)
        done.append((amount * events, run, await asyncio.to_thread(post, bare, made, connections)))
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
