"""`regulars up --kafka` starts a broker of its own, goes on with it the next time, and leaves none behind."""

import signal
from pathlib import Path

import psutil
import pytest

from regulars.kafka_broker import missing
from tests.e2e.commands import Up, servers_on, until, up
from tests.e2e.events import event, money
from tests.kafka_fixture import cannot_start

HAPPENS_WITHIN_S = 30.0
STOP_WITHIN_S = 15.0  # a broker writes down what it holds


def brokers_on(folder: Path) -> list[int]:
    """The brokers that work somewhere in the folder."""
    found = psutil.process_iter(["name", "cwd"])
    java = [p for p in found if p.info["name"] == "java" and Path(p.info["cwd"] or "/").is_relative_to(folder)]
    return [process.pid for process in java]


def completed(here: Up, order: str) -> None:
    body = [event(f"{order}:completed", "order.completed", order_id=order, amount=money(500))]
    assert here.client.post("/v1/events", json=body).json()["accepted"] == 1


def points(here: Up) -> int:
    answer = here.client.get("/v1/accounts/c1")
    return int(answer.json()["points"]) if answer.is_success else 0


@pytest.mark.timeout(400)
def test_it_brings_its_broker_and_takes_it_along(tmp_path: Path) -> None:
    if reason := missing():
        cannot_start(reason)
    with up(tmp_path, "--kafka") as here:
        assert len(brokers_on(tmp_path)) == 1
        assert "Kafka at 127.0.0.1:" in here.command.said
        completed(here, "o1")
        until(lambda: points(here) == 5 or None, "the points of the first order", HAPPENS_WITHIN_S)
        here.command.send(signal.SIGINT)
        assert here.command.ended(STOP_WITHIN_S) == 0
        assert "Traceback" not in here.command.said
    assert brokers_on(tmp_path) == servers_on(tmp_path) == []

    with up(tmp_path, "--kafka") as here:
        completed(here, "o2")
        until(lambda: points(here) == 10 or None, "the points of both orders", HAPPENS_WITHIN_S)
        here.command.kill()
        until(lambda: brokers_on(tmp_path) == servers_on(tmp_path) == [] or None, "nothing lives on", HAPPENS_WITHIN_S)
