"""Files read whole: rows into groups, groups into events, events in the order in which they happened.

In memory are two buffers of `sorting.MEMORY_BYTES`, one group, and some 150 bytes per customer, however long the files.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from rich.console import Console

from common.contracts.envelope import Rejection
from regulars.files.columns import Value
from regulars.files.mapping import FileMapping
from regulars.files.records import Record, Rows
from regulars.files.refusals import Report
from regulars.files.rows import Cells, units
from regulars.files.sorting import Entry, Sorter, together
from regulars.files.telling import Teller, Told
from regulars.files.unfit import Unfit
from regulars.history.lines import Line, closing
from regulars.history.progress import Bar

GROUP_ROWS_MAX = 10_000
BLOCK_BYTES = 1 << 20
ALONE = "\0"  # in front of where a row stands, which no number or name begins with
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Place = tuple[int, int]  # file, line
OnTold = Callable[[Told], None]

_CELLS = msgspec.msgpack.Decoder(list[Cells])


def content(files: Sequence[Path], mapping: FileMapping, shop_id: str) -> Iterator[bytes]:
    """What the events follow from: the same content, the same import."""
    yield f"{mapping.name} {shop_id} ".encode() + mapping.content
    for path in files:
        digest = sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
        yield digest.digest()


class Reading:
    """The files' events, as a context. `lines` come in order of time, each time the same."""

    def __init__(
        self, files: Sequence[Path], mapping: FileMapping, teller: Teller, report: Report, until: datetime | None
    ) -> None:
        self._files, self._mapping, self._teller, self._report = files, mapping, teller, report
        self._until = until
        self._events = Sorter()
        self._people: dict[str, bytes] = {}
        self.rows = self.left_out = self.silent = self.later = 0
        self.by_type: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.close()

    @property
    def people(self) -> int:
        """How many customers are named."""
        return len(self._people)

    @property
    def events(self) -> int:
        """How many events there are, repeats among them."""
        return self._events.count

    def read(self, console: Console, on_told: OnTold = lambda _: None) -> None:
        """All files, once. What cannot be told goes to the report."""
        if self._mapping.group:
            with Sorter() as rows:
                self._gather(console, rows)
                for group, besides in together(rows, GROUP_ROWS_MAX):
                    self._tell_group(group, besides, on_told)
            return
        for place, unit in self._units(console):
            self._tell(place, [(place, record) for record in unit], on_told)

    def lines(self, import_id: str | None) -> Iterator[Line]:
        """The events; with an import's id, then the end of each customer's history: after all events, since the same
        person may be named otherwise in a later one."""
        events = (Line(body, (int(key[1]), int(key[2]))) for key, body in self._events)
        if import_id is None:
            return events
        ends = (
            Line(closing(f"{import_id}:{person}", msgspec.json.decode(whose))) for person, whose in self._people.items()
        )
        return chain(events, ends)

    def _units(self, console: Console) -> Iterator[tuple[Place, list[Record]]]:
        """What can be read and is to be kept."""
        before, total = 0, sum(path.stat().st_size for path in self._files)
        with Bar(console, "Reading", total, "bytes") as bar:
            for number, path in enumerate(self._files):
                for unit in units(path, self._mapping, lambda done, before=before: bar.update(before + done)):  # type: ignore[misc]
                    self.rows += 1
                    place = (number, unit.line)
                    if isinstance(unit.rows, Rejection):
                        self._report.refuse(place, unit.rows)
                    elif kept := self._kept(place, [Record(self._mapping.layout, cells) for cells in unit.rows]):
                        yield place, kept
                before += path.stat().st_size
                bar.update(before)

    def _kept(self, place: Place, records: list[Record]) -> list[Record]:
        keep = self._mapping.keep
        try:
            kept = [record for record in records if keep is None or keep(record)]
        except Unfit as fault:
            self._report.refuse(place, Rejection(fault.path, fault.reason))
            return []
        self.left_out += not kept
        return kept

    def _gather(self, console: Console, rows: Sorter) -> None:
        """Rows by what groups them, then by where they stand."""
        for place, unit in self._units(console):
            try:
                values = [unit[0].value(name) for name in self._mapping.group]
            except Unfit as fault:
                self._report.refuse(place, Rejection(fault.path, fault.reason))
                continue
            alone = None in values  # what has nothing to be grouped by
            key = [f"{ALONE}{place}"] * len(values) if alone else [str(value) for value in values]
            try:
                rows.add((*key, *place), msgspec.msgpack.encode([record.cells for record in unit]))
            except UnicodeEncodeError:
                self._report.refuse(place, Rejection("$", "is not text of the file's encoding"))

    def _tell_group(self, group: Sequence[Entry], besides: int, on_told: OnTold) -> None:
        places = [(int(key[-2]), int(key[-1])) for key, _ in group]
        if besides:
            much = Rejection("$.group", f"has more than {GROUP_ROWS_MAX} rows")
            self._report.refuse(places[0], much, len(group) + besides)
            return
        records = [
            (place, Record(self._mapping.layout, cells))
            for place, (_, packed) in zip(places, group, strict=True)
            for cells in _CELLS.decode(packed)
        ]
        self._tell(min(places), records, on_told)

    def _tell(self, place: Place, records: Sequence[tuple[Place, Record]], on_told: OnTold) -> None:
        try:
            rows = Rows(self._mapping.layout, self._once([record for _, record in records]))
            told = self._teller.tell(rows)
        except Unfit as fault:
            at = next((where for where, record in records if record is fault.record), place)
            of_rows = len({where for where, _ in records})
            self._report.refuse(at, Rejection(fault.path, fault.reason), of_rows)
            return
        self.silent += not told
        for rank, one in enumerate(told):
            event = one.taken.event
            if self._until is not None and event.occurred_at > self._until:
                self.later += 1
                continue
            self._events.add(((event.occurred_at - EPOCH) // MICROSECOND, *place, rank), one.body)
            self._people.setdefault(one.person, msgspec.json.encode(one.whose))
            self.by_type[event.type] += 1
            on_told(one)

    def _once(self, records: list[Record]) -> list[Record]:
        """Rows of a group that stand in two files, or twice in one, once."""
        if not self._mapping.once:
            return records
        first: dict[tuple[Value, ...], Record] = {}
        for record in records:
            first.setdefault(tuple(record.value(name) for name in self._mapping.once), record)
        return list(first.values())
