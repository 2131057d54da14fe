"""Where an import goes: a system that runs, here or elsewhere, or one run just for this."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter

from rich.console import Console

from common.house import running
from regulars.asking import Elsewhere
from regulars.drain import drained
from regulars.history.cursor import Cursor
from regulars.history.lines import Line
from regulars.history.sending import OnRefused, send
from regulars.home import Home, admin_of
from regulars.openers import ALL

DECIDE_TIMEOUT_S = 1_800.0

console = Console()


@dataclass(frozen=True)
class Import:
    """What is to be sent into a shop. The lines are the same, in the same order, however often they are asked for."""

    lines: Iterable[Line]
    total: int
    cursor: Cursor
    shop_id: str
    historic: bool = True
    on_refused: OnRefused = lambda *_: None


def say(events: int, ends: int, taken: int) -> None:
    """What there is to send, in numbers that add up to what is told of it at the end."""
    counted = f"{events:,} events" + (
        f" and {ends:,} ends of history, one per customer: {events + ends:,}" if ends else ""
    )
    console.print(f"{counted} to send; {taken:,} of them were taken before", soft_wrap=True)


async def into_system(home: Home, what: Import, until: datetime | None, elsewhere: Elsewhere | None) -> dict[str, int]:
    """Into the system `elsewhere`, the one that runs on the folder, or one run just for this.

    With `until` it is that last one, on a clock frozen there: afterwards it shows the shop at that moment.
    """
    try:
        if elsewhere is not None:
            return await _send((elsewhere.address_of("ingest"), elsewhere.key), what)
        if (told := home.running()) is not None and until is None:
            owner = await home.owner_key(told.admin_database, what.shop_id)
            counts = await _send((told.url, owner), what)
            await _until_decided(told.admin_database)
            return counts
        clock = f"frozen:{until.astimezone(UTC).isoformat()}" if until else "real"
        async with home.house(port=0, clock=clock) as house, running(house, ALL, "Regulars import") as own_url:
            owner = await home.owner_key(admin_of(house.settings), what.shop_id)
            counts = await _send((own_url, owner), what)
            await _until_decided(admin_of(house.settings))
            return counts
    except asyncio.CancelledError:
        console.print("Stopped; the same import again goes on where it was.")
        raise


async def _send(target: tuple[str, str], what: Import) -> dict[str, int]:
    counts = await send(target, what.lines, what.total, what.cursor, console, what.historic, what.on_refused)
    told = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    console.print(f"{sum(counts.values()):,} sent: {told}", soft_wrap=True)
    return counts


async def _until_decided(admin_database: str) -> None:
    began = perf_counter()
    if not await drained(admin_database, DECIDE_TIMEOUT_S):
        raise ValueError(f"not everything was decided within {DECIDE_TIMEOUT_S:.0f} s; see dead-letters list and logs")
    console.print(f"Everything is decided ({perf_counter() - began:.1f} s after the last line was taken).")
