"""`regulars simulate`: reads the history, lives through it, writes the answers."""

import gc
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from common.house import GC_THRESHOLDS
from common.settings import load_settings
from common.shops import load_shops
from regulars.answer import summary, write_customers, write_json
from regulars.histories import read
from regulars.simulation import Simulation

console = Console()
notes = Console(stderr=True)  # what is printed may be piped on: it is the answer and nothing else


def simulate(
    kind: str, path: Path, at: datetime | None, orders: int | None, json: Path | None, customers: Path | None
) -> None:
    """Without `at`, up to the last event."""
    gc.set_threshold(*GC_THRESHOLDS)  # a history is millions of small objects that all stay
    began = time.perf_counter()
    notes.print(f"Reading {path} ...")
    events = read(kind, path, at, orders)
    read_s = time.perf_counter() - began
    answer = Simulation(load_shops(load_settings().shops)).run(events, at or events[-1].occurred_at.astimezone(UTC))
    ran_s = time.perf_counter() - began - read_s
    if json is not None:
        write_json(answer, json)
    if customers is not None:
        write_customers(answer, customers)
    if json is None and customers is None:
        console.print_json(data=summary(answer))
    notes.print(
        f"{len(events):,} events of {len(answer.customers):,} customers: read in {read_s:.1f} s, "
        f"lived through in {ran_s:.1f} s ({len(events) / ran_s:,.0f} events/s)"
    )
