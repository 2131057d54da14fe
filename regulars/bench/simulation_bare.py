"""The ceilings of `simulation`: a loop over the same events with a sum per customer and one timer each; and reading
the same files with nothing but the csv module and `datetime.fromisoformat`."""

import csv
from collections.abc import Iterable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from pathlib import Path

from common.contracts.envelope import Data, Event

WAIT = timedelta(days=30)
TIME_CHARS = len("2017-06-01 12:00:00")
Totals = dict[str, tuple[int, int]]  # customer -> events, minor units


def live(events: Iterable[Event[Data]], at: datetime) -> tuple[Totals, int]:
    """What the events come to, and how many timers went off: one per customer, set at the first event."""
    totals: Totals = {}
    timers: list[tuple[datetime, str]] = []
    fired = 0
    for event in events:
        now, customer_id = event.received_at, event.customer_id
        while timers and timers[0][0] < now:
            heappop(timers)
            fired += 1
        if customer_id not in totals:
            totals[customer_id] = (0, 0)
            heappush(timers, (now + WAIT, customer_id))
        count, total = totals[customer_id]
        amount = getattr(event.data, "amount", None)
        totals[customer_id] = (count + 1, total + (amount.amount_minor if amount is not None else 0))
    while timers and timers[0][0] <= at:
        heappop(timers)
        fired += 1
    return totals, fired


def read(folder: Path) -> int:
    """How many times stand in the files: each is something that happened."""
    times = 0
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    if len(cell) == TIME_CHARS and cell[4] == "-":
                        datetime.fromisoformat(cell)
                        times += 1
    return times
