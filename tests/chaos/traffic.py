"""What is sent: a history and a shop's live events, cut into acts, each at one moment of the shop's own clock.

The clock stands still in an act and moves on between two. So every event is stamped with the same time whatever dies
meanwhile, and outcomes can be compared to the last byte; what falls due between two acts goes off in the later one,
by alarms, among that act's events and faults.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

from regulars.demo import shop as demo_shop
from regulars.history import olist
from regulars.history.lines import lines
from tests.chaos.schedule import Mode

AT = datetime.fromisoformat("2018-09-01T00:00:00-03:00").astimezone(UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Between acts: past the reminders of 5 minutes, an hour and a day, the limits of lifecycle, the gift after 30 days.
PAUSES = (2 * HOUR, 31 * DAY, 15 * timedelta(minutes=1), 16 * DAY, DAY + HOUR, 61 * DAY)
LIVE_SHOP = "demo"
IMPORT = "chaos"


@dataclass(frozen=True, slots=True)
class Line:
    """One event as it goes over the wire."""

    shop_id: str
    customer_id: str
    historic: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Act:
    """What is sent while the clock stands at one moment, in this order."""

    at: datetime
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Size:
    """How much: orders of the history (None: all of it), or how many plans of the demo's where it is invented; plans
    of the live traffic; customers of a plan; acts."""

    orders: int | None
    invented: int
    live: int
    customers: int
    acts: int
    pauses: tuple[timedelta, ...] = PAUSES


SHORT = Size(orders=250, invented=2, live=1, customers=60, acts=2, pauses=(31 * DAY,))
FULL = {
    Mode.KAFKA: Size(orders=None, invented=110, live=5, customers=demo_shop.CUSTOMERS, acts=7),
    Mode.ONE_PROCESS: Size(orders=10_000, invented=15, live=1, customers=demo_shop.CUSTOMERS, acts=3),
}


def acts(size: Size, seed: int, folder: Path | None) -> tuple[Act, ...]:
    """The whole play. The history is Olist's where its folder is, else one that the demo's shop lived through."""
    plans = range(size.live + size.invented)
    live = [list(_live(seed + number, f"s{number}", size.customers)) for number in plans[: size.live]]
    past = (
        [_olist(folder, size.orders)]
        if folder is not None
        else [list(_invented(seed + number, f"h{number}", size.customers)) for number in plans[size.live :]]
    )
    times = [AT]
    for pause in islice(cycle(size.pauses), size.acts - 1):
        times.append(times[-1] + pause)
    parts = zip(*(_cut(lines, size.acts) for lines in (*past, *live)), strict=True)
    return tuple(Act(at, [line for part in act for line in part]) for at, act in zip(times, parts, strict=True))


def _olist(folder: Path, orders: int | None) -> list[Line]:
    events = olist.read(folder, AT, orders)
    bodies = (line.body for line in lines(events, IMPORT))
    return [Line(olist.SHOP, json.loads(body)["subject"], historic=True, body=body) for body in bodies]


def _invented(seed: int, prefix: str, customers: int) -> Iterator[Line]:
    """The demo's plan as the history of other customers, who ordered in the days before; each closed by its end."""
    opened = AT - DAY * demo_shop.DAYS
    sent = _others(seed, prefix, customers)
    last = {one.event["subject"]: number for number, one in enumerate(sent)}
    for number, (at, event) in enumerate(sent):
        happened = event.pop(demo_shop.HAPPENED, at)
        event["time"] = (opened + happened).isoformat()
        yield _line(event, historic=True)
        if last[event["subject"]] == number:
            customer_id = event["subject"]
            ended = {"id": f"{IMPORT}:{customer_id}", "source": "import", "type": "history.ended"}
            yield _line(ended | {"subject": customer_id, "data": {}}, historic=True)


def _live(seed: int, prefix: str, customers: int) -> Iterator[Line]:
    """Each event happens when it is received."""
    for _, event in _others(seed, prefix, customers):
        event.pop(demo_shop.HAPPENED, None)
        yield _line(event, historic=False)


def _others(seed: int, prefix: str, customers: int) -> list[demo_shop.Sent]:
    """So many customers of the demo's plan, repeats and all, under names of their own."""
    some = (one for one in demo_shop.plan(seed) if int(one.event["subject"][1:]) < customers)
    return demo_shop.renamed(some, f"{prefix}-")


def _line(event: dict[str, Any], *, historic: bool) -> Line:
    return Line(LIVE_SHOP, event["subject"], historic, json.dumps(event, ensure_ascii=False).encode())


def _cut(lines: Sequence[Line], count: int) -> list[Sequence[Line]]:
    """Into so many parts that follow each other."""
    bounds = [len(lines) * number // count for number in range(count + 1)]
    return [lines[begin:end] for begin, end in pairwise(bounds)]


def total(play: Iterable[Act]) -> int:
    """Events in all acts."""
    return sum(len(act.lines) for act in play)
