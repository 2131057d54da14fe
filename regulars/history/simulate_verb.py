"""`regulars simulate`: lives through a history that was read, writes the answers."""

import gc
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from common.contracts.envelope import Data, Event
from common.house import GC_THRESHOLDS
from common.settings import load_settings
from common.shops import load_shops
from regulars.files import mapping as mappings
from regulars.files.as_events import events_of
from regulars.files.import_files import SOME_REFUSED, of_shop
from regulars.history.answer import summary, write_customers, write_json
from regulars.history.ending import columns
from regulars.history.known import read
from regulars.history.segment_files import read_segment, rules_of
from regulars.history.virtual_time import Simulation

console = Console()
notes = Console(stderr=True)  # what is printed may be piped on: it is the answer and nothing else


def simulate(
    kind: str,
    path: Path,
    at: datetime | None,
    orders: int | None,
    json: Path | None,
    customers: Path | None,
    segments: Sequence[Path] = (),
) -> int:
    """A known data set; without `at`, up to its last event."""
    notes.print(f"Reading {path} ...")
    return _live(lambda: (read(kind, path, at, orders), 0), at, json, customers, segments)


def simulate_files(
    files: list[Path],
    mapping: str,
    shop_id: str,
    at: datetime | None,
    json: Path | None,
    customers: Path | None,
    segments: Sequence[Path] = (),
) -> int:
    """Files with a mapping; without `at`, up to their last event. Status SOME_REFUSED where rows were refused."""
    of_shop(mappings.load(mapping), shop_id)
    return _live(lambda: events_of(files, mapping, shop_id, at, notes), at, json, customers, segments)


def _live(
    read_all: Callable[[], tuple[list[Event[Data]], int]],
    at: datetime | None,
    json: Path | None,
    customers: Path | None,
    segments: Sequence[Path],
) -> int:
    simulation = Simulation(load_shops(load_settings().shops), keeps_ended=customers is not None)
    documents = {path: read_segment(path) for path in segments}  # a fault is told before the long reading
    gc.set_threshold(*GC_THRESHOLDS)  # a history is millions of small objects that all stay
    began = time.perf_counter()
    events, refused = read_all()
    read_s = time.perf_counter() - began
    book = simulation.rulebooks[events[0].shop_id]
    rules = rules_of(documents, book)
    answer = simulation.run(events, at or events[-1].occurred_at.astimezone(UTC))
    ran_s = time.perf_counter() - began - read_s
    if json is not None:
        write_json(answer, json)
    if customers is not None:
        write_customers(answer, customers, columns(answer.ended, book, rules, answer.at))
    if json is None and customers is None:
        console.print_json(data=summary(answer))
    notes.print(
        f"{len(events):,} events of {len(answer.customers):,} customers: read in {read_s:.1f} s, "
        f"lived through in {ran_s:.1f} s ({len(events) / ran_s:,.0f} events/s)"
    )
    return SOME_REFUSED if refused else 0
