"""One server per folder: a lock that the kernel gives back whenever its holder ends, however it ends."""

import fcntl
import os
from pathlib import Path
from typing import IO


class FolderInUse(RuntimeError):
    """Another process, or this one, already has a server on the folder; the message says which."""


class FolderLock:
    """Holds a folder. Its file says who does, and which temporary folder is to be swept up should we be killed."""

    def __init__(self, file: IO[str], pid: int) -> None:
        """Use `take`."""
        self._file = file
        self._pid = pid
        file.seek(0)
        former = file.read().partition("\n")[2].strip()
        self.former_temporary_folder = Path(former) if former else None  # nobody has swept it up yet
        self.write_down(self.former_temporary_folder)

    @classmethod
    def take(cls, folder: Path) -> "FolderLock":
        """Take the folder for this process or raise FolderInUse."""
        file = (folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.readline().strip()
            file.close()
            raise FolderInUse(
                f"{folder} is in use by process {holder}: stop that one first, or choose another folder"
            ) from None
        return cls(file, os.getpid())

    def write_down(self, temporary_folder: Path | None) -> None:
        """Say what else is ours."""
        self._file.truncate(0)
        self._file.write(f"{self._pid}\n{temporary_folder or ''}\n")
        self._file.flush()

    def give_back(self) -> None:
        """Let others have the folder; harmless when repeated."""
        self._file.close()
