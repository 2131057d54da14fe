"""The whole system: how much it sustains, and how soon an event becomes a message; in five processes and in one.

Sustained: batches go in over HTTP as fast as ingest takes them, but never more than two windows of events lie before
any of the services; the clock runs from the first request until everything that came of the last event is decided
and sent. So the rate is one that could go on for ever, with a lag that is bounded.
Latency: events go in one by one at a fixed rate, whatever the system does; an order's message in the app is measured
from the moment its event was due to be sent to the commit that delivers it, by the server's own commit timestamps.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter
from typing import NamedTuple

import asyncpg
import msgspec

from common.web.auth import create_key
from regulars.bench import as_sent, figures, whole_bare
from regulars.bench.client import offer, percentile, post, request
from regulars.bench.figures import Figure
from regulars.bench.stage import Database, Stage
from regulars.demo.shop import Sent, expect
from regulars.drain import Ends, drained, ends, reached
from regulars.processes import Process, environment, running
from regulars.services import NAMES

EVENTS = 40_000  # about ten seconds
WINDOW_EVENTS = 4_000
BATCH_EVENTS = 100
CONNECTIONS = 4
BARE_ROUNDS = 3
OFFERED_PER_S = 500
OFFERED_S = 12
WARM_UP_S = 2  # of them not counted
OFFER_CONNECTIONS = 64
POLL_S = 0.05
STUCK_S = 120.0
COMMITS = 200
SHOP = "demo"
SUSTAINED_SEED, LATENCY_SEED = 1, 2  # of the events: one system takes both

# A journey whose first step follows the event at once: the shipped ones wait, or go by SMS.
JOURNEY, ENTERED_ON = "order_thanks", "order.placed"
JOURNEY_FILE = f"""
journey: {JOURNEY}
purpose: transactional
enter: {{on: {ENTERED_ON}, key: order_id}}
steps:
  - {{step: thanks, after: 0, send: in_app, template: {JOURNEY}}}
"""
DELIVERED = """
SELECT params->>'order_id', extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM notifier.messages
WHERE journey = $1 AND status = 'sent'
"""
TAKEN = "SELECT count(*) FROM ingest.outbox WHERE key <> ''"
DISPATCHED = "SELECT count(*) FROM notifier.messages WHERE journey = 'dispatch_notice'"
POINTS = "SELECT coalesce(sum(balance), 0)::bigint FROM loyalty.accounts"


class Form(NamedTuple):
    """A way of running the system."""

    name: str
    commands: Mapping[str, Sequence[str]]  # processes, each with what Python is to run
    kafka: str | None = None


class System(NamedTuple):
    """One that runs: its database, and where and with which key it takes events."""

    database: Database
    admin: asyncpg.Connection
    port: int
    key: str


FIVE: Mapping[str, Sequence[str]] = {name: ("-m", name, "serve") for name in NAMES}
FIVE_ON_POSTGRES = Form("five.postgres", FIVE)
UP_ON_POSTGRES = Form("up.postgres", {"regulars": ("-m", "regulars", "up", "--data", "home")})
FIVE_ON_KAFKA = Form("five.kafka", FIVE)


async def measure(stage: Stage) -> list[Figure]:
    """Every form of the system that can be had here, and the ceilings on the same server."""
    with_journey(stage.folder)
    bodies = as_sent.bodies(SUSTAINED_SEED, stage.amount(EVENTS))
    bare = median([await _bare(stage, bodies) for _ in range(BARE_ROUNDS)])
    forms = [FIVE_ON_POSTGRES, UP_ON_POSTGRES]
    if (kafka := await stage.kafka(f"whole.{FIVE_ON_KAFKA.name}")) is not None:
        forms.append(FIVE_ON_KAFKA._replace(kafka=kafka))
    return [figure for form in forms for figure in await one_form(stage, form, bodies, bare)]


async def one_form(stage: Stage, form: Form, bodies: Sequence[bytes], bare: float) -> list[Figure]:
    """On a database of its own; `bare` is the ceiling in events/s."""
    async with stage.database() as database:
        admin = await asyncpg.connect(database.dsn)
        try:
            key = await create_key(admin, SHOP, ["ingest"])
            given, folder = environment(database.settings, form.kafka), stage.folder
            processes = [
                Process(name, given, folder / f"{name}.log", *command, folder=folder)
                for name, command in form.commands.items()
            ]
            async with running(processes):
                system = System(database, admin, processes[0].port, key)
                took = await _latency(stage, form.name, system)
                rate = await _sustained(bodies, system)
        finally:
            await admin.close()
    what = "all five services, durable, until all is decided; ceiling: their writes in one bare script, no bus"
    return [figures.rate(f"whole.{form.name}", rate, "events/s", what, bare), *took]


async def _bare(stage: Stage, bodies: Sequence[bytes]) -> float:
    async with stage.database(migrated=False) as database:
        return await whole_bare.run(database.dsn, bodies)


async def _sustained(bodies: Sequence[bytes], system: System) -> float:
    """Events a second."""
    before = await _counts(system.admin)
    batches = [bodies[at : at + BATCH_EVENTS] for at in range(0, len(bodies), BATCH_EVENTS)]
    requests = [request(b"[" + b",".join(batch) + b"]", system.key) for batch in batches]
    window = WINDOW_EVENTS // BATCH_EVENTS
    sent_before: Ends = {}
    began = perf_counter()
    for at in range(0, len(requests), window):
        await asyncio.to_thread(post, system.port, requests[at : at + window], CONNECTIONS)
        sent = await ends(system.admin)
        await _decided_up_to(system.admin, sent_before)
        sent_before = sent
    if not await drained(system.database.dsn, STUCK_S):
        raise TimeoutError(f"not all is decided after {STUCK_S} s")
    seconds = perf_counter() - began
    due = expect([Sent(timedelta(0), msgspec.json.decode(body)) for body in bodies])
    expected = (len(bodies), due.dispatched, sum(due.points.values()))
    done = tuple(now - then for now, then in zip(await _counts(system.admin), before, strict=True))
    if done != expected:
        raise RuntimeError(f"taken, dispatch notices, points: {done}, not {expected}")
    return len(bodies) / seconds


async def _counts(admin: asyncpg.Connection) -> tuple[int, ...]:
    return tuple([await admin.fetchval(question) for question in (TAKEN, DISPATCHED, POINTS)])


async def _decided_up_to(admin: asyncpg.Connection, end: Ends) -> None:
    deadline = monotonic() + STUCK_S
    while not await reached(admin, end):
        if monotonic() > deadline:
            raise TimeoutError(f"a service lags for {STUCK_S} s")
        await asyncio.sleep(POLL_S)  # waits: for the services to decide, in processes of their own


async def _latency(stage: Stage, form: str, system: System) -> list[Figure]:
    """p50 and p99 of event to message."""
    bodies = as_sent.bodies(LATENCY_SEED, stage.amount(OFFERED_PER_S * (WARM_UP_S + OFFERED_S)))
    requests = [request(body, system.key) for body in bodies]
    offered = await asyncio.to_thread(offer, system.port, requests, OFFERED_PER_S, OFFER_CONNECTIONS)
    if not await drained(system.database.dsn, STUCK_S):
        raise TimeoutError(f"not all is decided after {STUCK_S} s")
    sent_at = {
        event["data"]["order_id"]: at
        for event, at in zip(map(msgspec.json.decode, bodies), offered.due, strict=True)
        if event["type"] == ENTERED_ON
    }
    delivered_at: dict[str, float] = dict(map(tuple, await system.admin.fetch(DELIVERED, JOURNEY)))
    if delivered_at.keys() != sent_at.keys():
        raise RuntimeError(f"{len(sent_at)} orders, messages about {len(delivered_at)}")
    warm = min(offered.due) + (0 if stage.quick else WARM_UP_S)
    took = sorted(delivered_at[order] - at for order, at in sent_at.items() if at >= warm)
    commits = await _commits_s(system.admin)
    what = f"event to delivered in-app message at {OFFERED_PER_S} events/s; ceiling: three durable commits in a row"
    return [
        figures.time(f"whole.{form}.p{part}", percentile(took, part / 100) * 1000, "ms", what, ceiling * 1000)
        for part in (50, 99)
        if (ceiling := percentile(commits, part / 100))
    ]


async def _commits_s(admin: asyncpg.Connection) -> list[float]:
    """How long three commits of a row each take here, sorted."""
    await admin.execute("CREATE TABLE commits (at timestamptz)")
    took: list[float] = []
    for _ in range(COMMITS):
        began = perf_counter()
        for _ in range(3):
            await admin.execute("INSERT INTO commits VALUES (now())")
        took.append(perf_counter() - began)
    return sorted(took)


def with_journey(folder: Path) -> None:
    """Copies of the two packages with one journey and its words more: processes that run in the folder take these."""
    for package in ("journeys", "notifier"):
        shutil.copytree(str(files(package)), folder / package)
    (folder / f"journeys/presets/default/{JOURNEY}.yaml").write_text(JOURNEY_FILE)
    for language in ("en", "zh-CN"):
        (folder / f"notifier/templates/{language}/{JOURNEY}.liquid").write_text("{{ order_id }}")
