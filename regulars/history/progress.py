"""How far something long has come: a bar on a terminal, a plain line now and then where nobody watches."""

from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 10.0


class Bar:
    """As a context; `update` says how much of `total` (of `unit`s) is done."""

    def __init__(self, console: Console, what: str, total: int, unit: str, done: int = 0) -> None:
        counted = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), counted, TimeRemainingColumn())
        self._progress = Progress(*columns, console=console) if console.is_terminal else None
        self._task = self._progress.add_task(what, total=total, completed=done) if self._progress else None
        self._console, self._what, self._total, self._unit = console, what, total, unit
        self._told_at = monotonic()

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def update(self, done: int) -> None:
        """So much of it is done."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done)
        elif monotonic() - self._told_at >= LINE_EVERY_S:
            self._told_at = monotonic()
            self._console.print(f"{self._what}: {done:,} of {self._total:,} {self._unit}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
