"""A process is ready when it says so, tells what it said when it is not, and is gone when it is said to be."""

import signal
from pathlib import Path

import pytest

from regulars import processes
from regulars.processes import NotReady, Process, running

# Answers as ready, and does not heed SIGTERM where it is told to be deaf.
SERVER = """
import http.server, os, signal
if os.environ.get("DEAF"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["REGULARS_PORT"])), Ready).serve_forever()
"""


async def test_the_first_is_told_to_the_others(tmp_path: Path) -> None:
    both = [Process(name, {}, tmp_path / f"{name}.log", "-c", SERVER) for name in ("first", "second")]
    async with running(both):
        assert [process.ended for process in both] == [None, None]
        assert both[1].environment["REGULARS_INGEST_URL"] == both[0].url
    assert [process.ended for process in both] == [-signal.SIGTERM] * 2


async def test_one_that_does_not_stop_is_killed_and_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT_S", 0.2)
    deaf = Process("deaf", {"DEAF": "1"}, tmp_path / "deaf.log", "-c", SERVER)
    async with running([deaf]):
        pass
    assert deaf.ended == -signal.SIGKILL


async def test_one_that_ends_says_why_and_the_others_are_stopped(tmp_path: Path) -> None:
    well = Process("well", {}, tmp_path / "well.log", "-c", SERVER)
    ill = Process("ill", {}, tmp_path / "ill.log", "-c", "raise SystemExit('no such table')")
    with pytest.raises(NotReady, match="ill ended with 1:\nno such table"):
        async with running([well, ill]):
            pass
    assert well.ended == -signal.SIGTERM
