"""The short form of `make chaos`: a few thousand events and eight faults, with every seed that once failed."""

import os
from pathlib import Path

import pytest

from regulars.kafka_broker import missing
from tests.chaos.__main__ import conclude, short_plan
from tests.chaos.run import run
from tests.chaos.schedule import Mode, kills, schedule
from tests.chaos.seeds import ONCE_FAILED
from tests.kafka_fixture import cannot_start

GIVEN = os.environ.get("OLIST")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("mode", "seed", "found"), ONCE_FAILED)
async def test_nothing_is_lost_or_doubled(mode: Mode, seed: int, found: str) -> None:
    if mode is Mode.KAFKA and (lacking := missing()):
        cannot_start(lacking)
    plan = short_plan(mode, seed, Path(GIVEN) if GIVEN else None)
    said: list[str] = []
    report = await run(plan, said.append)
    assert report.holds, "\n".join((*said, conclude(report)))
    assert sum(report.struck.values()) == plan.faults
    assert report.killed >= kills(schedule(seed, mode, plan.faults))
    assert report.repeated > 0
    full = ("facts", "timers", "messages")
    assert all(table.rows for table in report.differences if table.table.endswith(full))


def test_both_modes_are_run() -> None:
    assert {mode for mode, *_ in ONCE_FAILED} == set(Mode)
