"""That the benchmark of timers runs: a table that grows, and the snapshot."""

import pytest

from regulars.bench import timers, timers_table
from regulars.bench.stage import stage

PENDING = {"few": 100_000, "more": 200_000}  # of which a quick run takes a twentieth


async def test_a_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "PENDING", PENDING)
    async with stage(quick=True) as ours:
        made = {figure.name: figure for figure in await timers.measure(ours)}
    for name in PENDING:
        plain, aged = made[f"timers.{name}"], made[f"timers.{name}.old_snapshot"]
        assert plain.value > 0
        assert aged.value > 0
        assert plain.ceiling == aged.ceiling
        assert made[f"timers.{name}.old_snapshot.bare"].value > 0
    assert made["timers.flat"].value == made["timers.few"].value / made["timers.more"].value
    assert made["timers.flat.old_snapshot"].value > 0


def test_watermarks_part_the_due_times() -> None:
    """Each turn has exactly so many due times before its watermark and not before the last one's; all in the hour."""
    plan = timers_table.Plan(timers.OPENED, timers.TURNS)
    marks = plan.watermarks()
    assert round((marks[0] - plan.opens).total_seconds() * 1e6 / plan.step_us) == timers.WARM_UP
    assert marks == sorted(set(marks))
    assert marks[-1] <= plan.opens + timers_table.ALL_DUE_WITHIN
