"""`regulars simulate`: events per second through all decisions in virtual time, and of the whole command with files."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import msgspec

from common.shops import load_shops
from regulars.bench import simulation_bare
from regulars.bench.figures import Figure, rate
from regulars.bench.olist_folder import random_rows, write
from regulars.bench.stage import Stage
from regulars.history import olist
from regulars.history.answer import summary
from regulars.history.virtual_time import Simulation

ORDERS = 30_000  # give more than 100,000 events
SEED = 4
ROUNDS = 3
DEADLINE_S = 300.0


async def measure(stage: Stage) -> list[Figure]:
    """Turn by turn with the ceilings; the median of the rounds counts."""
    folder = await asyncio.to_thread(write, stage.folder / "olist", *random_rows(SEED, stage.amount(ORDERS)))
    return await asyncio.to_thread(_measure, folder)


def _measure(folder: Path) -> list[Figure]:
    events = olist.read(folder)
    at = events[-1].received_at
    simulation = Simulation(load_shops())
    people = len({event.customer_id for event in events})
    lived, bare, commanded, read = list[float](), list[float](), list[float](), list[float]()
    for _ in range(ROUNDS):
        began = perf_counter()
        answer = simulation.run(events, at)
        lived.append(perf_counter() - began)
        began = perf_counter()
        totals, fired = simulation_bare.live(events, at)
        bare.append(perf_counter() - began)
        told = folder.with_suffix(".json")
        commanded.append(_command(folder, told))
        began = perf_counter()
        times = simulation_bare.read(folder)
        simulation_bare.live(events, at)
        read.append(perf_counter() - began)
        if not len(answer.customers) == len(totals) == people or not 0 < fired <= people or times < people:
            raise AssertionError(f"{people} customers: {len(answer.customers)} lived, {len(totals)} in the bare loop")
        if msgspec.json.decode(told.read_bytes()) != msgspec.to_builtins(summary(answer)):
            raise AssertionError("the command answers otherwise than the simulation")
    count = len(events)
    history = f"{count:,} events of {people:,} customers on {os.cpu_count()} cores; median of {ROUNDS}"
    return [
        rate(
            "simulation",
            count / median(lived),
            "events/s",
            f"four services' decisions and timers, without reading files: {history}; ceiling: one loop with count, sum "
            "and one heap timer per customer",
            count / median(bare),
        ),
        rate(
            "simulation.command",
            count / median(commanded),
            "events/s",
            f"`regulars simulate olist` from its start to its end, files read and written: {history}; ceiling: the "
            "files through the csv module, their times parsed, and the same loop",
            count / median(read),
        ),
    ]


def _command(folder: Path, told: Path) -> float:
    """Seconds of the whole command."""
    began = perf_counter()
    command = [sys.executable, "-m", "regulars", "simulate", "olist", str(folder), "--json", str(told)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_S)
    if done.returncode != 0:
        raise RuntimeError(f"regulars simulate failed:\n{done.stderr}")
    return perf_counter() - began
