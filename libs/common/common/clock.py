"""The clock of the house: the only file that may ask what time it is."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

NEVER = datetime.max.replace(tzinfo=UTC)
MAX_FACTOR = 100_000  # times real speed: a shop's day in under a second


class Clock(Protocol):
    """Tells the shop's time. Whoever stamps or waits is given one; `domain/` never sees it."""

    def now(self) -> datetime:
        """An aware UTC datetime; it may stand still, and it may jump as the machine's clock does."""


@dataclass(frozen=True, slots=True)
class RealClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class FrozenClock:
    """Stands still: the state of a shop at one moment."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True)
class AcceleratedClock:
    """Runs `factor` times as fast as the machine's since that said `wall_start`, so all who are told both agree.

    From `until` on, if there is one, it goes on at the machine's pace.
    """

    factor: float
    shop_start: datetime
    wall_start: datetime
    until: datetime = NEVER

    def now(self) -> datetime:
        wall = datetime.now(UTC) - self.wall_start
        fast = min(wall, (self.until - self.shop_start) / self.factor)
        return self.shop_start + fast * self.factor + (wall - fast)


def parse_clock(text: str) -> Clock:
    """`real`, `frozen:<time>` or `accelerated:<factor>@<shop time>@<wall time>`, with `@<until>` behind it for a shop
    time from which on it is real; times are ISO 8601 with an offset."""
    kind, _, rest = text.partition(":")
    match kind, *rest.split("@"):
        case "real", "":
            return RealClock()
        case "frozen", at:
            return FrozenClock(_time(at))
        case "accelerated", factor, shop_start, wall_start, *until if len(until) <= 1:
            if not 0 < float(factor) <= MAX_FACTOR:  # so it is for nan
                raise ValueError(f"factor {factor} is not above 0 and at most {MAX_FACTOR}")
            return AcceleratedClock(float(factor), _time(shop_start), _time(wall_start), *map(_time, until))
        case _:
            raise ValueError(f"{text!r} is none of: real, frozen:<time>, accelerated:<factor>@<shop time>@<wall time>")


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write it as in {text}+00:00")
    return time.astimezone(UTC)
