"""The ledger: every movement of points is one posting from one account to another, so all accounts add up to zero."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from msgspec import Struct

from common.contracts.loyalty import (
    PointsEarned,
    PointsMoved,
    PointsReversed,
    PointsTransferredIn,
    PointsTransferredOut,
)

PROGRAMME = "programme:issued"  # the shop's side: below zero by as many points as its customers hold
CUSTOMER = "customer"
TRANSFER = "transfer"  # between two customers who are one: holds something only while that is under way

# Source and destination of each kind of movement.
ROUTES: Mapping[type[PointsMoved], tuple[str, str]] = MappingProxyType(
    {
        PointsEarned: (PROGRAMME, CUSTOMER),
        PointsReversed: (CUSTOMER, PROGRAMME),
        PointsTransferredIn: (TRANSFER, CUSTOMER),
        PointsTransferredOut: (CUSTOMER, TRANSFER),
    }
)
NUMBER_DIGITS = 8  # of a posting id: postings of one customer sort as text in the order they were made


class Posting(Struct, frozen=True):
    """`points` moved from `source` to `destination`; unique by `posting_id` within its customer."""

    posting_id: str
    source: str
    destination: str
    points: int
    at: datetime
    cause: str  # id of the event or timer that led to it

    def __post_init__(self) -> None:
        assert self.points > 0, f"posting {self.posting_id} moves {self.points} points"
        assert self.source != self.destination, f"posting {self.posting_id} moves from {self.source} to itself"

    def change(self, account: str) -> int:
        """What the posting adds to the account's balance (below zero: takes from it)."""
        return self.points * ((account == self.destination) - (account == self.source))


def posting(kind: type[PointsMoved], posting_id: str, points: int, at: datetime, cause: str) -> Posting:
    """The posting that a movement of this kind stands for."""
    source, destination = ROUTES[kind]
    return Posting(posting_id, source, destination, points, at, cause)


def posting_id(number: int) -> str:
    """The id of a customer's posting by its number, from 1 and without gaps: whoever misses one can see it."""
    return f"{number:0{NUMBER_DIGITS}d}"
