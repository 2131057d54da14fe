"""`regulars simulate`: the same input, the same bytes; and on a real shop's history what the recompute says."""

import csv
import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regulars.bench.olist_folder import Order, random_rows, write
from regulars.history.olist import read
from tests.e2e.commands import RUN_TIMEOUT_S, run, running
from tests.e2e.conftest import ORDERS
from tests.olist import recompute

AT = "2018-09-01T00:00:00-03:00"
SIMULATION_TIMEOUT_S = 150.0
STOP_WITHIN_S = 5.0
FOREVER_ORDERS = 20_000  # of a made-up shop: far more than is simulated before the Ctrl-C


@pytest.mark.timeout(400)
def test_a_real_history_gives_the_same_bytes_and_those_of_the_recompute(olist: Path, tmp_path: Path) -> None:
    arguments = ("simulate", "olist", str(olist), "--at", AT, "--orders", str(ORDERS))
    places = [tmp_path / name for name in ("first", "second")]
    files = ("--json", "counts.json", "--customers", "customers.csv")
    with (
        running(places[0], *arguments, *files, environment={"PYTHONHASHSEED": "1"}) as first,
        running(places[1], *arguments, *files, environment={"PYTHONHASHSEED": "2"}) as second,
    ):
        answer = recompute.recompute(olist, datetime.fromisoformat(AT), ORDERS)
        recompute.write_customers(tmp_path / "recomputed.csv", answer.customers)
        for command in (first, second):
            assert command.ended(SIMULATION_TIMEOUT_S) == 0, command.said
    for name in ("counts.json", "customers.csv"):
        assert (places[0] / name).read_bytes() == (places[1] / name).read_bytes(), name
    wanted = _rows(tmp_path / "recomputed.csv")
    assert _rows(places[0] / "customers.csv", columns=len(wanted[0])) == wanted
    assert json.loads((places[0] / "counts.json").read_text()) == answer.summary()
    assert answer.summary()["customers"] > ORDERS * 0.9


def _rows(path: Path, columns: int | None = None) -> list[list[str]]:
    """The first columns; what a simulation says beyond them is checked on other data sets."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row[:columns] for row in csv.reader(file)]


def test_without_files_it_prints_the_counts(tmp_path: Path) -> None:
    at = "2017-06-01 12:00:00"
    folder = write(
        tmp_path / "olist",
        Order("o1", at, at, at, at, "delivered", payments=("700.50",)),
        Order("o2", "2017-06-02 12:00:00", who="bia"),
        Order("o3", "2017-06-03 12:00:00", who="cai"),
    )
    moment = "2017-06-02T12:05:00-03:00"
    with running(tmp_path, "simulate", "olist", str(folder), "--at", moment, "--orders", "2") as command:
        assert command.ended(RUN_TIMEOUT_S) == 0, command.said
        counts, noted = json.loads(command.printed), command.noted
    answer = recompute.recompute(folder, datetime.fromisoformat(moment), 2)
    assert counts == answer.summary()
    assert answer.summary()["messages"]["payment_reminder/5m"] == {"2017-06": 1}
    assert answer.summary()["tiers"]["silver"] == 1
    assert "6 events of 2 customers: read in " in " ".join(noted.split())


def test_without_a_moment_it_goes_up_to_the_last_event(tmp_path: Path) -> None:
    folder = write(tmp_path / "olist", *random_rows(seed=5, orders=50))
    status, said = run(tmp_path, "simulate", "olist", str(folder), "--json", "counts.json")
    assert status == 0, said
    at = json.loads((tmp_path / "counts.json").read_text())["at"]
    assert at == max(event.occurred_at for event in read(folder)).astimezone(UTC).isoformat()


def test_a_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "olist", *random_rows(seed=5, orders=FOREVER_ORDERS))
    with running(tmp_path, "simulate", "olist", str(folder)) as command:
        command.until_said("Reading")
        command.send(signal.SIGINT)
        assert command.ended(STOP_WITHIN_S) == 130, command.said
        assert "Traceback" not in command.said
