"""That the benchmark of the simulation runs, and that all cores come to what one comes to."""

from pathlib import Path

import pytest

import regulars.history.virtual_time
from common.shops import load_shops
from regulars.bench import simulation
from regulars.bench.olist_folder import random_rows, write
from regulars.bench.stage import stage
from regulars.history.answer import summary
from regulars.history.olist import read
from regulars.history.virtual_time import Simulation

ORDERS = 500


async def test_a_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "ORDERS", ORDERS * 20)
    async with stage(quick=True) as ours:
        figures = await simulation.measure(ours)
    assert [figure.name for figure in figures] == ["simulation", "simulation.command"]
    assert all(figure.ceiling is not None and figure.value > 0 for figure in figures)


def test_all_cores_come_to_what_one_comes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = read(write(tmp_path, *random_rows(seed=8, orders=ORDERS)))
    at = events[-1].received_at
    alone = Simulation(load_shops()).run(events, at)
    monkeypatch.setattr(regulars.history.virtual_time, "EVENTS_ON_ONE_CORE", 0)
    monkeypatch.setattr(regulars.history.virtual_time, "CUSTOMERS_AT_ONCE", 7)
    together = Simulation(load_shops()).run(events, at)
    assert together == alone
    assert summary(together)["customers"] == len({event.customer_id for event in events})


def test_a_decision_that_fails_on_another_core_fails_the_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = read(write(tmp_path, *random_rows(seed=8, orders=50)))
    shops = load_shops()
    in_yuan = {"olist": type(shops["olist"])("olist", "America/Sao_Paulo", "CNY", "en", "olist")}
    monkeypatch.setattr(regulars.history.virtual_time, "EVENTS_ON_ONE_CORE", 0)
    with pytest.raises(AssertionError, match="failed on"):
        Simulation(in_yuan).run(events, events[-1].received_at)
