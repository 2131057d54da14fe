"""What comes of a flush's events once it is known whose they are."""

from msgspec import Struct

from ingest.belongings import Move
from ingest.domain.accept import Accepted


class Settled(Struct, frozen=True):
    """What is told, in order, and whose personal data goes with whom."""

    told: list[Accepted]
    moves: list[Move]
