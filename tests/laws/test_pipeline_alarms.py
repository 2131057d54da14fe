"""The alarm clock: every alarm before the watermark is claimed once, however few are claimed at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import alarms as alarm_clock
from common.alarms import BEGINNING, SWEEP_EVERY_S, Alarms
from common.clock import FrozenClock
from common.telemetry import metrics
from tests.laws.streams import START

PARTS = (0, 1, 2)
PATIENCE_S = 60.0
MINUTE = timedelta(minutes=1)
TIMES = st.integers(0, 30).map(lambda minutes: START + minutes * MINUTE)  # few, so that alarms fall together


@dataclass
class Table:
    """The alarms of customers as the database keeps them, and how often each went off."""

    alarms: Alarms
    pending: dict[int, list[tuple[datetime, int]]] = field(default_factory=lambda: {part: [] for part in PARTS})
    claimed: list[tuple[int, datetime, int]] = field(default_factory=list)
    number: int = 0

    def arm(self, part: int, wake_at: datetime) -> None:
        """A customer is saved with an alarm."""
        self.number += 1
        self.pending[part].append((wake_at, self.number))
        self.alarms.armed(part, wake_at)

    def claim(self, each: int, again: Callable[[datetime], datetime | None] = lambda _: None) -> int:
        """Claims as the road does: of each partition the earliest between floor and watermark, at most `each`."""
        windows = self.alarms.windows()
        last: dict[int, datetime] = {}
        for part, (floor, watermark) in windows.items():
            found = sorted(one for one in self.pending[part] if floor <= one[0] < watermark)[:each]
            for wake_at, number in found:
                self.pending[part].remove((wake_at, number))
                self.claimed.append((part, wake_at, number))
                last[part] = wake_at
                if (later := again(watermark)) is not None:
                    self.arm(part, later)
        self.alarms.claimed(windows, last)
        return len(last)

    def drain(self, each: int) -> None:
        """Claims until nothing is found; a claim may find nothing and still move the floor."""
        while self.alarms.windows():
            self.claim(each)


def holding(parts: tuple[int, ...] = PARTS) -> Alarms:
    alarms = Alarms("toy", FrozenClock(START), PATIENCE_S)
    alarms.hold(parts)
    return alarms


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.sampled_from(PARTS), TIMES),
        st.tuples(st.just("hear"), st.sampled_from(PARTS), TIMES),
        st.tuples(st.just("claim"), st.integers(1, 3), st.sampled_from([None, 0, 3])),
    ),
    max_size=40,
)


@given(STEPS, st.integers(1, 3))
def test_every_alarm_before_the_watermark_goes_off_exactly_once(
    steps: list[tuple[str, int, object]], each: int
) -> None:
    table = Table(holding())
    watermarks = dict.fromkeys(PARTS, BEGINNING)
    for kind, number, what in steps:
        if kind == "arm":
            assert isinstance(what, datetime)
            table.arm(number, what)
        elif kind == "hear":
            assert isinstance(what, datetime)
            table.alarms.hear({number: what})
            watermarks[number] = max(watermarks[number], what)
        else:
            minutes = what if isinstance(what, int) else None
            table.claim(number, lambda now, more=minutes: None if more is None else now + more * MINUTE)  # type: ignore[misc]
        for part, (floor, watermark) in table.alarms.windows().items():
            assert watermark == watermarks[part]
            missed = [wake_at for wake_at, _ in table.pending[part] if wake_at < floor]
            assert not missed, "the floor passed an alarm that nobody claimed"
    table.drain(each)
    for part in PARTS:
        assert all(wake_at >= watermarks[part] for wake_at, _ in table.pending[part])
    assert len({number for *_, number in table.claimed}) == len(table.claimed)
    assert all(wake_at < watermarks[part] for part, wake_at, _ in table.claimed)


def test_more_alarms_at_one_moment_than_are_claimed_at_once() -> None:
    """A quarter's end: everybody's timer is due at the same instant."""
    table = Table(holding())
    for _ in range(10):
        table.arm(1, START)
    table.alarms.hear({1: START + MINUTE})
    assert [table.claim(3) for _ in range(4)] == [1, 1, 1, 1]
    assert len(table.claimed) == 10
    table.drain(3)
    assert table.alarms.windows() == {}


def test_nothing_goes_off_at_the_watermark_itself_or_before_any_tick() -> None:
    table = Table(holding())
    table.arm(0, START)
    assert table.alarms.windows() == {}
    table.alarms.hear({0: START})
    table.drain(1)
    assert table.claimed == []
    table.alarms.hear({0: START + timedelta(microseconds=1)})
    table.drain(1)
    assert len(table.claimed) == 1


def test_a_watermark_never_goes_back() -> None:
    alarms = holding()
    alarms.hear({0: START + MINUTE})
    alarms.hear({0: START})
    assert alarms.windows() == {0: (BEGINNING, START + MINUTE)}


def test_of_a_partition_that_was_lost_and_gained_nothing_is_known() -> None:
    alarms = holding()
    alarms.hear({0: START, 1: START})
    alarms.claimed(alarms.windows(), {})
    alarms.hold({1})
    alarms.hear({0: START + MINUTE})  # a tick of before: it is not ours
    alarms.armed(0, START)
    alarms.hold({0, 1})
    assert alarms.windows() == {}
    alarms.hear({0: START + MINUTE, 1: START + MINUTE})
    assert alarms.windows() == {0: (BEGINNING, START + MINUTE), 1: (START, START + MINUTE)}


class Wall:
    """Stands in for the time module: seconds pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(alarm_clock, "time", wall)
    return wall


class Moving:
    """A clock that goes with the wall's."""

    def __init__(self, wall: Wall) -> None:
        self._wall = wall

    def now(self) -> datetime:
        return START + timedelta(seconds=self._wall.now_s - 1_000.0)


def test_alarms_set_below_the_floor_by_somebody_else_are_found_by_the_sweep(wall: Wall) -> None:
    table = Table(Alarms("toy", FrozenClock(START), PATIENCE_S))
    table.alarms.hold(PARTS)
    table.alarms.hear({0: START + MINUTE})
    table.drain(1)
    table.pending[0].append((START, 99))  # saved by another process
    wall.now_s += SWEEP_EVERY_S
    table.alarms.hold(PARTS)
    table.drain(1)
    assert table.claimed == []
    wall.now_s += 0.001
    table.alarms.hold(PARTS)
    table.drain(1)
    assert table.claimed == [(0, START, 99)]


def used() -> float:
    return float(metrics.ROAD_PATIENCE_USED.labels("patient")._value.get())


def test_a_silent_source_holds_an_alarm_no_longer_than_the_patience(wall: Wall) -> None:
    """And only the partitions that are silent; the record says once per silence that it was so."""
    before = used()
    table = Table(Alarms("patient", Moving(wall), PATIENCE_S))
    table.alarms.hold(PARTS)
    due = START + timedelta(seconds=30)
    table.arm(0, due)
    table.arm(1, due)
    waited = 0
    while not table.claimed:
        wall.now_s += 1
        waited += 1
        table.alarms.hear({1: START})  # it speaks, and says that it is far behind
        table.alarms.lose_patience()
        table.drain(1)
        assert waited < 1_000
    assert [(part, wake_at) for part, wake_at, _ in table.claimed] == [(0, due)]
    assert waited == 30 + PATIENCE_S + 1
    assert used() - before == 2  # partitions 0 and 2, once each
    table.arm(0, due + timedelta(seconds=1))
    wall.now_s += 1
    table.alarms.lose_patience()
    table.drain(1)
    assert len(table.claimed) == 2  # the next is not held for another whole patience
    assert used() - before == 2


def test_a_source_that_speaks_again_is_waited_for_again(wall: Wall) -> None:
    before = used()
    alarms = Alarms("patient", Moving(wall), PATIENCE_S)
    alarms.hold({0})
    for _ in range(2):
        wall.now_s += PATIENCE_S + 1
        alarms.lose_patience()
        alarms.hear({0: Moving(wall).now()})
        heard = alarms.windows()[0][1]
        wall.now_s += PATIENCE_S
        alarms.lose_patience()
        assert alarms.windows()[0][1] == heard
    assert used() - before == 2
