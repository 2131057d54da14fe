"""What a feed is: the words of one platform over a WebSocket, without the socket.

A conversation is told what was heard and says what to send; it waits for nothing and opens nothing. Who runs it
confirms a message only when what it tells is committed, so that whatever is lost on the way is handed out again.
"""

from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

Wire = bytes | str  # a binary frame, or one of text


class Handed(Struct, frozen=True):
    """A message that was handed out. `body` is a delivery's body for the source's connector; `receipt` is what the
    platform wants to hear again, None where it named nothing to confirm."""

    body: bytes
    receipt: Any = None


class Malformed(Exception):
    """What came is no frame of this platform's."""


class Refused(Exception):
    """The platform does not let us in; the text says why, in its words."""


class Conversation(Protocol):
    """One connection's worth of talk."""

    beat_s: float  # how often to say `beat`

    @property
    def is_open(self) -> bool:
        """Whether the platform has let us in."""

    def address(self, now: datetime) -> str:
        """Where to connect to."""

    def hello(self, now: datetime) -> Wire | None:
        """The first thing to say, if there is one."""

    def heard(self, frame: Wire) -> Handed | None:
        """What a frame brings. Raises Malformed, and Refused before it is open."""

    def beat(self, now: datetime) -> Wire:
        """What keeps messages coming."""

    def confirm(self, receipt: Any, now: datetime) -> Wire:
        """That the message is ours now."""


def millis(now: datetime) -> int:
    """Milliseconds since 1970, as both platforms count."""
    return int(now.timestamp() * 1000)
