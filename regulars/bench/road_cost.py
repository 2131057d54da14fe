"""What an event costs a road: the time it takes, and what all processors spend on it, ours and the server's."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple, Self

import psutil
from msgspec import structs

from common.contracts.envelope import Data, Event
from regulars.bench import road_stage
from regulars.bench.road_stage import Sample

LATER = timedelta(days=90)  # than those before


class Cost(NamedTuple):
    """Of one event, in milliseconds: until it is done, and of all processors' time, ours and the server's."""

    wall_ms: float
    cpu_ms: float


class Meter:
    """Around a run of a road, with the database's server beside it."""

    def __init__(self, server: psutil.Process) -> None:
        self._server = server
        self._spent = 0.0

    def __enter__(self) -> Self:
        self._spent = -self._cpu()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._spent += self._cpu()

    def cost(self, samples: Sequence[Sample]) -> Cost:
        """Of one event of those."""
        first, last = road_stage.measured(samples)
        own = (last.cpu - first.cpu) / (last.events - first.events)
        return Cost(1_000 / road_stage.rate(samples), 1_000 * (own + self._spent / last.events))

    def _cpu(self) -> float:
        """Seconds of the server and all that it has started, those that have ended too."""
        seconds = sum(self._server.cpu_times()[:4])
        for child in self._server.children():
            with suppress(psutil.NoSuchProcess):
                seconds += sum(child.cpu_times()[:2])
        return seconds


def least(costs: Sequence[Cost]) -> Cost:
    """Of several runs, of each kind the best."""
    return Cost(min(cost.wall_ms for cost in costs), min(cost.cpu_ms for cost in costs))


def later(event: Event[Data], number: int) -> Event[Data]:
    """The like of it as it happens again so many times later, and no repeat of it."""
    data = event.data
    return structs.replace(
        event,
        id=f"{number}-{event.id}",
        occurred_at=event.occurred_at + LATER * (number + 1),
        received_at=event.received_at + LATER * (number + 1),
        data=structs.replace(data, order_id=f"{number}-{data.order_id}") if hasattr(data, "order_id") else data,
    )
