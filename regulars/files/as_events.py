"""Files with a mapping as the events themselves: what `regulars simulate` lives through."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console

from common.clock import RealClock
from common.contracts.envelope import Data, Event
from common.contracts.ingest import OF_THE_EDGE
from common.settings import load_settings
from common.shops import load_shops
from ingest.classes.finding import Classes
from ingest.domain.accept import Accepted
from ingest.domain.telling_classes import ToldOf
from regulars.files import mapping as mappings
from regulars.files.reading import Reading
from regulars.files.refusals import Report
from regulars.files.telling import Teller, person_of

OF_THE_EDGE_TYPES = {data.TYPE for data in OF_THE_EDGE}


def events_of(
    files: Sequence[Path], named: str, shop_id: str, until: datetime | None, console: Console
) -> tuple[list[Event[Data]], int]:
    """All events up to and including `until`, oldest first, each once, and how many rows were refused; ValueError when
    there is no event. Whoever has no id of the sender's is known by the names given."""
    mapping = mappings.load(named)
    if wrong := sorted(OF_THE_EDGE_TYPES & {rule.type for rule in mapping.rules}):
        raise ValueError(f"{mapping.name} cannot be simulated: {', '.join(wrong)} is settled by a running system")
    now = RealClock().now()
    teller = Teller(mapping, shop_id, now, historic=True)
    classes = Classes.of(load_shops(load_settings().shops))
    told = ToldOf({}, now)
    found: dict[str, Event[Data]] = {}
    report_path = Path(f"{mapping.name}.refused.ndjson")
    with Report(report_path, files, False) as report, Reading(files, mapping, teller, report, until) as reading:
        reading.read(console)
        for line in reading.lines(None):
            taken = teller.taken(line.body)
            assert isinstance(taken, Accepted), "it was taken before"
            person = taken.event.customer_id or person_of(taken)
            if taken.event.id in found:
                continue
            (whole,) = classes.found([taken])
            event = replace(whole.event, historic=False, customer_id=person)
            for each in told.hear(replace(whole, event=event)):
                found[each.event.id] = each.event
        if report.rows:
            console.print(f"{report.rows:,} rows refused; where and why: {report.path}")
    if not found:
        raise ValueError(f"nothing happened in {', '.join(map(str, files))}")
    return list(found.values()), report.rows
