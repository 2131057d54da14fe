"""What is remembered of one customer by time, newest first: the events that the profile holds one by one, and what
was told about the customer: segments entered and left, changes of lifecycle and RFM, warnings.

The events come out of the profile, at their own times; what was told comes out of the outbox, that of the ids that were
merged into the customer too: by their times, at one time in the order of telling. A page knows how far it came in each.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from segmentation.domain.profile.records import Record, Series

EventPlace = tuple[datetime, str, str]  # when, kind, name
FactPlace = tuple[datetime, int]  # when, and the id in the outbox


class Entry(Struct, frozen=True):
    """Something that happened or was told, as it is shown, and its place among its like."""

    at: datetime
    type: str
    id: str
    about: Mapping[str, Any]
    event: EventPlace | None = None
    fact: FactPlace | None = None
    told_of: str | None = None  # the id that a fact was told of


class Position(Struct, frozen=True):
    """The last event and the last fact that were shown; None where there is none yet."""

    event: EventPlace | None = None
    fact: FactPlace | None = None

    def after(self, shown: Sequence[Entry]) -> "Position":
        """Where these entries lead to."""
        event, fact = self.event, self.fact
        for entry in shown:
            event, fact = entry.event or event, entry.fact or fact
        return Position(event, fact)


def events(series: Mapping[str, Series], position: Position) -> list[Entry]:
    """Those that have not been shown yet, newest first."""
    before = position.event
    found = [
        (place, record)
        for kind, each in series.items()
        for record in each.records
        for place in ((record.at, kind, record.name),)
        if before is None or place < before
    ]
    return [_event(place, record) for place, record in sorted(found, key=lambda one: one[0], reverse=True)]


def merged(happened: Sequence[Entry], told: Sequence[Entry], limit: int) -> list[Entry]:
    """The newest of both, each in its own order; what was told follows what it was told of."""
    return list(_merged(list(reversed(happened)), list(reversed(told)), limit))


def _merged(happened: list[Entry], told: list[Entry], limit: int) -> Iterator[Entry]:
    for _ in range(limit):
        if told and (not happened or told[-1].at >= happened[-1].at):
            yield told.pop()
        elif happened:
            yield happened.pop()
        else:
            return


def _event(place: EventPlace, record: Record) -> Entry:
    return Entry(record.at, place[1], record.name, record.about, event=place)
