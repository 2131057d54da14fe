"""`regulars import`: a history into a system that runs, here or elsewhere, or into one run just for this."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console

from common.house import running
from regulars import history
from regulars.drain import drained
from regulars.histories import read
from regulars.home import Home, admin_of
from regulars.services import ALL

DECIDE_TIMEOUT_S = 1_800.0

console = Console()


def import_history(
    kind: str, path: Path, folder: Path, until: datetime | None, orders: int | None, elsewhere: tuple[str, str] | None
) -> Coroutine[Any, Any, None]:
    """Into the system `elsewhere` (URL, API key), the one that runs on the folder, or one run just for this.

    With `until` it is that last one, on a clock frozen there: afterwards it shows the shop at that moment.
    """
    events = read(kind, path, until, orders)
    home = Home(folder)
    cursor = history.Cursor(folder, kind, events, until, elsewhere[0] if elsewhere else "")
    lines = list(history.lines(events, cursor.id))
    console.print(f"{len(events):,} events; {cursor.load():,} of {len(lines):,} lines were taken before")
    return _send_and_decide(home, lines, cursor, events[0].shop_id, until, elsewhere)


async def _send_and_decide(
    home: Home,
    lines: list[bytes],
    cursor: history.Cursor,
    shop_id: str,
    until: datetime | None,
    elsewhere: tuple[str, str] | None,
) -> None:
    try:
        if elsewhere is not None:
            _report(await history.send(*elsewhere, lines, cursor))
        elif (told := home.running()) is not None and until is None:
            owner = await home.owner_key(told.admin_database, shop_id)
            _report(await history.send(told.url, owner, lines, cursor))
            await _until_decided(told.admin_database)
        else:
            clock = f"frozen:{until.astimezone(UTC).isoformat()}" if until else "real"
            async with home.house(port=0, clock=clock) as house, running(house, ALL, "Regulars import") as own_url:
                owner = await home.owner_key(admin_of(house.settings), shop_id)
                _report(await history.send(own_url, owner, lines, cursor))
                await _until_decided(admin_of(house.settings))
    except asyncio.CancelledError:
        console.print("Stopped; the same import again goes on where it was.")
        raise


async def _until_decided(admin_database: str) -> None:
    began = perf_counter()
    if not await drained(admin_database, DECIDE_TIMEOUT_S):
        raise ValueError(f"not everything was decided within {DECIDE_TIMEOUT_S:.0f} s; see dead-letters list and logs")
    console.print(f"Everything is decided ({perf_counter() - began:.1f} s after the last line was taken).")


def _report(counts: dict[str, int]) -> None:
    console.print(", ".join(f"{count:,} {status}" for status, count in counts.items()))
