"""`regulars demo`: a shop on an accelerated clock, over HTTP, watched live, and checked at the end."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from time import perf_counter
from typing import Any

import asyncpg
import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from common.clock import RealClock
from common.house import House, running, until_stopped
from common.settings import load_settings
from regulars.defaults import DEFAULT_SHOP
from regulars.demo.checks import Check, checks
from regulars.demo.shop import DAY, DAYS, HAPPENED, Sent, expect, plan
from regulars.drain import drained
from regulars.home import Home, admin_of, write_closed
from regulars.openers import ALL

RUN_S = 54.0  # for all days; a shop's day is under a second
FACTOR = DAYS * DAY.total_seconds() / RUN_S
BATCH_EVENTS = 100
SEND_EVERY_S = 0.05
LOOK_EVERY_S = 1.0
TICK_MS = 100  # how late an alarm may be, which at this speed is hours of the shop's time; what it does is the same
DRAIN_TIMEOUT_S = 60.0
LATEST = "SELECT max((convert_from(body, 'UTF8')::json ->> 'receivedat')::timestamptz) FROM ingest.outbox"

console = Console()


class Progress:
    """How far the demo came: kept in its folder, so that it goes on where it was."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Clears the folder of a demo that is over or of another seed. ValueError when something else stands in it."""
        self._path = folder / "demo.json"
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        if not known and folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty and holds no demo; name another folder with --data")
        if known.get("seed") != seed or known.get("over"):
            with Home(folder).taken():  # not under the feet of one that is still up
                rmtree(folder)
            known = {"seed": seed, "opened": _opening().isoformat(), "sent": 0, "offset_s": 0.0}
        self._known: dict[str, Any] = known
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    @property
    def opened(self) -> datetime:
        """When the shop opened, in its own time."""
        return datetime.fromisoformat(self._known["opened"])

    @property
    def sent(self) -> int:
        """Events of the plan sent so far."""
        return int(self._known["sent"])

    @property
    def reached(self) -> datetime:
        """The shop's time when this was last saved."""
        return self.opened + timedelta(seconds=self._known["offset_s"])

    def save(self, sent: int, now: datetime, over: bool = False) -> None:
        """Writes it down."""
        self._known |= {"sent": sent, "offset_s": (now - self.opened).total_seconds(), "over": over}
        self._write()

    def _write(self) -> None:
        """Whole or not at all."""
        write_closed(self._path, json.dumps(self._known).encode())


def _opening() -> datetime:
    """So that the last day of the demo is today."""
    return RealClock().now().replace(hour=0, minute=0, second=0, microsecond=0) - DAY * (DAYS - 1)


async def demo(folder: Path, seed: int, leave: bool) -> int:
    """Runs it; with `leave`, returns 0 if all checks hold, else 1; without, stays up until Ctrl-C."""
    settings = load_settings()
    if settings.database or settings.kafka:
        raise ValueError("the demo has a database and a clock of its own: unset REGULARS_DATABASE and REGULARS_KAFKA")
    home, progress, sent = Home(folder), Progress(folder, seed), plan(seed)
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(home.database(settings))
        told: dict[str, Any] = {"database": place.database, "admin_database": place.admin_database}
        clock = _clock(progress, await _latest(admin_of(place)))
        house = await stack.enter_async_context(
            home.house(port=0, clock=clock, tick_ms=TICK_MS, tick_idle_ms=TICK_MS, **told)
        )
        key = await home.owner_key(admin_of(house.settings), DEFAULT_SHOP)
        async with running(house, ALL, "Regulars demo") as url, asyncio.TaskGroup() as tasks:
            stopped = tasks.create_task(until_stopped())
            run = tasks.create_task(_run(house, url, key, progress, sent))
            await asyncio.wait((stopped, run), return_when=asyncio.FIRST_COMPLETED)
            if not run.done():
                run.cancel()
                console.print("Stopped; start it again and it goes on where it was.")
                return 130
            found = run.result()
            _conclude(found)
            if not leave:
                _say_where(url, key)
                await stopped
            stopped.cancel()
    return 0 if all(check.holds for check in found) else 1


async def _latest(admin_database: str) -> datetime | None:
    """The shop's time that ingest wrote down last."""
    connection = await asyncpg.connect(admin_database)
    try:
        if await connection.fetchval("SELECT to_regclass('ingest.outbox')") is None:
            return None
        latest: datetime | None = await connection.fetchval(LATEST)
        return latest
    finally:
        await connection.close()


def _clock(progress: Progress, latest: datetime | None) -> str:
    """Fast until the demo's last day is over. Begun again it goes on after all that was ever written, which is later
    than what was saved: at this speed a stop takes hours, and a watermark once given must hold."""
    begins = max(progress.reached, latest or progress.reached)
    times = (begins, RealClock().now(), max(begins, progress.opened + DAY * DAYS))
    return f"accelerated:{FACTOR}@" + "@".join(time.isoformat() for time in times)


async def _run(house: House, url: str, key: str, progress: Progress, sent: list[Sent]) -> list[Check]:
    answers: dict[str, int] = {}
    async with httpx.AsyncClient(base_url=url, headers={"X-API-Key": key}, timeout=30) as client:
        with Live(console=console, refresh_per_second=4) as live:
            looked_at = 0.0
            for batch in _batches(progress.sent, sent):
                early = progress.opened + batch[-1].at - house.clock.now()
                await asyncio.sleep(max(0.0, early.total_seconds() / FACTOR))
                for status, count in (await _post(client, batch, progress.opened)).items():
                    answers[status] = answers.get(status, 0) + count
                progress.save(progress.sent + len(batch), house.clock.now())
                if perf_counter() - looked_at > LOOK_EVERY_S:
                    live.update(await _look(client, progress, answers, len(sent), house.clock.now()))
                    looked_at = perf_counter()
            closing = progress.opened + DAY * DAYS - house.clock.now()
            await asyncio.sleep(max(0.0, closing.total_seconds() / FACTOR))
            if not await drained(admin_of(house.settings), DRAIN_TIMEOUT_S):
                raise ValueError(
                    f"not everything was decided within {DRAIN_TIMEOUT_S:.0f} s; start the demo again to go on"
                )
            live.update(await _look(client, progress, answers, len(sent), house.clock.now()))
    until = house.clock.now()  # on a slow machine later than the last day: events are decided when they are received
    found = await checks(admin_of(house.settings), house.shops, DEFAULT_SHOP, sent, expect(sent), until)
    progress.save(len(sent), house.clock.now(), over=True)
    return found


def _batches(start: int, sent: list[Sent]) -> list[list[Sent]]:
    """What falls into the same moment of the sender goes together."""
    moment = timedelta(seconds=SEND_EVERY_S * FACTOR)
    batches: list[list[Sent]] = []
    for one in sent[start:]:
        if batches and one.at - batches[-1][0].at < moment and len(batches[-1]) < BATCH_EVENTS:
            batches[-1].append(one)
        else:
            batches.append([one])
    return batches


async def _post(client: httpx.AsyncClient, batch: list[Sent], opened: datetime) -> Mapping[str, int]:
    events = [dict(one.event) for one in batch]
    for event in events:
        if (happened := event.pop(HAPPENED, None)) is not None:
            event["time"] = (opened + happened).astimezone(UTC).isoformat()
    response = await client.post("/v1/events", json=events)
    response.raise_for_status()
    answer = response.json()
    return {status: int(answer[status]) for status in ("accepted", "duplicate", "rejected")}


async def _look(
    client: httpx.AsyncClient, progress: Progress, answers: Mapping[str, int], planned: int, now: datetime
) -> Table:
    segments = (await client.get("/v1/segments")).json()
    tiers = (await client.get("/v1/tiers")).json()["tiers"]
    stats = (await client.get("/v1/messages/stats")).json()["items"]
    audit = (await client.get("/v1/ledger/audit")).json()
    table = Table(title=f"Day {(now - progress.opened).days + 1} of the shop: {now:%Y-%m-%d %H:%M}", show_header=False)
    table.add_row("events sent", f"{progress.sent:,} of {planned:,}")
    table.add_row("answered", ", ".join(f"{count:,} {status}" for status, count in answers.items()))
    for segment in segments:
        if segment["kind"] == "grid" and segment["customers"]:
            table.add_row(segment["name"], f"{segment['customers']:,} customers")
    table.add_row("tiers", ", ".join(f"{count:,} {tier}" for tier, count in tiers.items()))
    issued, reversed_ = audit["points_issued"], audit["points_reversed"]
    table.add_row("points", f"{issued:,} earned - {reversed_:,} reversed = {audit['balances']:,} on accounts")
    for row in stats:
        table.add_row(f"{row['journey']}/{row['step']} ({row['channel']})", f"{row['count']:,} {row['status']}")
    return table


def _conclude(found: list[Check]) -> None:
    console.print()
    table = Table("", "checked", "found")
    for check in found:
        table.add_row("[green]holds[/]" if check.holds else "[red]FAILS[/]", check.what, check.found)
    console.print(table)


def _say_where(url: str, key: str) -> None:
    """Only where it stays up: in a moment nobody would answer there."""
    console.print(f"API and its documentation   {url}/docs   (key: {key})", soft_wrap=True)
    console.print(f"Messages that would have left   {url}/mailbox?key={key}", soft_wrap=True)
    console.print(f"A customer   curl -H 'X-API-Key: {key}' {url}/v1/customers/c0000", soft_wrap=True)
    console.print(f"Metrics   {url}/metrics", soft_wrap=True)
