"""`regulars demo`: cut short and begun again it goes on where it was, and all that it checks at its end holds."""

import json
import re
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from regulars.demo.shop import DAY, DAYS, plan
from tests.e2e.commands import run, running, servers_on, until

SHARE_BEFORE_THE_STOP = 0.4
STOP_WITHIN_S = 5.0
REACHED_WITHIN_S = 90.0
OVER_WITHIN_S = 150.0
CHECKS = 7


def progress(folder: Path) -> dict[str, object]:
    path = folder / "demo" / "demo.json"
    known: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
    return known


def sent(folder: Path) -> int:
    return int(str(progress(folder).get("sent", 0)))


@pytest.mark.timeout(400)
def test_cut_short_it_goes_on_and_ends_with_all_that_it_checks(tmp_path: Path) -> None:
    planned = len(plan(seed=1))
    arguments = ("demo", "--exit", "--data", "demo")
    with running(tmp_path, *arguments) as command:
        share = round(planned * SHARE_BEFORE_THE_STOP)
        until(lambda: sent(tmp_path) if sent(tmp_path) > share else None, "the demo is under way", REACHED_WITHIN_S)
        status, said = run(tmp_path, *arguments, "--seed", "2")
        assert status == 1
        assert said.startswith("regulars: demo is in use: Regulars runs on it at http://")
        began = time.monotonic()
        command.send(signal.SIGINT)
        assert command.ended(STOP_WITHIN_S) == 130, command.said
        assert time.monotonic() - began < STOP_WITHIN_S
        assert "Traceback" not in command.said
        assert "Stopped; start it again and it goes on where it was." in command.said
    assert servers_on(tmp_path) == []
    stopped_at = sent(tmp_path)
    assert share < stopped_at < planned

    with running(tmp_path, *arguments) as command:
        assert command.ended(OVER_WITHIN_S) == 0, command.said
        said = command.said
    assert said.count("holds") == CHECKS, said
    assert "FAILS" not in said
    assert "http://" not in said, "nobody answers there any more"
    assert f"{planned:,} of {planned:,}" in said
    answered = re.search(r"answered\s+│\s+([\d,]+) accepted, ([\d,]+) duplicate", said)
    assert answered is not None, said
    assert int(answered[1].replace(",", "")) + int(answered[2].replace(",", "")) <= planned - stopped_at + 100
    known = progress(tmp_path)
    assert known["over"]
    opened = datetime.fromisoformat(str(known["opened"]))
    assert timedelta(seconds=float(str(known["offset_s"]))) >= DAY * DAYS
    assert (datetime.now(opened.tzinfo) - opened).days == DAYS - 1, "its last day is today"
    assert servers_on(tmp_path) == []
