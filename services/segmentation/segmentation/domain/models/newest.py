"""The newest of a customer's records, as models count them: a threshold is looked for from the newest back.

Where something takes so many records, the one that completes them says when it ends: once that one is out of the
window. So a class costs as many records as its threshold asks for, however many there are.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from segmentation.domain.person import Person
from segmentation.domain.records import MAX_RECORDS, NOTHING, Record

DAY = timedelta(days=1)


def newest(person: Person, kind: str, at: datetime, window: timedelta) -> Iterator[Record]:
    """The records of a kind within the window that ends at `at`, newest first; one as old as the window is out."""
    since = at - window
    for record in reversed(person.series.get(kind, NOTHING).records):
        if record.at <= since:
            return
        yield record


def newest_of(
    person: Person, kinds: Iterable[str], at: datetime, window: timedelta, most: int = MAX_RECORDS
) -> Sequence[tuple[str, Record]]:
    """The same of several kinds, each record with its kind, but of each kind the newest `most` at the most."""
    since = at - window
    found: list[tuple[str, Record]] = []
    for kind in kinds:
        if records := person.series.get(kind, NOTHING).records:
            found += [(kind, record) for record in records[-most:] if record.at > since]
    found.sort(key=_at, reverse=True)
    return found


def _at(found: tuple[str, Record]) -> datetime:
    return found[1].at


def ever(person: Person, *kinds: str) -> bool:
    """Whether there was any of these kinds."""
    return any(series.records or series.before for series in (person.series.get(kind, NOTHING) for kind in kinds))
