"""Events that any service's own work topic may hold."""

from typing import ClassVar

from common.contracts.envelope import Data, Time


class TimerDue(Data, frozen=True):
    """A timer whose decision failed once, put back by a replay of its dead letter."""

    TYPE: ClassVar[str] = "timer.due"
    due: Time
    kind: str
    key: str = ""


EVENTS: tuple[type[Data], ...] = (TimerDue,)
