"""The alarm clock: which customers to wake, once all the news up to their timers has been decided.

A timer due at D goes off when the partition's watermark has passed D. The watermark comes with the ticks. Where no
tick comes although there is nothing left to read, alarms are held for `watermark_patience_s` at most.
"""

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from common.clock import Clock
from common.telemetry import metrics

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
SWEEP_EVERY_S = 30.0  # looks below the floors again, for an alarm that somebody else set there

log = structlog.get_logger()


class Alarms:
    """Watermark and floor of every partition held. The floor is where the next claim starts to look."""

    def __init__(self, service: str, clock: Clock, patience_s: float) -> None:
        self._service, self._clock, self._patience_s = service, clock, patience_s
        self._watermarks: dict[int, datetime] = {}
        self._floors: dict[int, datetime] = {}
        self._heard_at: dict[int, float] = {}
        self._silent: set[int] = set()
        self._swept_at = time.monotonic()

    def hold(self, parts: Collection[int]) -> None:
        """These partitions are ours now; of one newly gained nothing is known yet."""
        now = time.monotonic()
        self._heard_at = {part: self._heard_at.get(part, now) for part in parts}
        self._watermarks = {part: mark for part, mark in self._watermarks.items() if part in self._heard_at}
        self._floors = {part: self._floors.get(part, BEGINNING) for part in parts}
        if now - self._swept_at > SWEEP_EVERY_S:
            self._floors = dict.fromkeys(parts, BEGINNING)
            self._swept_at = now
        if self._watermarks:
            behind = self._clock.now() - min(self._watermarks.values())
            metrics.ROAD_WATERMARK_SECONDS.labels(self._service).set(behind.total_seconds())

    def hear(self, watermarks: Mapping[int, datetime]) -> None:
        """Ticks that were read, and all before them decided."""
        now = time.monotonic()
        for part in watermarks.keys() & self._heard_at.keys():
            self._watermarks[part] = max(watermarks[part], self._watermarks.get(part, BEGINNING))
            self._heard_at[part] = now

    def lose_patience(self) -> None:
        """There is nothing left to read: a partition silent for too long gets its watermark from the clock."""
        now = time.monotonic()
        silent = {part for part, heard_at in self._heard_at.items() if now - heard_at > self._patience_s}
        forced = self._clock.now() - timedelta(seconds=self._patience_s)
        for part in silent:
            self._watermarks[part] = max(forced, self._watermarks.get(part, BEGINNING))
        if begun := sorted(silent - self._silent):
            log.warning("no tick: alarms go by the clock", service=self._service, parts=begun, watermark=forced)
            metrics.ROAD_PATIENCE_USED.labels(self._service).inc(len(begun))
        self._silent = silent

    def armed(self, part: int, wake_at: datetime | None) -> None:
        """A state was saved with this alarm."""
        if wake_at is not None and part in self._floors:
            self._floors[part] = min(self._floors[part], wake_at)

    def windows(self) -> dict[int, tuple[datetime, datetime]]:
        """Per partition where alarms to look for lie: from floor to watermark, where there is room between."""
        return {part: (self._floors[part], w) for part, w in self._watermarks.items() if self._floors[part] < w}

    def claimed(self, searched: Mapping[int, tuple[datetime, datetime]], last: Mapping[int, datetime]) -> None:
        """After a claim: a partition that gave alarms goes on at its last one, the others at their watermark."""
        for part in searched.keys() & self._floors.keys():
            self._floors[part] = last.get(part, searched[part][1])
