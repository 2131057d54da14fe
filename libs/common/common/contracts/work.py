"""Events that any service's own work topic may hold. What came for a merged customer is passed on there as it was."""

from typing import ClassVar, Generic, TypeVar

from common.contracts.envelope import Data, Time
from common.ids import Id

S = TypeVar("S")


class TimerDue(Data, frozen=True):
    """A timer whose decision failed once, put back by a replay of its dead letter."""

    TYPE: ClassVar[str] = "timer.due"
    due: Time
    kind: str
    key: str = ""


class StateMoved(Data, Generic[S], frozen=True):
    """To who lives on: what this service knew of the customer `of`, who was merged into it. With `taken_back` the
    merge was wrong, and what was brought goes away again."""

    TYPE: ClassVar[str] = "state.moved"
    of: Id
    state: S
    taken_back: bool = False


EVENTS: tuple[type[Data], ...] = (TimerDue, StateMoved)
