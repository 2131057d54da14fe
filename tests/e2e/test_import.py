"""`regulars import` cut short, resumed, frozen, into a running system: it ends where the simulation of it ends."""

import json
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regulars.bench.olist_folder import random_rows, write
from regulars.history.olist import read
from tests.e2e.commands import Command, run, running, until, up
from tests.e2e.killing import kill_database
from tests.e2e.stored import simulated, stored_at_rest, stored_under

UNTIL = "2018-06-01T00:00:00-03:00"
ORDERS = 3_000
SOME_LINES = 4_000  # of about 16,000
STOP_WITHIN_S = 5.0
ALL_WITHIN_S = 120.0


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files of a shop that never was."""
    return write(tmp_path_factory.mktemp("history") / "olist", *random_rows(seed=7, orders=ORDERS))


def taken(folder: Path) -> int:
    """How many lines the import in the folder says were taken."""
    cursors = list((folder / ".regulars" / "imports").glob("*.json"))
    return int(json.loads(cursors[0].read_text())["taken"]) if cursors else 0


def in_the_middle(command: Command, folder: Path, more_than: int) -> int:
    """Waits until some more is taken, and makes sure that it is not all."""
    reached = until(lambda: taken(folder) if taken(folder) > more_than else None, "some lines are taken", ALL_WITHIN_S)
    assert command.process.is_running()
    assert "Everything is decided" not in command.said
    return reached


def test_an_import_goes_on_after_a_ctrl_c_and_after_kills(history: Path, tmp_path: Path) -> None:
    arguments = ("import", "olist", str(history), "--until", UNTIL)
    with running(tmp_path, *arguments) as command:
        in_the_middle(command, tmp_path, SOME_LINES)
        began = time.monotonic()
        command.send(signal.SIGINT)
        assert command.ended(STOP_WITHIN_S) == 130, command.said
        assert time.monotonic() - began < STOP_WITHIN_S
        assert "Traceback" not in command.said
        assert command.said.rstrip().endswith("Stopped; the same import again goes on where it was.")
    reached = taken(tmp_path)

    with running(tmp_path, *arguments) as command:  # killed while it sends
        command.until_said(rf"to send; {reached:,} of them were taken before")
        in_the_middle(command, tmp_path, reached + SOME_LINES)
        command.kill()

    with running(tmp_path, *arguments) as command:  # killed while it decides what was sent
        command.until_said(r"[\d,]+ accepted, [\d,]+ duplicate, 0 rejected", ALL_WITHIN_S)
        command.kill()

    status, said = run(tmp_path, *arguments)
    assert status == 0, said
    events = read(history, datetime.fromisoformat(UNTIL))
    ends = len({event.customer_id for event in events})
    lines = len(events) + ends
    counted = f"{len(events):,} events and {ends:,} ends of history, one per customer: {lines:,} to send"
    assert f"{counted}; {lines:,} of them were taken before" in said
    assert "0 sent: 0 accepted" in said
    assert "Everything is decided" in said

    wanted = simulated(events, datetime.fromisoformat(UNTIL), tmp_path)
    assert len(wanted) > 1_000
    assert {row["activity"] for row in wanted.values()} == {"", "active", "stimulate", "winback", "lost"}
    assert stored_at_rest(tmp_path / ".regulars", tmp_path) == wanted


def test_an_import_outlives_its_database(history: Path, tmp_path: Path) -> None:
    with running(tmp_path, "import", "olist", str(history), "--until", UNTIL) as command:
        for kills in (1, 2):  # while it sends
            in_the_middle(command, tmp_path, kills * SOME_LINES)
            kill_database(tmp_path / ".regulars")
            command.until_said(rf"(?s)(PostgreSQL is back.*){{{kills}}}", ALL_WITHIN_S)
        command.until_said(r"[\d,]+ accepted, [\d,]+ duplicate, 0 rejected", ALL_WITHIN_S)
        kill_database(tmp_path / ".regulars")  # while it waits until all is decided
        assert command.ended(ALL_WITHIN_S) == 0, command.said
        assert "Everything is decided" in command.said
    then = datetime.fromisoformat(UNTIL)
    assert stored_at_rest(tmp_path / ".regulars", tmp_path) == simulated(read(history, then), then, tmp_path)


def test_an_import_into_a_running_system_tells_nobody(tmp_path: Path) -> None:
    """And its end brings everything up to now: whoever has not bought for long is lost, though no event says so."""
    history = write(tmp_path / "olist", *random_rows(seed=3, orders=200))
    with up(tmp_path) as here:
        status, said = run(tmp_path, "import", "olist", str(history))
        assert status == 0, said
        told = json.loads((tmp_path / ".regulars" / "running.json").read_text())
        events = read(history)
        rows = stored_under(told["admin_database"], tmp_path)
        assert rows == simulated(events, datetime.now(UTC), tmp_path)
        assert {row["activity"] for row in rows.values()} == {"", "lost"}

        status, key = run(tmp_path, "keys", "create", "--scope", "read,ingest,operate", "--shop", "olist")
        assert status == 0
        owner = {"X-API-Key": key.strip()}
        assert here.client.get("/v1/messages/stats", headers=owner).json() == {"items": []}
        assert here.client.get("/v1/mailbox", headers=owner).json()["items"] == []
        assert here.client.get("/v1/events/refused", headers=owner).json()["items"] == []

        # From another machine, whose folder knows of nothing: all of it is known here.
        status, said = run(tmp_path / "else", "import", "olist", str(history), "--url", here.url, "--key", key.strip())
        assert status == 0, said
        lines = len(events) + len({event.customer_id for event in events})
        assert f"0 accepted, {lines:,} duplicate, 0 rejected" in said

        status, said = run(tmp_path, "import", "olist", str(history), "--url", here.url, "--key", "rk_nope")
        assert status == 1
        assert said.rstrip().endswith(
            f"regulars: {here.url} answered 401 Unauthorized: This API key is unknown or revoked."
        )
        assert "Traceback" not in said

        status, said = run(tmp_path, "import", "olist", str(history), "--until", UNTIL)
        assert status == 1
        assert "regulars: .regulars is in use: Regulars runs on it at" in said, "no other clock beside a running one"
