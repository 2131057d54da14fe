"""The schedule is a function of its seed, holds every sort of fault, and is spread over the whole run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.__main__ import FULL_FAULTS, SHORT_FAULTS
from tests.chaos.schedule import LINKS, Kind, Mode, kills, schedule

KILLS_MIN = 100
HAND = 8  # faults in which every sort comes once

SEEDS = st.integers(min_value=0, max_value=2**32)
MODES = st.sampled_from(list(Mode))
POSTGRES = {Kind.POSTGRES_KILL, Kind.POSTGRES_STOP, Kind.POSTGRES_BACKEND}
BROKERS = {Kind.BROKER_KILL, Kind.TWO_BROKERS, Kind.BROKER_PAUSE}
SERVICES = {Kind.KILL, Kind.KILL_AFTER_ANSWER, Kind.KILL_RELAYING}


@given(SEEDS, MODES, st.integers(1, 200))
def test_the_same_seed_gives_the_same_faults(seed: int, mode: Mode, count: int) -> None:
    faults = schedule(seed, mode, count)
    assert faults == schedule(seed, mode, count)
    assert len(faults) == count
    assert schedule(seed, mode, 8) != schedule(seed + 1, mode, 8)


@given(SEEDS, MODES)
def test_they_follow_each_other_over_the_whole_run(seed: int, mode: Mode) -> None:
    faults = schedule(seed, mode, FULL_FAULTS[mode])
    times = [fault.at for fault in faults]
    assert times == sorted(times)
    assert all(0 < at < 1 for at in times)
    assert max(later - earlier for earlier, later in zip([0.0, *times], [*times, 1.0], strict=True)) < 0.1


@given(SEEDS, MODES)
def test_the_short_form_has_every_sort(seed: int, mode: Mode) -> None:
    kinds = {fault.kind for fault in schedule(seed, mode, SHORT_FAULTS)}
    assert kinds & POSTGRES
    assert kinds & SERVICES
    assert Kind.PAUSE in kinds
    assert mode is Mode.ONE_PROCESS or kinds & BROKERS


@given(SEEDS)
def test_the_full_form_kills_enough(seed: int) -> None:
    assert kills(schedule(seed, Mode.KAFKA, FULL_FAULTS[Mode.KAFKA])) >= KILLS_MIN


@pytest.mark.parametrize("mode", list(Mode))
def test_every_kind_comes_in_its_mode(mode: Mode) -> None:
    faults = [fault for seed in range(20) for fault in schedule(seed, mode, FULL_FAULTS[mode])]
    of_kafka = {*BROKERS, Kind.KILL_RELAYING}
    assert {fault.kind for fault in faults} == (set(Kind) if mode is Mode.KAFKA else set(Kind) - of_kafka)
    links = {fault.target for fault in faults if fault.kind in {Kind.CUT, Kind.STALL, Kind.CLOSE}}
    assert links == set(LINKS[mode])
