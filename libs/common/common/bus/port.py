"""What a bus promises its readers. The contract suite holds every backend to these sentences."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

Slot = tuple[str, int]  # topic, partition


class Mark(NamedTuple):
    """A sequence: the transaction that wrote a message and its place in it. Strictly increasing per slot."""

    xid: int
    id: int


class Message(NamedTuple):
    """One event's bytes; `key` is "shop/customer", empty for what is told to the partition itself."""

    topic: str
    part: int
    mark: Mark
    key: str
    body: bytes

    @property
    def slot(self) -> Slot:
        """The topic and partition the message stands in."""
        return self.topic, self.part


LoadMarks = Callable[[Collection[Slot]], Awaitable[dict[Slot, Mark]]]


class Subscription(Protocol):
    """One member of a group of readers. Each slot belongs to one member at a time, but a member that lost a slot may
    not know it yet: only the reader's own marks, compared in its transaction, decide who has the word."""

    marks: dict[Slot, Mark]
    """The slots held now, and how far the reader has applied each: loaded when a slot is gained."""

    async def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """Messages above the marks, each slot in order with no gap; waits up to `timeout_s` for the first. A message
        below a gap is never handed out: what is written by a transaction that commits late comes in its place.
        More than `max_messages` come only where each slot gives one, so that none starves behind the others."""

    def advance(self, marks: Mapping[Slot, Mark]) -> None:
        """The reader has committed these marks. Slots lost meanwhile are ignored."""

    async def reset(self) -> None:
        """Loads the marks anew and reads on from them: after a transaction that failed or was fenced."""


class Bus(Protocol):
    """Where topics are read. They are written through outboxes alone."""

    def subscribe(
        self, group: str, topics: tuple[str, ...], load_marks: LoadMarks
    ) -> AbstractAsyncContextManager[Subscription]:
        """Joins the group; leaving the context leaves the group."""
