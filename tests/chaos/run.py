"""One run: the events undisturbed, the same events under faults, and what differs."""

import asyncio
import contextlib
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import asyncpg

from common.house import build_house, running
from common.settings import load_settings
from regulars.openers import ALL
from regulars.ports import free_port
from tests import memory
from tests.chaos.calm import calm
from tests.chaos.compare import Differences
from tests.chaos.faults import Faults
from tests.chaos.mail import Doubts, compare_mail
from tests.chaos.schedule import Fault, Mode, schedule
from tests.chaos.sender import AS_IT_WAS, Pace, Sender
from tests.chaos.smtp_server import SmtpServer
from tests.chaos.stage import PACE, SECRETS, Stage, furnish
from tests.chaos.tables import compare_all
from tests.chaos.topics import compare_topics
from tests.chaos.traffic import Act, Size, acts, total
from tests.contract.mortal_postgres import MortalPostgres

LOOK_EVERY_S = 0.05
SAY_EVERY_S = 10.0
LAG_MAX_EVENTS = 20_000  # then the sender waits for the readers
# How far the slowest reader is behind ingest, in outbox rows.
LAG = """
SELECT (SELECT last_value FROM ingest.outbox_id_seq) - least(
    (SELECT max(id) FROM segmentation.marks WHERE topic = $1), (SELECT max(id) FROM journeys.marks WHERE topic = $1),
    (SELECT max(id) FROM loyalty.marks WHERE topic = $1))
"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run."""

    mode: Mode
    seed: int
    size: Size
    faults: int
    pace: Pace
    olist: Path | None
    calm_s: float  # longest wait for everything to be done, at the end of an act


@dataclass
class Report:
    """What came of it."""

    mode: Mode
    seed: int
    events: int = 0
    repeated: int = 0
    retries: int = 0
    killed: int = 0
    seconds: float = 0.0
    struck: Counter[str] = field(default_factory=Counter)
    ended_alone: Counter[str] = field(default_factory=Counter)
    differences: list[Differences] = field(default_factory=list)
    doubts: Doubts | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled or changed; nor undecidable, which both runs may have agreed on."""
        letters = sum(found.rows for found in self.differences if found.table.endswith("dead letters"))
        return bool(self.differences) and not letters and all(found.none for found in self.differences)


async def run(plan: Plan, say: Say) -> Report:
    """Both runs and the comparison. Raises NotCalm when something is never done."""
    began = perf_counter()
    report = Report(plan.mode, plan.seed)
    play = await asyncio.to_thread(acts, plan.size, plan.seed, plan.olist)
    report.events = total(play)
    say(f"seed {plan.seed}, {plan.mode}: {report.events:,} events in {len(play)} acts, {plan.faults} faults")
    folder = memory.folder()
    try:
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.TaskGroup() as tasks:  # the cluster starts while the undisturbed run is under way
                opening = tasks.create_task(stack.enter_async_context(Stage.open(plan.mode, folder)))
                wanted = await stack.enter_async_context(undisturbed(play, plan, say))
            stage = opening.result()
            await stage.furnish()
            await _disturbed(stage, play, plan, report, say)
            say("everything is done; comparing")
            await _compare(stage, wanted, report)
    finally:
        report.seconds = perf_counter() - began
        if report.holds:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            say(f"the logs are kept in {folder}")
    return report


@contextlib.asynccontextmanager
async def undisturbed(play: Sequence[Act], plan: Plan, say: Say) -> AsyncIterator[str]:
    """The same acts, each event once and in order, on one process and the PostgreSQL bus; the database it came to."""
    began = perf_counter()
    postgres = await MortalPostgres.born()
    try:
        keys = await furnish(postgres)
        async with SmtpServer().listening() as smtp:
            given = {name.removeprefix("REGULARS_").lower(): value for name, value in {**PACE, **SECRETS}.items()}
            given |= {"database": postgres.dsn.replace("postgres@", "", 1), "admin_database": postgres.dsn}
            given |= {"smtp_url": f"smtp://127.0.0.1:{smtp.port}"}
            for act in play:
                settings = load_settings(**given, port=free_port(), clock=f"frozen:{act.at.isoformat()}")
                settings = settings.model_copy(update={"ingest_url": f"http://127.0.0.1:{settings.port}"})
                async with running(build_house(settings), ALL, "Regulars undisturbed") as url:
                    await Sender(url, keys, plan.seed, AS_IT_WAS).play(act.lines)
                    await calm(postgres.dsn, act.at, kafka=False, hurry=_nothing, timeout_s=plan.calm_s, say=say)
        say(f"undisturbed: {perf_counter() - began:.1f} s")
        yield postgres.dsn
    finally:
        await postgres.bury()


async def _disturbed(stage: Stage, play: Sequence[Act], plan: Plan, report: Report, say: Say) -> None:
    sender = Sender(stage.url, stage.keys, plan.seed, plan.pace)
    faults = Faults(stage, sender, say)
    to_come = list(schedule(plan.seed, plan.mode, plan.faults))
    ends = 0
    for number, act in enumerate(play, start=1):
        await stage.at(act.at)
        ends += len(act.lines)
        last = number == len(play)
        its = [fault for fault in to_come if last or fault.at * report.events < ends]
        del to_come[: len(its)]
        say(f"act {number}: {len(act.lines):,} events, {len(its)} faults, the shop's time is {act.at:%Y-%m-%d %H:%M}")
        async with asyncio.TaskGroup() as keeping:
            orchestrator = keeping.create_task(stage.orchestrate())
            brake = keeping.create_task(_brake(stage, sender, faults, report.events, say))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(sender.play(act.lines))
                tasks.create_task(_strike_in_time(its, faults, sender, report.events))
            say(f"act {number}: all events are accepted, all faults healed")
            await calm(stage.postgres.dsn, act.at, stage.cluster is not None, stage.hurry, plan.calm_s, say)
            say(f"act {number}: everything is done")
            orchestrator.cancel()
            brake.cancel()
    report.repeated, report.retries, report.killed = sender.repeated, sender.retries, stage.killed
    report.struck, report.ended_alone = faults.struck, stage.ended_alone


async def _strike_in_time(its: Sequence[Fault], faults: Faults, sender: Sender, events: int) -> None:
    """Each fault when so much is sent."""
    async with asyncio.TaskGroup() as tasks:
        for fault in its:
            while sender.sent < fault.at * events:  # noqa: ASYNC110 - a count that grows all the time
                await asyncio.sleep(LOOK_EVERY_S)  # waits: for the sender to come so far
            tasks.create_task(faults.strike(fault))


async def _brake(stage: Stage, sender: Sender, faults: Faults, events: int, say: Say) -> None:
    """Holds the sender while the readers are far behind, and says how it goes."""
    said_at = perf_counter()
    while True:
        await asyncio.sleep(1.0)  # waits: a look every second
        try:
            connection = await asyncpg.connect(stage.postgres.dsn)
            try:
                lag = int(await connection.fetchval(LAG, "ingest.events.v1") or 0)
            finally:
                connection.terminate()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            continue  # it was killed
        if lag > LAG_MAX_EVENTS:
            sender.held.clear()
        else:
            sender.held.set()
        if perf_counter() - said_at > SAY_EVERY_S:
            said_at = perf_counter()
            struck = sum(faults.struck.values())
            say(f"      {sender.sent:,} of {events:,} events sent, {struck} faults, {stage.killed} kills, lag {lag:,}")


async def _compare(stage: Stage, wanted: str, report: Report) -> None:
    got, there = await asyncpg.connect(stage.postgres.dsn), await asyncpg.connect(wanted)
    try:
        report.differences = await compare_all(got, there)
        found, report.doubts = await compare_mail(got, stage.smtp.took)
        report.differences.append(found)
        if stage.cluster is not None:
            report.differences += await compare_topics(stage.cluster.bootstrap, got)
    finally:
        await got.close()
        await there.close()


async def _nothing() -> None:
    """Nobody dies here, so nothing has to be hurried."""
