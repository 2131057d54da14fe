"""What makes a service: everything else about it is the road, the same for all."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from msgspec import Struct

from common.contracts.envelope import Data, Event
from common.contracts.ingest import CustomerMerged, CustomerSplit, HistoryEnded, Tick
from common.contracts.topics import Topic
from common.contracts.work import StateMoved, TimerDue
from common.db.engine import Connection
from common.decision import Decide, Decision, Occasion, Stored

# What the road itself has an answer to, in every service.
OF_THE_ROAD: tuple[type[Data], ...] = (Tick, HistoryEnded, TimerDue, CustomerMerged, CustomerSplit, StateMoved)

S = TypeVar("S")


class Saved(Struct, Generic[S], frozen=True):
    """One customer after a batch: what is stored now and the facts of this batch, in order."""

    shop_id: str
    customer_id: str
    stored: Stored[S]
    facts: tuple[Event[Data], ...]


Project = Callable[[Connection, Sequence[Saved[S]]], Awaitable[None]]


async def project_nothing(connection: Connection, saved: Sequence[Saved[Any]]) -> None:
    """For a service that keeps no rows of its own."""


@dataclass(frozen=True)
class Service(Generic[S]):
    """A decision, the topics it is fed from, and where its facts go."""

    name: str  # also its schema and its role
    reads: tuple[Topic, ...]
    writes: Topic
    work: Topic
    state: type[S]
    decide: Decide[S]
    project: Project[S] = project_nothing
    told_aside: tuple[Topic, ...] = ()  # of what it reads, what must not move a customer's time
    heeds: frozenset[type[Data]] | None = None  # what the decision has a branch for; None: everything it reads

    def is_heeded(self, event_type: str) -> bool:
        """Whether the decision could do anything but leave all as it is. What it could not, never reaches it: most of
        what a shop tells is nothing to most services, and looking up a customer for it is most of the work."""
        return self._heeded is None or event_type in self._heeded

    @cached_property
    def asides(self) -> frozenset[str]:
        """The types of events that are told aside; see `Aggregate`."""
        return frozenset(data.TYPE for topic in self.told_aside for data in topic.events)

    @cached_property
    def _heeded(self) -> frozenset[str] | None:
        return None if self.heeds is None else frozenset(data.TYPE for data in (*self.heeds, *OF_THE_ROAD))


class CannotSave(Exception):
    """What a timer led to could not be saved."""


def refusing(service: Service[S], reason: str) -> Service[S]:
    """The same service, but every timer fails: it leaves its state and becomes a dead letter with this reason."""

    def refuse(_: S | None, __: Occasion) -> Decision[S]:
        raise CannotSave(reason)

    return replace(service, decide=refuse, project=project_nothing)
