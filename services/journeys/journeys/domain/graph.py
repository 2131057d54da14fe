"""What a journey is: the event that enters it, the events that leave it, and its steps in the order of moments."""

from datetime import timedelta

from msgspec import Struct

from common.contracts.envelope import Data
from common.contracts.ingest import Channel, Purpose
from common.predicate import Predicate

FINISHED = "finished"  # the reason of a journey.left that nothing but the last step brought about


class Step(Struct, frozen=True):
    """One message, `after` the event that entered; the same `template` serves every language."""

    step: str
    after: timedelta
    send: Channel
    template: str


class Leave(Struct, frozen=True):
    """An event that ends enrollments: the one of the same key (that order), or those of all other keys."""

    on: type[Data]
    same: bool


class Enter(Struct, frozen=True):
    """The event that starts an enrollment; its field `key` tells enrollments apart, each key enters once for good."""

    on: type[Data]
    key: str
    where: Predicate | None = None  # asked of the event's own fields


class Definition(Struct, frozen=True):
    """A journey as its file says it."""

    journey: str
    purpose: Purpose
    enter: Enter
    steps: tuple[Step, ...]
    leave: tuple[Leave, ...] = ()
