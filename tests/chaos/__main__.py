"""`make chaos`: the whole of it. Exit status 0 only when nothing was lost, doubled or changed."""

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from common.telemetry import logs
from regulars.history.olist import OlistError
from tests.chaos.mail import Doubts
from tests.chaos.run import Plan, Report, run
from tests.chaos.schedule import Mode, kills, schedule
from tests.chaos.sender import Pace
from tests.chaos.traffic import FULL, SHORT

console = Console()
INTERRUPTED = 130  # as shells tell a Ctrl-C
FULL_FAULTS = {Mode.KAFKA: 200, Mode.ONE_PROCESS: 48}
SHORT_FAULTS = 8
FULL_PACE, SHORT_PACE = Pace(1_500.0, 400), Pace(150.0, 40)
SHORT_CALM_S, FULL_CALM_S = 120.0, 600.0


def short_plan(mode: Mode, seed: int, olist: Path | None) -> Plan:
    """The short form, which `make test` runs."""
    return Plan(mode, seed, SHORT, SHORT_FAULTS, SHORT_PACE, olist, SHORT_CALM_S)


def plan_of(mode: Mode, options: argparse.Namespace) -> Plan:
    """What the command line asks for."""
    plan = (
        short_plan(mode, options.seed, options.olist)
        if options.short
        else Plan(mode, options.seed, FULL[mode], FULL_FAULTS[mode], FULL_PACE, options.olist, FULL_CALM_S)
    )
    size = replace(plan.size, orders=options.orders) if options.orders else plan.size
    return replace(plan, size=size, faults=options.faults or plan.faults)


def table_of(report: Report) -> Table:
    """What came of a run, for the eye."""
    title = (
        f"{report.mode}, seed {report.seed}: {report.events:,} events, {report.killed} kills, {report.seconds:.0f} s"
    )
    table = Table("", "rows", "lost", "doubled", "different", title=title)
    for found in report.differences:
        counts = [f"{number:,}" for number in (found.rows, found.lost, found.doubled, found.different)]
        table.add_row(found.table, *counts, style=None if found.none else "red")
    return table


def conclude(report: Report) -> str:
    """The rest of it, in words."""
    doubts = report.doubts or Doubts(0, 0, 0)
    return "\n".join(
        (
            *(example for found in report.differences for example in found.examples),
            f"faults: {', '.join(f'{count} {kind}' for kind, count in sorted(report.struck.items()))}",
            f"ended by themselves and started again: {dict(report.ended_alone) or 'none'}",
            f"sent twice on purpose: {report.repeated:,}; requests repeated after a fault: {report.retries:,}",
            f"e-mails in doubt, so failed: {doubts.in_doubt}, of which {doubts.arrived} did arrive",
            f"e-mails at least once that arrived again: {doubts.repeated}",
        )
    )


def again(mode: Mode, options: argparse.Namespace) -> str:
    """How to run the same schedule once more."""
    given = [f"--mode {mode}", f"--seed {options.seed}", *(["--short"] if options.short else [])]
    given += [f"--{name} {value}" for name in ("faults", "orders") if (value := getattr(options, name)) is not None]
    given += [f"--olist {options.olist}"] if options.olist else []
    return f"the same schedule once more: make chaos ARGS='{' '.join(given)}'"


def json_of(reports: list[Report]) -> str:
    """For machines."""
    return json.dumps([_plain(report) for report in reports], indent=2, ensure_ascii=False)


def _plain(report: Report) -> dict[str, Any]:
    tables = [
        {name: getattr(found, name) for name in ("table", "rows", "lost", "doubled", "different", "examples")}
        for found in report.differences
    ]
    doubts = asdict(report.doubts) if report.doubts else {}
    counts = {name: getattr(report, name) for name in ("mode", "seed", "events", "killed", "repeated", "retries")}
    counts |= {"seconds": round(report.seconds, 1), "faults": dict(report.struck), "ended": dict(report.ended_alone)}
    return {**counts, "holds": report.holds, "mail": doubts, "tables": tables}


async def chaos(options: argparse.Namespace) -> int:
    """Runs what is asked for, one after the other."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # what was started is ended with us
    began, reports = perf_counter(), []

    def say(text: str) -> None:
        console.print(f"[{perf_counter() - began:7.1f} s] {text}", highlight=False, markup=False, soft_wrap=True)

    for mode in options.mode or list(Mode):
        reports.append(await run(plan_of(Mode(mode), options), say))
        console.print(table_of(reports[-1]))
        console.print(conclude(reports[-1]), highlight=False, markup=False, soft_wrap=True)
        console.print(again(Mode(mode), options), highlight=False, markup=False, soft_wrap=True)
    if options.json:
        options.json.write_text(json_of(reports), encoding="utf-8")
    return 0 if all(report.holds for report in reports) else 1


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--mode", action="append", choices=[mode.value for mode in Mode], help="only this one (default: both)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of schedule and traffic; the same seed, the same faults")
    parser.add_argument("--short", action="store_true", help="a minute instead of twenty: what `make test` runs")
    parser.add_argument("--faults", type=_count, help="how many, instead of the form's own number")
    parser.add_argument("--olist", type=Path, metavar="FOLDER", help="its CSV files; without, a history is invented")
    parser.add_argument("--orders", type=_count, help="a sample of the history: whole customers with so many orders")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--plan", action="store_true", help="print the schedule and end")
    options = parser.parse_args()
    logs.configure("error", "console")
    if options.plan:
        for mode in options.mode or list(Mode):
            faults = schedule(options.seed, Mode(mode), plan_of(Mode(mode), options).faults)
            console.print(f"{mode}, seed {options.seed}: {len(faults)} faults, {kills(faults)} kills")
            console.print("\n".join(map(str, faults)), highlight=False)
        return
    try:
        status = asyncio.run(chaos(options))
    except KeyboardInterrupt:
        status = INTERRUPTED
    except OlistError as error:
        parser.error(str(error))
    sys.exit(status)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


if __name__ == "__main__":
    main()
