"""The roads, the ledger, the relay and growth are measured: figures that belong together, of work that was done."""

import pytest

from regulars.bench import growth, postings, relay, roads
from regulars.bench.figures import Figure
from regulars.bench.road_stage import Sample, rate
from regulars.bench.stage import stage


@pytest.fixture(autouse=True)
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (roads, postings, relay, growth):
        monkeypatch.setattr(module, "ROUNDS", 1)


def test_the_rate_leaves_out_the_first_of_several_batches() -> None:
    start, first, last = Sample(8.0, 0.0, 0), Sample(10.0, 0.1, 100), Sample(12.0, 0.2, 500)
    assert rate([start, first, last]) == 200
    assert rate([start, first]) == 50


@pytest.mark.usefixtures("kafka")
async def test_roads_and_the_relay() -> None:
    async with stage(quick=True) as ours:
        measured = await roads.measure(ours)
        _check(await relay.measure(ours))
    services = ("segmentation", "loyalty", "journeys", "notifier")
    assert [f.name for f in measured] == [f"roads.{name}.{bus}" for name in services for bus in ("postgres", "kafka")]
    _check(measured)


async def test_postings() -> None:
    async with stage(quick=True) as ours:
        _check(await postings.measure(ours))


async def test_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "CUSTOMERS", (10_000, 40_000))
    monkeypatch.setattr(growth, "SERVICES", ("loyalty",))
    async with stage(quick=True) as ours:
        measured = await growth.measure(ours)
    assert [figure.ratio is None for figure in measured] == [True, True, False, False]
    _check(measured[2:])


def _check(measured: list[Figure]) -> None:
    assert measured
    for figure in measured:
        assert figure.value > 0
        assert figure.ceiling is not None
        assert figure.ceiling > 0
        assert figure.what
