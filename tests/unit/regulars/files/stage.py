"""A mapping and a file, read: what they come to."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from regulars.files.mapping import FileMapping, parse
from regulars.files.reading import Reading
from regulars.files.refusals import Report
from regulars.files.telling import Teller

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SILENT = Console(quiet=True)

ORDERS = """
format: csv
currency: EUR
zone: Europe/Berlin
columns:
  at: {column: day, type: time}
  price: money
time: at
person: {subject: "{who}"}
events:
  - {type: order.paid, id: "{nr}", data: {order_id: "{nr}", amount: "{price}"}}
"""


def mapped(text: str = ORDERS, **changes: Any) -> FileMapping:
    """The mapping that the YAML says; `changes` are further lines of it, as YAML values."""
    lines = "".join(f"{name}: {json.dumps(value)}\n" for name, value in changes.items())
    mapping = parse(text + lines, "test")
    assert isinstance(mapping, FileMapping), mapping
    return mapping


class Came(list[dict[str, Any]]):
    """The events in the order in which they are sent, and beside them what else there is to say."""

    refused: list[dict[str, Any]]
    ends: list[dict[str, Any]]
    reading: Reading


def came(
    mapping: FileMapping,
    folder: Path,
    *files: str | bytes | Path,
    historic: bool = True,
    until: datetime | None = None,
) -> Came:
    """The files written into the folder and read."""
    paths = [_written(folder, number, content) for number, content in enumerate(files)]
    report_path = folder / "refused.ndjson"
    teller = Teller(mapping, "demo", NOW, historic)
    with Report(report_path, paths, False) as report, Reading(paths, mapping, teller, report, until) as reading:
        reading.read(SILENT)
        bodies = [json.loads(line.body) for line in reading.lines("i1")]
        events = Came(body for body in bodies if body["type"] != "history.ended")
        events.ends = [body for body in bodies if body["type"] == "history.ended"]
        events.reading = reading
        assert bodies == [json.loads(line.body) for line in reading.lines("i1")], "each time the same"
    lines: Sequence[str] = report_path.read_text().splitlines() if report_path.exists() else ()
    events.refused = [json.loads(line) for line in lines]
    return events


def _written(folder: Path, number: int, content: str | bytes | Path) -> Path:
    if isinstance(content, Path):
        return content
    path = folder / f"{number}.file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
