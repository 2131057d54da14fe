"""Which ways out are closed for now: an outage is the channel's or the vault's, so it costs no message a try.

A closed way is left alone for a pause, then the next round tries it again. Each process finds out for itself.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from common.retry import FOREVER, Retry
from notifier.channels.port import Away, Deferred, Outcome, Refused, Sent

VAULT = "vault"  # all that leaves needs an address, so with the vault every way is closed
PAUSE = Retry(first_ms=1_000, factor=2.0, max_ms=60_000, max_tries=FOREVER)  # of a way, as often as it was found closed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Closed:
    reason: str
    found: int  # times in a row
    until_s: float  # of the monotonic clock

    @property
    def pause_s(self) -> float:
        return PAUSE.next(self.found) or 0.0


class Outages:
    """By the name of the way: a channel's, or another's that channels need."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._closed: dict[str, _Closed] = {}

    def learn(self, way: str, outcomes: Sequence[Outcome]) -> None:
        """Closes the way when it answered nothing; any answer about a message opens it again."""
        if any(_answered(outcome) for outcome in outcomes):
            self._closed.pop(way, None)
            return
        away = next((outcome for outcome in outcomes if isinstance(outcome, Away)), None)
        if away is None:
            return
        found = self._closed[way].found + 1 if way in self._closed else 1
        pause_s = PAUSE.next(found) or 0.0
        self._closed[way] = _Closed(away.reason, found, self._monotonic() + pause_s)
        log.warning("a way out is closed", way=way, reason=away.reason, pause_s=pause_s)

    def shut(self, way: str) -> bool:
        """Whether it is not to be tried yet."""
        return way in self._closed and self._monotonic() < self._closed[way].until_s

    def pause_s(self, ways: Sequence[str]) -> float:
        """How long a message waits that needs all of these and could not leave."""
        return max((self._closed[way].pause_s for way in ways if way in self._closed), default=PAUSE.next(1) or 0.0)

    def why(self) -> str | None:
        """None while every way is open, else which are not and why."""
        return "; ".join(f"{way}: {closed.reason}" for way, closed in sorted(self._closed.items())) or None


def _answered(outcome: Outcome) -> bool:
    return isinstance(outcome, Sent | Refused) or (isinstance(outcome, Deferred) and not outcome.in_doubt)
