"""The one place that runs `regulars` as a person does: in a process of its own, seen by its output and its signals."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

from regulars.embedded_postgres import die_with_starter

RUN_TIMEOUT_S = 60.0  # of a verb that ends by itself
READY_TIMEOUT_S = 60.0  # of `up`, the first time on an empty folder, on a busy machine
STOP_TIMEOUT_S = 30.0
LOOK_EVERY_S = 0.05
URL = re.compile(r"(http://127\.0\.0\.1:\d+)/docs")
KEY = re.compile(r"rk_[0-9a-f]{8}_[A-Za-z0-9_-]{32,64}")

# Should the tests be killed, what they started is told to stop: nobody would be left to do it.
STARTER = (str(os.getpid()), str(os.getuid()), str(os.getgid()))
DYING_WITH_US = (sys.executable, "-I", "-S", die_with_starter.__file__, *STARTER)

T = TypeVar("T")


def until(look: Callable[[], T | None], what: str, within_s: float) -> T:
    """The first answer that is not None; fails by name when there is none within the bound."""
    deadline = time.monotonic() + within_s
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(LOOK_EVERY_S)  # waits: for another process, which tells nobody
    return found


class Command:
    """A `regulars` command that is running, or has ended."""

    def __init__(
        self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None, **settings: str
    ) -> None:
        """Starts it in the folder; `settings` are REGULARS_* variables, and none but these are set."""
        folder.mkdir(parents=True, exist_ok=True)
        number = time.monotonic_ns()
        self._prints, self._notes = folder / f"printed-{number}.txt", folder / f"noted-{number}.txt"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REGULARS_")}
        given = {f"REGULARS_{name.upper()}": value for name, value in settings.items()}
        cache = {name: os.environ[name] for name in ("REGULARS_CACHE",) if name in os.environ}
        with self._prints.open("wb") as printed, self._notes.open("wb") as noted:
            self._process = subprocess.Popen(
                [*DYING_WITH_US, sys.executable, "-m", "regulars", *arguments],
                cwd=folder,
                env={**kept, **cache, "COLUMNS": "80", **given, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=noted,
                start_new_session=True,  # a Ctrl-C of whoever runs the tests is not its Ctrl-C
            )
        self.process = psutil.Process(self._process.pid)

    @property
    def printed(self) -> str:
        """What it has written so far on its standard output."""
        return self._prints.read_text(encoding="utf-8")

    @property
    def noted(self) -> str:
        """What it has written so far on its standard error."""
        return self._notes.read_text(encoding="utf-8")

    @property
    def said(self) -> str:
        """All that it has said so far, the notes last."""
        return self.printed + self.noted

    def send(self, number: signal.Signals) -> None:
        """Signals it alone, not what it started."""
        self._process.send_signal(number)

    def ended(self, within_s: float) -> int:
        """Its exit status; fails with what it said when it has none within the bound."""
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"has not ended within {within_s:.0f} s; it said:\n{self.said}") from None

    def until_said(self, pattern: str | re.Pattern[str], within_s: float = READY_TIMEOUT_S) -> re.Match[str]:
        """Waits for the words; fails with what it said instead when it ends without them."""

        def look() -> re.Match[str] | None:
            running = self._process.poll() is None
            found = re.search(pattern, self.said)
            assert running or found, f"ended with {self._process.returncode} before it said {pattern!r}:\n{self.said}"
            return found

        return until(look, f"{pattern!r} in:\n{self.said}", within_s)

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)


@contextmanager
def running(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None, **settings: str
) -> Iterator[Command]:
    """A command that has ended at the end of the context, whatever happens in it."""
    command = Command(folder, *arguments, environment=environment, **settings)
    try:
        yield command
    finally:
        command.kill()


def run(folder: Path, *arguments: str, within_s: float = RUN_TIMEOUT_S) -> tuple[int, str]:
    """Runs a verb that ends by itself: its status and what it said."""
    with running(folder, *arguments) as command:
        return command.ended(within_s), command.said


class Up:
    """A running `regulars up`, ready, and a client with its owner's key."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.url = command.until_said(URL)[1]
        self.key = command.until_said(KEY)[0]
        self.client = httpx.Client(base_url=self.url, headers={"X-API-Key": self.key}, timeout=10)
        until(lambda: self.client.get("/health/ready").is_success or None, "ready", READY_TIMEOUT_S)


@contextmanager
def up(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None, **settings: str) -> Iterator[Up]:
    """`regulars up` on a free port."""
    with running(folder, "up", "--port", "0", *arguments, environment=environment, **settings) as command:
        here = Up(command)
        try:
            yield here
        finally:
            here.client.close()


def servers_on(folder: Path) -> list[int]:
    """The PostgreSQL processes that work somewhere in the folder."""
    found = psutil.process_iter(["name", "cwd"])
    inside = [p for p in found if p.info["name"] == "postgres" and Path(p.info["cwd"] or "/").is_relative_to(folder)]
    return [process.pid for process in inside]
