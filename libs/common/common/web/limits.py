"""Rate limits: how many requests and events a key or a source may send, and how often an address may be wrong.

None of them is there for honest traffic: what comes faster than it can be written is answered 503 by ingest's queue.
"""

import time
from collections.abc import Callable, Mapping
from http.client import responses
from math import ceil
from typing import Literal

from common.settings import Settings
from common.telemetry import metrics
from common.web.problems import Problem

Limit = Literal["key", "source", "address"]

WHAT: Mapping[Limit, str] = {
    "key": "requests and events of an API key",
    "source": "deliveries of a source",
    "address": "wrong keys and signatures of an address",
}
ROUNDING_S = 1e-6
HELD_MAX = 10_000  # names remembered by one limit
FAILURES_BURST_S = 10  # what an address may do wrong at once, in seconds' worth of its rate


class Bucket:
    """A token bucket for each name: `rate_per_s` tokens, `burst` at once; a rate of 0 is no limit.

    Whoever has one is let in, and what it turns out to cost is taken then: a batch larger than the burst passes once,
    and what follows waits for what it owes. Of each name one number is kept: when it will have all its tokens again.
    """

    def __init__(
        self, limit: Limit, rate_per_s: float, burst: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._rate_per_s, self._monotonic = limit, rate_per_s, monotonic
        self._burst_s = (burst - 1) / rate_per_s if rate_per_s else 0.0  # but for the one token it takes to be let in
        self._full_at_s: dict[str, float] = {}
        self._refused = metrics.HTTP_LIMITED.labels(limit)  # at 0 from the start

    def check(self, name: str) -> None:
        """Raises a 429 that says when to come again, where there is nothing left."""
        if not self._full_at_s or (full_at_s := self._full_at_s.get(name)) is None:
            return
        wait_s = full_at_s - self._monotonic() - self._burst_s
        if wait_s > ROUNDING_S:
            self._refused.inc()
            detail = f"More than {self._rate_per_s:g} {WHAT[self._limit]} a second."
            raise Problem(429, responses[429], detail, headers={"Retry-After": str(max(1, ceil(wait_s)))})

    def charge(self, name: str, amount: int = 1) -> None:
        """Takes what was used, even where it is not there."""
        if not self._rate_per_s:
            return
        now_s = self._monotonic()
        self._full_at_s[name] = max(now_s, self._full_at_s.pop(name, now_s)) + amount / self._rate_per_s
        if len(self._full_at_s) > HELD_MAX:
            self._forget(now_s)

    def _forget(self, now_s: float) -> None:
        """Those who have all their tokens again; if nobody has, who was here least recently."""
        self._full_at_s = {name: at_s for name, at_s in self._full_at_s.items() if at_s > now_s}
        while len(self._full_at_s) > HELD_MAX:
            del self._full_at_s[next(iter(self._full_at_s))]


class Limits:
    """The limits of one process: replicas count each for itself."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.keys = Bucket("key", settings.rate_per_s, settings.rate_burst, monotonic)
        self.sources = Bucket("source", settings.rate_per_s, settings.rate_burst, monotonic)
        failures = settings.failures_per_s
        self.addresses = Bucket("address", failures, failures * FAILURES_BURST_S, monotonic)
