"""The newest of a customer's records, as models count them: a threshold is looked for from the newest back.

Where something takes so many records, the one that completes them says when it ends: once that one is out of the
window. So a class costs as many records as its threshold asks for, however many there are.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from heapq import merge

from segmentation.domain.person import Person
from segmentation.domain.records import NOTHING, Record

DAY = timedelta(days=1)


def newest(person: Person, kind: str, at: datetime, window: timedelta) -> Iterator[Record]:
    """The records of a kind within the window that ends at `at`, newest first; one as old as the window is out."""
    since = at - window
    for record in reversed(person.series.get(kind, NOTHING).records):
        if record.at <= since:
            return
        yield record


def newest_of(person: Person, kinds: Iterable[str], at: datetime, window: timedelta) -> Iterator[tuple[str, Record]]:
    """The same of several kinds, each record with its kind."""
    each = [_with_kind(kind, newest(person, kind, at, window)) for kind in kinds]
    return merge(*each, key=lambda found: found[1].at, reverse=True)


def _with_kind(kind: str, records: Iterator[Record]) -> Iterator[tuple[str, Record]]:
    return ((kind, record) for record in records)


def ever(person: Person, *kinds: str) -> bool:
    """Whether there was any of these kinds."""
    return any(series.records or series.before for series in (person.series.get(kind, NOTHING) for kind in kinds))
