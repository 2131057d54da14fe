"""What differs between two runs, row by row: pure, over two streams in the order of their keys."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

EXAMPLES_MAX = 5  # of each table and sort


class Row(NamedTuple):
    """A row under its key, which names the customer; `value` is all that must be the same."""

    key: tuple[str, ...]
    value: str


@dataclass
class Differences:
    """Of one table. A row too many is a doubled one, whether its key is new or there twice."""

    table: str
    rows: int = 0  # of the undisturbed run
    lost: int = 0
    doubled: int = 0
    different: int = 0
    examples: list[str] = field(default_factory=list)
    _shown: Counter[str] = field(default_factory=Counter)

    @property
    def none(self) -> bool:
        """Whether both runs came to the same."""
        return not (self.lost or self.doubled or self.different)

    def lose(self, row: Row) -> None:
        """It should be there and is not."""
        self.lost += 1
        self._show("lost", f"{'/'.join(row.key)}: {row.value}")

    def double(self, row: Row) -> None:
        """It is there and should not be, or not so often."""
        self.doubled += 1
        self._show("doubled", f"{'/'.join(row.key)}: {row.value}")

    def differ(self, row: Row, wanted: Row) -> None:
        """It is there, but another."""
        self.different += 1
        self._show("different", f"{'/'.join(row.key)}: {row.value}\n    instead of {wanted.value}")

    def _show(self, sort: str, text: str) -> None:
        self._shown[sort] += 1
        if self._shown[sort] <= EXAMPLES_MAX:
            self.examples.append(f"{self.table}: {sort}: {text}")


async def compare(table: str, got: AsyncIterator[Row], wanted: AsyncIterator[Row]) -> Differences:
    """Both streams in the order of their keys (by code point). A key may stand there as often as it is wanted."""
    found = Differences(table)
    mine, theirs = await anext(got, None), await anext(wanted, None)
    while mine is not None or theirs is not None:
        if theirs is None or (mine is not None and mine.key < theirs.key):
            assert mine is not None
            found.double(mine)
            mine = await anext(got, None)
        elif mine is None or theirs.key < mine.key:
            found.rows += 1
            found.lose(theirs)
            theirs = await anext(wanted, None)
        else:
            found.rows += 1
            if mine.value != theirs.value:
                found.differ(mine, theirs)
            mine, theirs = await anext(got, None), await anext(wanted, None)
    return found


async def stream(rows: Iterable[Row]) -> AsyncIterator[Row]:
    """Rows that are all there already, put in order."""
    for row in sorted(rows):
        yield row
