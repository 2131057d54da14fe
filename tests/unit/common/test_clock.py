"""The clock's three kinds and the setting that names them."""

from datetime import UTC, datetime, timedelta

import pytest

from common.clock import AcceleratedClock, FrozenClock, RealClock, parse_clock

NOON = datetime(2018, 9, 1, 15, tzinfo=UTC)


def test_the_real_clock_tells_aware_utc() -> None:
    clock = parse_clock("real")
    before = datetime.now(UTC)
    now = clock.now()
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC
    assert isinstance(clock, RealClock)


def test_a_frozen_clock_stands_still_in_utc() -> None:
    clock = parse_clock("frozen:2018-09-01T12:00:00-03:00")
    assert clock == FrozenClock(NOON)
    assert clock.now() == clock.now() == NOON
    assert clock.now().tzinfo is UTC


def test_an_accelerated_clock_multiplies_what_passed_on_the_wall() -> None:
    wall_start = datetime.now(UTC) - timedelta(minutes=1)
    clock = AcceleratedClock(86_400, NOON, wall_start)
    first, second = clock.now(), clock.now()
    assert NOON + timedelta(days=60) <= first <= second < NOON + timedelta(days=120)


def test_an_accelerated_clock_goes_on_at_the_machines_pace_from_its_end_on() -> None:
    wall_start = datetime.now(UTC) - timedelta(minutes=1)
    clock = AcceleratedClock(86_400, NOON, wall_start, until=NOON + timedelta(days=10))
    first, second = clock.now(), clock.now()
    assert NOON + timedelta(days=10, seconds=49) < first <= second < NOON + timedelta(days=10, minutes=2)
    assert parse_clock("accelerated:2@2024-01-01T00:00Z@2024-01-01T00:00Z@2024-01-02T00:00Z") == AcceleratedClock(
        2.0, datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)
    )


def test_an_accelerated_clock_is_read_from_its_setting() -> None:
    clock = parse_clock("accelerated:86400@2018-09-01T15:00:00Z@2024-01-01T08:00:00+08:00")
    assert clock == AcceleratedClock(86_400.0, NOON, datetime(2024, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "none of: real"),
        ("sundial", "none of: real"),
        ("real:now", "none of: real"),
        ("accelerated:60", "none of: real"),
        ("accelerated:60@2024-01-01T00:00:00Z", "none of: real"),
        ("frozen:", "''"),
        ("frozen:yesterday", "'yesterday'"),
        ("frozen:2018-09-01T00:00:00", "has no offset"),
        ("accelerated:fast@2024-01-01T00:00:00Z@2024-01-01T00:00:00Z", "'fast'"),
        ("accelerated:0@2024-01-01T00:00:00Z@2024-01-01T00:00:00Z", "factor 0 is not"),
        ("accelerated:nan@2024-01-01T00:00:00Z@2024-01-01T00:00:00Z", "factor nan is not"),
        ("accelerated:1e9@2024-01-01T00:00:00Z@2024-01-01T00:00:00Z", "factor 1e9 is not"),
        ("accelerated:60@2024-01-01T00:00:00@2024-01-01T00:00:00Z", "has no offset"),
    ],
)
def test_a_setting_that_names_no_clock_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".+") as refused:
        parse_clock(text)
    assert reason in str(refused.value)
