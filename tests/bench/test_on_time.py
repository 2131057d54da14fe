"""That the benchmark of changes on time runs, and that the profiles it stores are those that the service would."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from common.batch import Codec
from common.shops import load_shops
from regulars.bench import on_time
from regulars.bench.lived import TIME, Lived
from regulars.bench.pending import BESIDE, Plan
from regulars.bench.stage import stage
from segmentation import presets

NOON = datetime(2030, 1, 1, 4, tzinfo=UTC)  # in the demo's shop
MIDNIGHT = datetime(2030, 1, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize("start", [NOON, MIDNIGHT - timedelta(seconds=7)])
def test_a_profile_is_moved_to_where_it_would_have_been_played(start: datetime) -> None:
    lived = Lived(presets.load(load_shops()))
    dues = [start + timedelta(seconds=3.5) * n for n in range(5)]
    decoder = Codec(lived.service).stored
    moved = [decoder.decode(text) for text in lived.profiles(dues)]
    assert moved == [lived.customer(due).stored for due in dues]
    assert [stored.wake_at for stored in moved] == dues


def test_a_text_has_times() -> None:
    assert TIME.split('{"at":"2030-01-01T04:00:00.5Z","b":"2030-01-01"}') == [
        '{"at":',
        "2030-01-01T04:00:00.5",
        ',"b":"2030-01-01"}',
    ]


def test_turns_take_turns() -> None:
    plan = Plan(NOON, 10_000, turn_steps=20)
    turns = on_time.upcoming(plan, NOON + timedelta(seconds=1))
    assert [turn.is_bare for turn in turns] == [False, True] * on_time.ROUNDS
    assert turns[0].begins == NOON + timedelta(seconds=4)
    assert all(one.ends == other.begins for one, other in pairwise(turns))
    assert plan.due(f"p{40 * BESIDE}") == turns[0].begins
    with pytest.raises(AssertionError, match="are over"):
        on_time.upcoming(plan, plan.dues[-1])


async def test_a_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_time, "QUICK_TURN_S", 1)
    monkeypatch.setattr(on_time, "ROUNDS", 1)
    async with stage(quick=True) as ours:
        measured = await on_time.measure(ours)
    assert [figure.name for figure in measured] == ["on_time.p50", "on_time.p99"]
    for figure in measured:
        assert figure.value > 0
        assert figure.ceiling is not None
        assert figure.ceiling > 0
