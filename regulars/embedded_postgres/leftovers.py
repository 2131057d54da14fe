"""Ends a server whose starter was killed, or what is left of one, so that the next can start on the folder at once."""

import signal
import time
from pathlib import Path

import psutil

LEFTOVER_STOP_S = 15.0  # writes a checkpoint first; whatever is not done by then is recovered by the next start
LEFTOVER_KILL_S = 2.0
POLL_S = 0.01


def end_leftovers(data: Path) -> None:
    """End every server that works on `data`; called with the folder's lock held, so nobody needs it any more."""
    if not (data / "postmaster.pid").exists():
        return  # ended in good order
    number = "".join(pid_file(data)[:1])
    leftovers = _servers_on(data)
    if head := next((process for process in leftovers if str(process.pid) == number), None):
        send(head, signal.SIGINT)
        leftovers = _servers_after(LEFTOVER_STOP_S, data)
    for process in leftovers:  # without their head they can finish nothing in good order
        send(process, signal.SIGKILL)
    _servers_after(LEFTOVER_KILL_S, data)
    # After a reboot the number in the files may be another program's, and PostgreSQL would take that for a server;
    # after a loss of power the file may be empty, and it would refuse that too.
    if not number.isdigit() or psutil.pid_exists(int(number)):
        for file in (data / "postmaster.pid", *data.glob(".s.PGSQL.*.lock")):
            file.unlink(missing_ok=True)


def pid_file(data: Path) -> list[str]:
    """The lines of postmaster.pid (pid, data, start, port, socket, address, shared memory, state), or none."""
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


def send(process: psutil.Process, what: signal.Signals) -> None:
    """Signal a process that may have ended by itself, which is what we want."""
    try:
        process.send_signal(what)
    except psutil.NoSuchProcess:
        return


def _servers_after(seconds: float, data: Path) -> list[psutil.Process]:
    """The servers on `data` that have not ended after at most so many seconds."""
    deadline = time.monotonic() + seconds
    while (left := _servers_on(data)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return left


def _servers_on(data: Path) -> list[psutil.Process]:
    """All processes of PostgreSQL on `data`: they work in their data folder and nowhere else."""
    found = psutil.process_iter(["name", "cwd"])
    return [process for process in found if process.info["name"] == "postgres" and process.info["cwd"] == str(data)]
