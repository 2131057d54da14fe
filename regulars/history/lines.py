"""The lines of an import: events as a sender writes them, and what closes a customer's history."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from common.contracts.envelope import Data, Event
from common.contracts.ingest import HistoryEnded


class Line(NamedTuple):
    """One event as it is sent; `place` says which row of which file it was made of, if of any."""

    body: bytes
    place: tuple[int, int] | None = None  # file (0 is the first), line (1 is the first)


def lines(events: Sequence[Event[Data]], import_id: str) -> Iterator[Line]:
    """The events as a sender would write them, each customer's closed by one history.ended: right behind the last,
    since until then the customer is in the past, and what happens live meanwhile tells nobody anything."""
    last = {event.customer_id: event.id for event in events}
    for event in events:
        said = {"id": event.id, "source": event.source, "type": event.data.TYPE, "subject": event.customer_id}
        yield Line(msgspec.json.encode(said | {"data": event.data, "time": event.occurred_at}))
        if last[event.customer_id] == event.id:
            yield Line(closing(f"{import_id}:{event.customer_id}", {"subject": event.customer_id}))


def closing(event_id: str, whose: Mapping[str, Any]) -> bytes:
    """The end of one customer's history; `whose` are the names, as they stand in a sender's event."""
    said: dict[str, Any] = {"id": event_id, "source": "import", "type": HistoryEnded.TYPE, "data": HistoryEnded()}
    return msgspec.json.encode({**said, **whose})


def as_sent(
    event_id: str, source: str, kind: str, time: datetime, data: Mapping[str, Any], whose: Mapping[str, Any]
) -> bytes:
    """An event as a sender would write it."""
    return msgspec.json.encode({"id": event_id, "source": source, "type": kind, "time": time, "data": data, **whose})
