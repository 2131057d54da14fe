"""One server per folder: a lock that the kernel gives back whenever its holder ends, however it ends."""

import fcntl
from pathlib import Path
from typing import IO


class FolderInUse(RuntimeError):
    """Another process, or this one, already has a server on the folder."""

    def __init__(self, folder: Path, pid: str) -> None:
        super().__init__(f"{folder} is in use by process {pid}: stop that one first, or choose another folder")


class FolderLock:
    """Holds `folder`; its file says who does, and which temporary folder is to be swept up should we be killed."""

    def __init__(self, file: IO[str]) -> None:
        """Use `take`."""
        self._file = file

    @classmethod
    def take(cls, folder: Path) -> "FolderLock":
        """Take the folder for this process or raise FolderInUse."""
        file = (folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.readline().strip() or "unknown"
            file.close()
            raise FolderInUse(folder, holder) from None
        return cls(file)

    def former_temporary_folder(self) -> Path | None:
        """What the last holder wrote down and nobody has swept up since."""
        self._file.seek(0)
        name = self._file.read().partition("\n")[2].strip()
        return Path(name) if name else None

    def write_down(self, pid: int, temporary_folder: Path | None) -> None:
        """Say who holds the folder."""
        self._file.truncate(0)
        self._file.write(f"{pid}\n{temporary_folder or ''}\n")
        self._file.flush()

    def give_back(self) -> None:
        """Let others have the folder; harmless when repeated."""
        self._file.close()
