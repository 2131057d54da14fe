"""The newest of a customer's records, as models count them: a threshold is looked for from the newest back.

Where something takes so many records, the one that completes them says when it ends: once that one is out of the
window. So a class costs as many records as its threshold asks for, however many there are.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter

from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import MAX_RECORDS, NOTHING, Record

_AT = attrgetter("at")


def after(records: Sequence[Record], since: datetime) -> Sequence[Record]:
    """Those of the records, which stand in their order, that are later than that."""
    if not records or records[0].at > since:
        return records
    return records[bisect_right(records, since, key=_AT) :]


def newest(person: Person, kind: str, at: datetime, window: timedelta) -> Sequence[Record]:
    """The records of a kind within the window that ends at `at`, newest first; one as old as the window is out."""
    return after(person.series.get(kind, NOTHING).records, at - window)[::-1]


def newest_of(
    person: Person, points: Mapping[str, int], at: datetime, window: timedelta, most: int = MAX_RECORDS
) -> Sequence[tuple[datetime, int, Record]]:
    """The same of several kinds, each record with its time and the points of its kind, but of each kind the newest
    `most` at the most."""
    since = at - window
    found: list[tuple[datetime, int, Record]] = []
    for kind, each in points.items():
        if records := person.series.get(kind, NOTHING).records:
            found += [(record.at, each, record) for record in after(records[-most:], since)]
    found.sort(key=itemgetter(0), reverse=True)
    return found


def ever(person: Person, *kinds: str) -> bool:
    """Whether there was any of these kinds."""
    for kind in kinds:
        series = person.series.get(kind, NOTHING)
        if series.records or series.before:
            return True
    return False
