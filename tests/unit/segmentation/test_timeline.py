"""Events and facts of a customer by time, a page at a time: nothing twice, nothing left out, newest first."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from segmentation.customers.timeline import Entry, Position, events, merged
from segmentation.domain.profile.records import Record, Series

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def fact(number: int, minute: int) -> Entry:
    return Entry(at(minute), "segment.entered", f"f{number}", {}, fact=(at(minute), number))


def test_what_was_told_follows_what_it_was_told_of() -> None:
    series = {"visit": Series((Record(at(1), "v1"), Record(at(5), "v2"))), "purchase": Series((Record(at(5), "o1"),))}
    page = merged(events(series, Position()), [fact(2, 5), fact(1, 0)], 10)
    assert [entry.id for entry in page] == ["f2", "v2", "o1", "v1", "f1"]


def test_an_event_that_comes_late_does_not_come_twice_on_later_pages() -> None:
    series = {"visit": Series(tuple(Record(at(minute), f"v{minute}") for minute in (1, 3, 5)))}
    first = merged(events(series, Position()), [], 2)
    late = Series((*series["visit"].records, Record(at(4), "late")))
    rest = events({"visit": late}, Position().after(first))
    assert [entry.id for entry in (*first, *rest)] == ["v5", "v3", "v1"]


@given(
    st.dictionaries(st.sampled_from(["visit", "purchase", "share"]), st.lists(st.integers(0, 20), max_size=12)),
    st.lists(st.integers(0, 20), max_size=12),
    st.integers(1, 5),
)
def test_pages_put_together_are_everything(happened: dict[str, list[int]], told: list[int], limit: int) -> None:
    series = {
        kind: Series(tuple(Record(at(minute), str(number)) for number, minute in enumerate(minutes)))
        for kind, minutes in happened.items()
    }
    facts = [fact(number, minute) for number, minute in enumerate(sorted(told))]
    position, shown = Position(), list[Entry]()
    while True:
        before = position.fact
        left = sorted(
            (f for f in facts if before is None or (f.fact or before) < before), key=lambda f: f.fact or (f.at, 0)
        )
        page = merged(events(series, position), left[::-1][: limit + 1], limit + 1)
        shown += page[:limit]
        position = position.after(page[:limit])
        if len(page) <= limit:
            break
    assert [entry.at for entry in shown] == sorted((entry.at for entry in shown), reverse=True)
    kinds = sorted((entry.type, entry.id) for entry in shown)
    wanted = [(kind, str(number)) for kind, minutes in happened.items() for number in range(len(minutes))]
    assert kinds == sorted(wanted + [("segment.entered", f"f{number}") for number in range(len(told))])
