"""`regulars import` of files with a mapping: as history, or with --live as what happens now."""

from collections import Counter
from collections.abc import Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from common.clock import RealClock
from common.contracts.envelope import Rejection
from common.settings import load_settings
from common.shops import load_shops
from regulars.asking import Elsewhere
from regulars.files import mapping as mappings
from regulars.files.mapping import BadMapping, FileMapping
from regulars.files.reading import Reading, content
from regulars.files.refusals import Report
from regulars.files.telling import Teller, Told
from regulars.history.cursor import Cursor
from regulars.history.into_system import Import, into_system, say
from regulars.history.lines import Line
from regulars.home import Home

SOME_REFUSED = 3  # exit status: everything went in but rows that the report names
REASONS_SHOWN = 5
EVENTS_SHOWN = 3
HIDDEN = "..."

console = Console(soft_wrap=True, markup=False, highlight=False)


def import_files(
    files: Sequence[Path],
    named: str,
    shop_id: str,
    folder: Path,
    live: bool,
    until: datetime | None,
    elsewhere: Elsewhere | None,
    report_to: Path | None,
) -> Coroutine[Any, Any, int]:
    """Where it goes is said in `into_system`; only one that goes on a system of this machine knows its shops here."""
    mapping = mappings.load(named)
    if elsewhere is None:
        of_shop(mapping, shop_id)
    name = f"{mapping.name}-{shop_id}{'-live' if live else ''}"
    cursor = Cursor(
        folder, name, content(files, mapping, shop_id), until, elsewhere.address_of("ingest") if elsewhere else ""
    )
    return _import(files, mapping, shop_id, Home(folder), live, until, elsewhere, cursor, report_to)


async def _import(
    files: Sequence[Path],
    mapping: FileMapping,
    shop_id: str,
    home: Home,
    live: bool,
    until: datetime | None,
    elsewhere: Elsewhere | None,
    cursor: Cursor,
    report_to: Path | None,
) -> int:
    taken = cursor.load()
    teller = Teller(mapping, shop_id, RealClock().now(), historic=not live)
    path = report_to or cursor.path.with_suffix(".refused.ndjson")
    with Report(path, files, taken > 0) as report, Reading(files, mapping, teller, report, until) as reading:
        reading.read(console)
        _say(reading)
        ends = 0 if live else reading.people
        total = reading.events + ends
        say(reading.events, ends, taken)

        def refused(line: Line, rejection: Rejection) -> None:
            if line.place is not None:
                report.refuse(line.place, rejection, by="system")

        what = Import(_Lines(reading, None if live else cursor.id), total, cursor, shop_id, not live, refused)
        if not total and not report.rows:
            raise ValueError(f"nothing happened in {', '.join(map(str, files))}")
        if total:
            await into_system(home, what, until, elsewhere)
        return _say_refused(report)


class _Lines:
    """A reading's lines, from their beginning whenever they are asked for."""

    def __init__(self, reading: Reading, import_id: str | None) -> None:
        self._reading, self._import_id = reading, import_id

    def __iter__(self) -> Any:
        return self._reading.lines(self._import_id)


def check_files(files: Sequence[Path], named: str, shop_id: str, live: bool, report_to: Path | None) -> int:
    """Reads everything and sends nothing: what it comes to, and the first events without their personal data."""
    mapping = mappings.load(named)
    teller = Teller(mapping, shop_id, RealClock().now(), historic=not live)
    shown: list[bytes] = []
    seen: set[tuple[str, str]] = set()
    amounts: Counter[str] = Counter()
    repeats = 0

    def look(told: Told) -> None:
        nonlocal repeats
        event = told.taken.event
        if len(shown) < EVENTS_SHOWN:
            shown.append(_hidden(told.body))
        key = (event.type, event.id)
        repeats += key in seen
        if key not in seen:
            seen.add(key)
            amount = getattr(event.data, "amount", None)
            amounts[event.type] += amount.amount_minor if amount is not None else 0

    path = report_to or Path(f"{mapping.name}.refused.ndjson")
    with Report(path, files, False) as report, Reading(files, mapping, teller, report, None) as reading:
        reading.read(console, look)
        _say(reading)
        for kind, count in sorted(Counter(kind for kind, _ in seen).items()):
            money = f", {amounts[kind]:,} {mapping.currency} in minor units" if amounts[kind] else ""
            console.print(f"  {kind}: {count:,}{money}")
        console.print(f"  repeats, which count once: {repeats:,}")
        for body in shown:
            console.print_json(body.decode())
        return _say_refused(report)


def of_shop(mapping: FileMapping, shop_id: str) -> None:
    """Raises BadMapping where the shop is not there, or has another currency."""
    shops = load_shops(load_settings().shops)
    if shop_id not in shops:
        raise BadMapping(f"no shop {shop_id!r}; there are {', '.join(sorted(shops))} (REGULARS_SHOPS names the file)")
    if mapping.currency not in (None, shops[shop_id].currency):
        raise BadMapping(
            f"{mapping.name}: $.currency: is {mapping.currency}, but shop {shop_id} is in {shops[shop_id].currency}"
        )


def _say(reading: Reading) -> None:
    console.print(
        f"{reading.rows:,} rows: {reading.left_out:,} left out by `keep`, {reading.silent:,} told nothing; "
        f"{reading.people:,} customers" + (f"; {reading.later:,} events after --until" if reading.later else "")
    )


def _say_refused(report: Report) -> int:
    if not report.rows:
        return 0
    console.print(f"{report.rows:,} rows refused; where and why: {report.path}")
    for reason, count in report.reasons.most_common(REASONS_SHOWN):
        console.print(f"  {count:,} x {reason}")
    return SOME_REFUSED


def _hidden(body: bytes) -> bytes:
    said = msgspec.json.decode(body)
    if "personal" in said:
        said["personal"] = dict.fromkeys(said["personal"], HIDDEN)
    return msgspec.json.encode(said)
