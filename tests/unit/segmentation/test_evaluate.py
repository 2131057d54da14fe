"""Answers to rules, by hand: edges of windows, summer time, what is not there, and until when each stays."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record, Series, Sums
from segmentation.domain.rules.evaluate import Answer, evaluate, lot
from segmentation.domain.rules.parse import Known, parse
from segmentation.domain.rules.windows import period_after, period_of

NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)  # a Wednesday
SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def ago(**length: float) -> datetime:
    return NOON - timedelta(**length)


def series(*times: datetime, **about: Any) -> Series:
    return Series(tuple(Record(at, f"e{number}", about) for number, at in enumerate(sorted(times))))


def asked(said: str, known: Person | None = None, at: datetime = NOON, **kinds: Series) -> Answer:
    """The kinds of events with _ for a dot."""
    rule = parse(yaml.safe_load(said), Known(frozenset({"vip"}), frozenset({"staff"}), SHANGHAI))
    assert not isinstance(rule, tuple), rule
    there = {kind.replace("_", "."): found for kind, found in kinds.items()}
    person = known or Person("shop", "c1", SHANGHAI, series=there)
    return evaluate(rule, person, at, {"vip": Answer("", holds=True, until=NOON + HOUR)})


def test_an_event_is_lost_the_moment_it_is_as_old_as_the_window() -> None:
    said = "{count: visit, over: 24h, op: gte, value: 1}"
    at = NOON + DAY
    assert asked(said, visit=series(NOON), at=at - timedelta(microseconds=1)).holds
    assert not asked(said, visit=series(NOON), at=at).holds
    assert asked(said, visit=series(NOON)) == Answer("$.in", True, at, 1, (Record(NOON, "e0"),))


def test_a_count_far_above_its_bound_wakes_nobody_before_it_turns() -> None:
    times = [ago(hours=hours) for hours in range(20)]
    answer = asked("{count: visit, over: 24h, op: gte, value: 3}", visit=series(*times))
    assert (answer.found, answer.until) == (20, ago(hours=2) + DAY)


def test_what_goes_at_one_moment_goes_together() -> None:
    times = [ago(hours=3), ago(hours=3), ago(hours=1)]
    answer = asked("{count: visit, over: 24h, op: eq, value: 2}", visit=series(*times))
    assert (answer.holds, answer.until) == (False, None)  # from three to one, never two


def test_sums_averages_and_distinct_values() -> None:
    bought = Series(
        (
            Record(ago(days=9), "o1", {"amount": 101, "items": ("a", "b")}),
            Record(ago(days=3), "o2", {"amount": 200, "pieces": 4, "items": ("b",)}),
            Record(ago(days=1), "o3", {"amount": 300, "pieces": 5, "items": ("c", "b")}),
        )
    )
    assert (
        asked("{sum: purchase.amount, over: 30d, op: gte, value: 501}", purchase=bought).until == ago(days=9) + 30 * DAY
    )
    assert asked("{average: purchase.amount, op: eq, value: 200}", purchase=bought).found == 200  # 601 / 3, down
    assert asked("{average: purchase.pieces, op: eq, value: 4}", purchase=bought).holds  # of those that have it
    assert asked("{average: purchase.amount, op: exists}", visit=bought).holds is False
    answer = asked("{distinct: purchase.items, over: 30d, op: gte, value: 3}", purchase=bought)
    assert (answer.found, answer.until) == (3, ago(days=9) + 30 * DAY)


def test_first_and_last() -> None:
    visits = series(ago(days=9), ago(days=3))
    first = asked("{first: visit, op: older_than, value: 10d}", visit=visits)
    assert (first.holds, first.found, first.until) == (False, ago(days=9), ago(days=9) + 10 * DAY)
    moving = asked("{first: visit, over: 10d, op: older_than, value: 5d}", visit=visits)
    assert (moving.holds, moving.until) == (True, ago(days=9) + 10 * DAY)  # then the first is the one 3 days ago
    last = asked("{last: visit, over: 7d, op: exists, value: false}", visit=visits)
    assert (last.holds, last.until) == (False, ago(days=3) + 7 * DAY)


def test_what_is_not_there_satisfies_only_that_it_is_not() -> None:
    for op in ("eq", "ne", "in", "not_in", "starts_with"):
        value = "[gold]" if "in" in op.split("_") else "gold"
        assert not asked(f"{{field: tier, op: {op}, value: {value}}}").holds
    assert not asked("{field: first_seen_at, op: younger_than, value: 1d}").holds
    assert asked("{field: tier, op: exists, value: false}").holds
    assert asked("{none: [{field: tier, op: eq, value: gold}]}").holds
    assert asked("{sum: purchase.amount, op: eq, value: 0}").holds  # a sum of nothing is there


def test_what_is_of_another_kind_is_never_equal() -> None:
    person = Person("shop", "c1", SHANGHAI, {"attributes.size": 3})
    assert not asked("{field: attributes.size, op: eq, value: '3'}", person).holds
    assert asked("{field: attributes.size, op: exists}", person).holds


def test_a_fact_ends_when_it_says_so_or_when_its_age_turns() -> None:
    facts = {"tier": "gold", "first_seen_at": ago(hours=5)}
    person = Person("shop", "c1", SHANGHAI, facts, ends={"tier": NOON + HOUR})
    answer = asked("{field: tier, op: eq, value: gold}", person)
    assert (answer.until, answer.turns) == (NOON + HOUR, False)
    answer = asked("{field: first_seen_at, op: older_than, value: 6h}", person)
    assert (answer.holds, answer.until, answer.turns) == (False, NOON + HOUR, True)


def test_then_not() -> None:
    said = "{then_not: {first: {of: order.placed, over: 7d}, not: {of: purchase}, within: 1h, same: order}}"

    def orders(**times: datetime) -> Series:
        return Series(tuple(Record(at, name, {"order": name}) for name, at in times.items()))

    placed = orders(o1=ago(hours=3), o2=ago(minutes=30))
    waiting = asked(said, order_placed=orders(o2=ago(minutes=30)))
    assert (waiting.holds, waiting.until) == (False, ago(minutes=30) + HOUR)
    unpaid = asked(said, order_placed=placed, purchase=orders(o2=ago(minutes=20)))
    assert (unpaid.holds, unpaid.found, unpaid.until) == (True, 1, ago(hours=3) + 7 * DAY)
    assert [record.name for record in unpaid.events] == ["o1"]
    both = asked(said, order_placed=placed)  # the second's stretch begins before the first's ends
    assert (both.holds, both.until) == (True, ago(minutes=30) + 7 * DAY)
    paid = asked(said, order_placed=placed, purchase=orders(o1=ago(hours=2), o2=ago(minutes=20)))
    assert (paid.holds, paid.until) == (False, None)  # at the very end of the hour is in time


def test_nothing_follows_itself() -> None:
    said = "{then_not: {first: {of: visit}, not: {of: visit}, within: 24h}}"
    assert asked(said, visit=series(ago(days=2))).holds
    assert asked(said, visit=series(ago(days=3), ago(days=2), ago(hours=30))).until is None
    assert not asked(said, visit=series(ago(hours=5))).holds


def test_a_calendar_week_ends_on_monday_in_the_shops_zone() -> None:
    answer = asked("{count: visit, over: {calendar: week}, op: gte, value: 1}", visit=series(ago(days=1)))
    assert (answer.holds, answer.until) == (True, datetime(2026, 5, 24, 16, tzinfo=UTC))  # Monday 00:00 in Shanghai
    assert not asked("{count: visit, over: {calendar: week}, op: gte, value: 1}", visit=series(ago(days=3))).holds


@pytest.mark.parametrize(
    ("zone", "at", "begins", "ends"),
    [
        ("Europe/Berlin", "2026-03-29T11:00+02:00", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),  # 23 hours
        ("Europe/Berlin", "2026-10-25T11:00+01:00", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),  # 25 hours
        ("America/Sao_Paulo", "2018-11-04T12:00-02:00", "2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00"),  # no 00:00
        ("America/Havana", "2026-11-01T12:00-05:00", "2026-11-01T00:00-04:00", "2026-11-02T00:00-05:00"),  # 00:00 twice
        ("Pacific/Apia", "2011-12-29T12:00-10:00", "2011-12-29T00:00-10:00", "2011-12-31T00:00+14:00"),  # no 30th
    ],
)
def test_days_over_summer_time(zone: str, at: str, begins: str, ends: str) -> None:
    found = datetime.fromisoformat(at)
    assert period_of(found, "day", ZoneInfo(zone)) == datetime.fromisoformat(begins)
    assert period_after(found, "day", ZoneInfo(zone)) == datetime.fromisoformat(ends)


def test_a_group_looks_ahead_where_one_part_does_not_settle_it() -> None:
    # The first turns false before the second turns true: both are never true, and the group says so.
    said = "all: [{last: visit, op: younger_than, value: 5h}, {last: visit, op: older_than, value: 6h}]"
    answer = asked(said, visit=series(NOON))
    assert (answer.holds, answer.until) == (False, None)
    said = "all: [{last: visit, op: younger_than, value: 6h}, {last: visit, op: older_than, value: 5h}]"
    answer = asked(said, visit=series(NOON))
    assert (answer.until, answer.turns) == (NOON + 5 * HOUR, True)


def test_another_segment_is_asked_again_when_it_changes() -> None:
    answer = asked("{segment: vip}")
    assert (answer.holds, answer.until, answer.turns) == (True, NOON + HOUR, False)


def test_lists_and_buckets() -> None:
    person = Person("shop", "c1", SHANGHAI, lists=frozenset({"staff"}))
    assert asked("{list: staff}", person).holds
    assert not asked("{list: staff}").holds
    drawn = lot("spring", "shop", "c1")
    assert asked(f"{{bucket: {{salt: spring, from: {drawn}, to: {drawn + 1}}}}}").holds
    lots = [lot("spring", "shop", f"c{number}") for number in range(2_000)]
    assert all(900 < sum(each < half for each in lots) < 1_100 for half in (50,))


def test_what_was_dropped_counts_where_no_filter_is_asked() -> None:
    before = Sums(100, ago(days=400), ago(days=20), {"amount": 5_000})
    known = Series((Record(ago(days=2), "o9", {"amount": 100}),), before)
    whole = asked("{sum: purchase.amount, op: gte, value: 5100}", purchase=known)
    assert (whole.holds, whole.exact_from) == (True, None)
    assert asked("{first: purchase, op: older_than, value: 300d}", purchase=known).holds
    since = asked("{count: purchase, over: {since: 2020-01-01}, op: eq, value: 101}", purchase=known)
    assert (since.holds, since.exact_from) == (True, None)
    assert asked("{count: purchase, over: 10d, op: eq, value: 1}", purchase=known).exact_from is None
    partly = asked("{count: purchase, over: 30d, op: eq, value: 1}", purchase=known)
    assert (partly.holds, partly.exact_from) == (True, ago(days=20))


def test_nothing_is_claimed_of_what_may_have_been_followed() -> None:
    said = "{then_not: {first: {of: order.placed}, not: {of: visit}, within: 1h}}"
    visits = Series((Record(ago(days=1), "v9"),), Sums(500, ago(days=9), ago(days=2)))
    answer = asked(said, visit=visits, order_placed=series(ago(days=5)))
    assert (answer.holds, answer.exact_from) == (False, ago(days=2))
    assert asked(said, visit=visits, order_placed=series(ago(days=5), ago(hours=3))).found == 1
