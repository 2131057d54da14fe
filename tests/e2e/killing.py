"""The one place that kills the database under a running command, and not the command."""

from pathlib import Path

import psutil


def kill_database(home: Path, *, whole: bool = True) -> None:
    """SIGKILL to PostgreSQL's head alone, or to all of it, on the folder of an installation."""
    number, *_ = (home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
    head = psutil.Process(int(number))
    head.suspend()  # or it would start anew what it loses before itself
    for process in (*(head.children(recursive=True) if whole else ()), head):
        process.kill()


def break_database(home: Path) -> None:
    """Kills it, and takes away what no server starts without."""
    (home / "postgres" / "data" / "global" / "pg_control").rename(home / "pg_control")
    kill_database(home)
