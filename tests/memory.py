"""Where the servers of tests keep their data: in memory where there is plenty of it, else on the disk.

What a test writes need not outlive the machine's power, and a kill of a process takes neither. On a disk a run would
wait most of all for its thousands of databases, of three hundred files each, to be made and removed.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

FILES_IN_MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 6 * 2**30  # some times what a run takes


def folder() -> Path:
    """A new one; remove it. Not pytest's own: a second run closes that to PostgreSQL's account while we use it."""
    plenty = FILES_IN_MEMORY.is_dir() and all(
        free >= ENOUGH_BYTES for free in (shutil.disk_usage(FILES_IN_MEMORY).free, psutil.virtual_memory().available)
    )
    return Path(tempfile.mkdtemp(prefix="regulars-test-", dir=FILES_IN_MEMORY if plenty else None))


@contextmanager
def temporary() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    made = folder()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
