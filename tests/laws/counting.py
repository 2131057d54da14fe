"""A toy service for proving the road itself: it counts events, sets reminders, and fails when it is told to."""

from datetime import timedelta
from typing import ClassVar

from msgspec import Struct

from common.contracts.envelope import Data
from common.contracts.ingest import EVENTS, CheckIn, CustomerErased, CustomerMerged, CustomerSplit, Share, Visit
from common.contracts.topics import Topic
from common.contracts.work import EVENTS as WORK_EVENTS
from common.contracts.work import StateMoved
from common.decision import Decision, Occasion, Timer
from common.service import Project, Service, project_nothing

HOUR = timedelta(hours=1)
MAX_REMINDERS = 3
POISON = Visit(category="poison")  # its decision fails
FAULTY_REMINDER = Share(item_id="faulty")  # sets a reminder whose decision fails


class Counted(Data, frozen=True):
    """An event was counted; `count` is the number with it."""

    TYPE: ClassVar[str] = "toy.counted"
    count: int


class Reminded(Data, frozen=True):
    """A reminder went off; `of` is the count it was set at, `count` the count it found."""

    TYPE: ClassVar[str] = "toy.reminded"
    of: str
    count: int


class State(Struct, frozen=True):
    """How many events there were, and what is still to be reminded of."""

    count: int = 0
    reminders: tuple[Timer, ...] = ()


def decide(state: State | None, occasion: Occasion) -> Decision[State]:
    """A CheckIn sets a reminder an hour later, beside those that stand; everything that happens is counted, for who is
    one with another too."""
    state = state or State()
    count, reminders = state.count + 1, state.reminders
    match occasion.what:
        case Timer(kind="faulty") as timer:
            raise ValueError(f"faulty {timer.key}")
        case Timer() as timer:
            rest = tuple(t for t in reminders if t != timer)
            return Decision(State(state.count, rest), (Reminded(timer.key, state.count),), rest)
        case Visit(category="poison"):
            raise ValueError("poison")
        case StateMoved(state=theirs, taken_back=taken_back):
            count = state.count + (-theirs.count if taken_back else theirs.count)
            return Decision(State(count, reminders), (), reminders)
        case CustomerMerged() | CustomerSplit() | CustomerErased():
            return Decision(state, (), reminders)
        case CheckIn():
            reminders = (*reminders, Timer(occasion.at + HOUR, "remind", str(count)))
        case Share(item_id="faulty"):
            reminders = (*reminders, Timer(occasion.at + HOUR, "faulty", str(count)))
        case _:
            pass
    reminders = reminders[-MAX_REMINDERS:]
    return Decision(State(count, reminders), (Counted(count),), reminders)


def service(name: str = "toy", project: Project[State] = project_nothing) -> Service[State]:
    """The toy on the road: it owns the topic it reads, too."""
    events, counts, work = topics(name)
    return Service(name=name, reads=(events,), writes=counts, work=work, state=State, decide=decide, project=project)


def topics(name: str = "toy") -> tuple[Topic, Topic, Topic]:
    """What it reads, what it writes, and its own work."""
    return (
        Topic(f"{name}.events.v1", name, EVENTS),
        Topic(f"{name}.counts.v1", name, (Counted, Reminded)),
        Topic(f"{name}.work.v1", name, WORK_EVENTS, work=True),
    )
