"""What is kept of a customer: the journeys walked now, and which events of which order (or cart ...) have been seen."""

from datetime import datetime

from msgspec import Struct, structs

from common.decision import Timer
from common.money import Money

MAX_KEYS = 1_000  # orders (carts, ...) remembered per customer and kind of key, the newest; Olist's busiest has 17

Keys = dict[str, str]  # key -> codes of the events seen of it (triggers.CODES), the one seen last at the end


class Enrollment(Struct, frozen=True, omit_defaults=True):
    """A customer on a journey, between two steps."""

    journey: str
    key: str
    since: datetime  # when the event that entered occurred; steps are measured from here
    due: datetime  # when the next step is
    next_step: int = 0  # its place in the definition
    amount: Money | None = None

    @property
    def timer(self) -> Timer:
        """The alarm for the next step; a walk never gives two steps of one enrollment the same."""
        return Timer(self.due, self.journey, self.key)


class State(Struct, frozen=True, omit_defaults=True):
    """`forgotten` counts the keys that made room for newer ones: their events would count as new again."""

    on: tuple[Enrollment, ...] = ()
    seen: dict[str, Keys] = {}
    forgotten: int = 0

    def timers(self) -> tuple[Timer, ...]:
        """All pending timers: one per enrollment."""
        return tuple(enrollment.timer for enrollment in self.on)

    def codes(self, field: str, key: str) -> str:
        """Which events have been seen of the key."""
        return self.seen.get(field, {}).get(key, "")


def remember(state: State, field: str, key: str, code: str) -> tuple[State, str | None]:
    """The state that has seen the event, and the key forgotten for it, if any."""
    keys = dict(state.seen.get(field, ()))
    keys[key] = keys.pop(key, "") + code
    oldest = None
    if len(keys) > MAX_KEYS:
        oldest = next(iter(keys))
        del keys[oldest]
    forgotten = state.forgotten + (oldest is not None)
    return structs.replace(state, seen={**state.seen, field: keys}, forgotten=forgotten), oldest
