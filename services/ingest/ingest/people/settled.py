"""What comes of a flush's events once it is known whose they are."""

from msgspec import Struct

from ingest.domain.accept import Accepted
from ingest.people.belongings import Move


class Settled(Struct, frozen=True):
    """What is told, in order, and whose personal data goes with whom."""

    told: list[Accepted]
    moves: list[Move]
