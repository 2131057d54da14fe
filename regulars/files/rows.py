"""The rows of a file, whatever its format: only the cells a mapping needs, as text, with the line they stand on."""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from common.contracts.envelope import Rejection
from regulars.files.columns import text_of
from regulars.files.mapping import FileMapping
from regulars.files.unfit import Unfit

Cells = tuple[str | None, ...]
WHITESPACE = "whitespace"  # as a delimiter: any number of blanks
LINE_MAX_BYTES = 5_000_000
PARQUET_ROWS_AT_ONCE = 10_000
ROWS_BETWEEN_PROGRESS = 1_000
EXPLODED_MAX = 10_000
COLUMNS_NAMED = 30  # of a file that lacks some

_OBJECT = msgspec.json.Decoder(dict[str, Any], float_hook=str)  # a number's digits, as they stand


class FileFault(ValueError):
    """A file that cannot be read at all."""


class Unit(NamedTuple):
    """A row, or the rows that `explode` makes of one; or why it can not be read."""

    line: int  # the first is 1; of a Parquet file, the row
    rows: Sequence[Cells] | Rejection


def units(path: Path, mapping: FileMapping, progress: Callable[[int], None]) -> Iterator[Unit]:
    """All of a file; `progress` is told the bytes read. Raises FileFault, or OSError."""
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        if mapping.format == "parquet":
            yield from _parquet(path, raw, mapping, progress)
            return
        unpacked = stack.enter_context(_unpacked(path, raw))
        read = _csv if mapping.format == "csv" else _ndjson
        try:
            for number, unit in enumerate(read(path, unpacked, mapping)):
                if not number % ROWS_BETWEEN_PROGRESS:
                    progress(raw.tell())
                yield unit
        except (EOFError, zlib.error) as error:
            raise FileFault(f"{path.name} is cut off or damaged: {error}") from None


def _unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if path.suffix == ".zst":
        arrow = _pyarrow(path)
        return io.BufferedReader(arrow.CompressedInputStream(arrow.PythonFile(raw), "zstd"))
    return raw


def _pyarrow(path: Path, module: str = "pyarrow") -> Any:
    try:
        return import_module(module)  # an extra, for those who need it
    except ImportError:
        raise FileFault(f"{path.name} needs pyarrow: pip install 'regulars[parquet]'") from None


def _csv(path: Path, file: IO[bytes], mapping: FileMapping) -> Iterator[Unit]:
    try:
        text = io.TextIOWrapper(file, encoding=mapping.encoding, errors="surrogateescape", newline="")
    except LookupError:
        raise FileFault(f"{mapping.name}: no encoding {mapping.encoding!r}") from None
    with text:
        yield from _records(path, text, mapping)


def _records(path: Path, text: io.TextIOWrapper, mapping: FileMapping) -> Iterator[Unit]:
    how = mapping.csv
    for _ in range(how.skip_lines):
        text.readline()
    rows = _split(text, how.delimiter, how.quote, how.skip_lines)
    header: Sequence[str] = how.header or ()
    if how.header is None:
        _, first = next(rows, (0, None))
        if not isinstance(first, list):
            raise FileFault(f"{path.name} has no header")
        header = [name.strip() for name in first]
    at = _places(path, header, mapping)
    for line, row in rows:
        if isinstance(row, Rejection):
            yield Unit(line, row)
        elif len(row) != len(header):
            yield Unit(line, Rejection("$", f"has {len(row)} of {len(header)} columns"))
        else:
            yield Unit(line, (tuple(row[index] for index in at),))


def _split(
    text: io.TextIOWrapper, delimiter: str, quote: str, skipped: int
) -> Iterator[tuple[int, list[str] | Rejection]]:
    """Rows that are not empty, each with the line it begins on."""
    if delimiter == WHITESPACE:
        yield from ((line, cells) for line, each in enumerate(text, skipped + 1) if (cells := each.split()))
        return
    try:
        reader = csv.reader(
            text, delimiter=delimiter, quotechar=quote or None, quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
        )
    except TypeError as error:
        raise FileFault(f"the mapping's csv: {error}") from None
    ended = 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield skipped + ended + 1, Rejection("$", f"is no CSV: {error}")
            ended = reader.line_num
            continue
        if row is None:
            return
        if row:
            yield skipped + ended + 1, row
        ended = reader.line_num


def _places(path: Path, header: Sequence[str], mapping: FileMapping) -> list[int]:
    if lacking := [name for name in mapping.layout.cells if name not in header]:
        has = ", ".join(header[:COLUMNS_NAMED])
        raise FileFault(f"{path.name} has no column {', '.join(lacking)}; what it has: {has}")
    return [list(header).index(name) for name in mapping.layout.cells]


def _ndjson(_: Path, file: IO[bytes], mapping: FileMapping) -> Iterator[Unit]:
    number = 0
    while line := file.readline(LINE_MAX_BYTES + 1):
        number += 1
        line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if len(line) > LINE_MAX_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_MAX_BYTES)
            yield Unit(number, Rejection("$", f"larger than {LINE_MAX_BYTES} bytes"))
        elif line.strip():
            yield Unit(number, _of_json(line, mapping))


def _of_json(line: bytes, mapping: FileMapping) -> Sequence[Cells] | Rejection:
    try:
        return _exploded(_OBJECT.decode(line), mapping)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Rejection("$", "is no JSON object")


def _exploded(row: Mapping[str, Any], mapping: FileMapping) -> Sequence[Cells] | Rejection:
    """One row, or with `explode` one for each element of the list there: as if its fields were the row's."""
    try:
        if mapping.explode is None:
            return (_cells(row, mapping),)
        elements = _found(row, mapping.explode)
        if elements is None or elements == []:
            return (_cells(row, mapping),)
        if not isinstance(elements, list) or len(elements) > EXPLODED_MAX:
            return Rejection("$.explode", f"is no list of at most {EXPLODED_MAX} elements")
        return [_cells({**row, mapping.explode: element}, mapping) for element in elements]
    except Unfit as fault:
        return Rejection(fault.path, fault.reason)


def _cells(row: Mapping[str, Any], mapping: FileMapping) -> Cells:
    found: list[str | None] = []
    for name in mapping.layout.cells:
        try:
            found.append(text_of(_found(row, name)))
        except Unfit as fault:
            raise Unfit(f"$.columns.{name}", fault.reason) from None
    return tuple(found)


def _found(row: Any, name: str) -> Any:
    """A field by its name, or by a path with dots into objects."""
    if not isinstance(row, Mapping):
        return None
    if name in row:
        return row[name]
    dots = [number for number, letter in enumerate(name) if letter == "."]
    heads = ((name[:dot], name[dot + 1 :]) for dot in reversed(dots) if name[:dot] in row)
    head, rest = next(heads, (None, ""))
    return None if head is None else _found(row[head], rest)


def _parquet(path: Path, raw: IO[bytes], mapping: FileMapping, progress: Callable[[int], None]) -> Iterator[Unit]:
    arrow = _pyarrow(path)
    try:
        file = _pyarrow(path, "pyarrow.parquet").ParquetFile(raw)
        has = file.schema_arrow.names
        wanted = {*mapping.layout.cells, *((mapping.explode,) if mapping.explode else ())}
        heads = {name: next((top for top in has if name == top or name.startswith(f"{top}.")), None) for name in wanted}
        if lacking := sorted(name for name, top in heads.items() if top is None):
            raise FileFault(f"{path.name} has no column {', '.join(lacking)}; what it has: {', '.join(has)}")
        line, size, rows = 0, path.stat().st_size, max(1, file.metadata.num_rows)
        for batch in file.iter_batches(PARQUET_ROWS_AT_ONCE, columns=sorted(filter(None, {*heads.values()}))):
            for row in batch.to_pylist():
                line += 1
                yield Unit(line, _exploded(row, mapping))
            progress(size * line // rows)
    except arrow.ArrowException as error:
        raise FileFault(f"{path.name} is no Parquet file, or a damaged one: {error}") from None
