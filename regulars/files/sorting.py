"""Sorting more than fits in memory: sorted runs in files that have no name, so nothing of them outlives the process."""

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby, islice
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Self

import msgspec

MEMORY_BYTES = 64_000_000  # of what is held before a run is written
OVERHEAD_BYTES = 250  # of one record's objects, beside its own bytes
RUNS_MAX = 200  # files open at once; then they are merged into one
LENGTH_BYTES = 4

Key = tuple[int | str, ...]
Entry = tuple[Key, bytes]

_DECODER = msgspec.msgpack.Decoder(Entry)


class Sorter:
    """As a context: `add` in any order, iterate in order of the keys, as often as wanted but one after the other."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._held: list[Entry] = []
        self._held_bytes = 0
        self._runs: list[IO[bytes]] = []
        self._files = ExitStack()
        self.count = 0

    def add(self, key: Key, content: bytes) -> None:
        """Keys are different from each other, and of one shape."""
        self.count += 1
        self._held.append((key, content))
        self._held_bytes += len(content) + OVERHEAD_BYTES
        if self._held_bytes > self._memory_bytes:
            self._held.sort()
            self._write(self._held)
            self._held, self._held_bytes = [], 0
            if len(self._runs) == RUNS_MAX:
                full, self._runs = self._runs, []
                self._write(heapq.merge(*map(_read, full)))
                for run in full:
                    run.close()

    def __iter__(self) -> Iterator[Entry]:
        self._held.sort()
        if not self._runs:
            return iter(self._held)
        return heapq.merge(*map(_read, self._runs), self._held)

    def _write(self, entries: Iterable[Entry]) -> None:
        run: IO[bytes] = self._files.enter_context(TemporaryFile())  # noqa: SIM115 - closed with all the others
        for entry in entries:
            packed = msgspec.msgpack.encode(entry)
            run.write(len(packed).to_bytes(LENGTH_BYTES, "big") + packed)
        run.flush()
        self._runs.append(run)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Its files are gone."""
        self._files.close()


def _read(run: IO[bytes]) -> Iterator[Entry]:
    run.seek(0)
    for length in iter(lambda: run.read(LENGTH_BYTES), b""):
        yield _DECODER.decode(run.read(int.from_bytes(length, "big")))


def together(entries: Iterable[Entry], most: int) -> Iterator[tuple[list[Entry], int]]:
    """Neighbours whose keys begin alike: all but the last two parts, which say where in the files each came from. Of
    more than `most`, so many, and how many there are besides."""
    for _, group in groupby(entries, key=lambda entry: entry[0][:-2]):
        held = list(islice(group, most))
        yield held, sum(1 for _ in group)  # noqa: B031 - what is left of it
