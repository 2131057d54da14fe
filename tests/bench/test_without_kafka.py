"""Where no broker can be had each benchmark measures what it can, says what it cannot, and the next one runs."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from regulars.bench import peers, relay, roads, whole
from regulars.bench.figures import Figure, rate
from regulars.bench.run import bench
from regulars.bench.stage import Stage, stage
from regulars.kafka_broker import KafkaCluster, KafkaUnavailable

REASON = "no Java 17 or newer"


@pytest.fixture(autouse=True)
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(nodes: int, folder: Path) -> KafkaCluster:
        raise KafkaUnavailable(f"{REASON}:\ninstall one")

    monkeypatch.setattr(KafkaCluster, "start", refuse)


def _told(what: str) -> str:
    return f"NOT MEASURED: {what}: {REASON}: install one\n"


async def test_roads_keep_their_postgres_half(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(roads, "ROUNDS", 1)
    async with stage(quick=True) as ours:
        measured = await roads.measure(ours)
    services = ("segmentation", "loyalty", "journeys", "notifier")
    assert [figure.name for figure in measured] == [f"roads.{name}.postgres" for name in services]
    assert capsys.readouterr().err == _told("roads.*.kafka")


async def test_the_whole_keeps_its_two_forms_on_postgres(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def no_bare(stage: Stage, bodies: Sequence[bytes]) -> float:
        return 1.0

    async def named(stage: Stage, form: whole.Form, bodies: Sequence[bytes], bare: float) -> list[Figure]:
        return [rate(f"whole.{form.name}", 1.0, "events/s", "", bare)]

    monkeypatch.setattr(whole, "_bare", no_bare)
    monkeypatch.setattr(whole, "one_form", named)
    async with stage(quick=True) as ours:
        measured = await whole.measure(ours)
    assert [figure.name for figure in measured] == ["whole.five.postgres", "whole.up.postgres"]
    assert capsys.readouterr().err == _told("whole.five.kafka")


async def test_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async def measure(stage: Stage) -> list[Figure]:
        return [rate("after", 7.0, "events/s", "what comes after")]

    monkeypatch.setattr("regulars.bench.growth.measure", measure)
    json = tmp_path / "figures.json"
    await bench([relay.__name__.rpartition(".")[2], peers.__name__.rpartition(".")[2], "growth"], quick=True, json=json)
    said = capsys.readouterr()
    assert said.err == _told("relay") + _told("peers")
    assert said.out.count("what comes after") == 2  # at its turn, and in the closing table
    assert [figure.name for figure in msgspec.json.decode(json.read_bytes(), type=list[Figure])] == ["after"]
