"""The report of rows that were refused: where each stands and why, and nothing of what it holds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import msgspec
from msgspec import Struct

from common.contracts.envelope import Rejection

By = Literal["mapping", "system"]


class Refusal(Struct, frozen=True):
    """One line of the report. `rows`: how many are left out with it, as the lines of the same order."""

    file: str
    line: int
    path: str
    reason: str
    rows: int = 1
    by: By = "mapping"  # or the system that it was sent to, which has kept the event


_DECODER = msgspec.json.Decoder(Refusal)


class Report:
    """An NDJSON file, made at the first refusal. What the system refused when this import was begun stays in it."""

    def __init__(self, path: Path, files: Sequence[Path], resumed: bool) -> None:
        self.path, self._files = path, files
        self.rows = 0
        self.reasons: Counter[str] = Counter()
        kept = self._of_before() if resumed else {}
        self._known = kept
        path.unlink(missing_ok=True)
        self._file: IO[bytes] | None = None
        for refusal in kept:
            self._write(refusal)

    def refuse(self, place: tuple[int, int], rejection: Rejection, rows: int = 1, by: By = "mapping") -> None:
        """One more, on the disk before this returns: an import may be killed at any time."""
        file, line = place
        refusal = Refusal(self._files[file].name, line, rejection.path, rejection.reason, rows, by)
        if refusal not in self._known:
            self._write(refusal)

    def _write(self, refusal: Refusal) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("wb")
        self._file.write(msgspec.json.encode(refusal) + b"\n")
        self._file.flush()
        self.rows += refusal.rows
        self.reasons[f"{refusal.path}: {refusal.reason}"] += refusal.rows

    def _of_before(self) -> dict[Refusal, None]:
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        return {refusal: None for line in lines if (refusal := _DECODER.decode(line)).by == "system"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
