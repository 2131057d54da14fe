"""Runs the benchmarks one after the other, and tells what they measured."""

import importlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from common.telemetry import logs
from regulars.bench import NAMES
from regulars.bench.figures import Figure, table
from regulars.bench.stage import Stage, stage

Measure = Callable[[Stage], Awaitable[list[Figure]]]
console = Console()


async def bench(names: Sequence[str], quick: bool, json: Path | None) -> None:
    """All benchmarks, or those named; ValueError for one that is not there."""
    if unknown := [name for name in names if name not in NAMES]:
        raise ValueError(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    logs.configure("error", "console")
    if json is not None:
        json.write_bytes(b"[]")  # told at once where it cannot be written, not after all the work
    figures: list[Figure] = []
    for name in names or NAMES:
        console.print(f"[dim]{name} ...")
        measure: Measure = importlib.import_module(f"regulars.bench.{name}").measure
        async with stage(quick) as ours:  # servers of its own: nothing of one benchmark is in the way of the next
            measured = await measure(ours)
        if measured:
            console.print(table(measured))
        figures += measured
        if json is not None:  # after each: an interrupted run keeps what it has
            json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    if len(names) != 1:
        console.rule()
        console.print(table(figures))
    console.print("[dim]ratio: the part of the ceiling that was reached; of a time, the ceiling is the least it can be")
    if quick:
        console.print("[dim]--quick shows that everything runs: so little work says nothing about how fast it is")
