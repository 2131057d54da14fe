"""How many customers several segments share."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from pydantic import BaseModel, Field

FEWEST_SEGMENTS = 2
MOST_SEGMENTS = 6  # at once; there are 63 ways to share them


class OverlapOut(BaseModel):
    """Customers who are in all of `segments`; `only` of them are in no other of those that were asked about."""

    segments: list[str] = Field(examples=[["champions", "new-active"]])
    customers: int = Field(examples=[120])
    only: int = Field(examples=[80])


def shared(segments: Sequence[str], just: Mapping[int, int]) -> list[OverlapOut]:
    """Of each of the segments, each two, and so on; `just` counts those who are in just these, by their bits."""
    return [
        OverlapOut(
            segments=[segments[place] for place in places],
            customers=sum(count for bits, count in just.items() if bits & mine == mine),
            only=just.get(mine, 0),
        )
        for many in range(1, len(segments) + 1)
        for places in combinations(range(len(segments)), many)
        for mine in (sum(1 << place for place in places),)
    ]
