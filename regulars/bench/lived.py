"""Profiles of `on_time`, as segmentation stores them: nobody made them up, the service's own decision has played them.

A customer came, bought, got its order and reviewed it, and then nothing: what comes next is the first change of its
place that comes of time alone. To have very many such profiles, each with another time, two histories some seconds
apart are played. What they differ in goes with the history, all else with the calendar; between them, the former is
moved.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property

from common.batch import Codec
from common.contracts import ingest
from common.contracts.envelope import Data
from common.contracts.segmentation import LifecycleChanged
from common.decision import AN_INSTANT, Aggregate
from common.service import Saved
from regulars.bench.as_received import ORDER, SHOP, event
from segmentation import app
from segmentation.domain.profile.state import Profile
from segmentation.domain.rulebook import Rulebook

MAX_WAKES = 1_000  # until the change
BOUGHT = ingest.Item("kettle", 1, category="kitchen")
STORY: tuple[tuple[timedelta, Data], ...] = (  # since the payment
    (-timedelta(hours=3), ingest.CustomerRegistered("zh-CN", "CN")),
    (-timedelta(hours=2), ingest.Visit("kettle", "kitchen")),
    (-timedelta(hours=1), ingest.CartItemAdded(BOUGHT)),
    (-timedelta(minutes=5), ingest.OrderPlaced("o", ORDER, (BOUGHT,))),
    (timedelta(0), ingest.OrderPaid("o", ORDER)),
    (timedelta(days=3), ingest.ShipmentDelivered("o", "s")),
    (timedelta(days=4), ingest.ReviewSubmitted(5, has_photo=True, topics=("product",))),
    (timedelta(days=10), ingest.OrderCompleted("o", ORDER)),
)
ANY_DAY = datetime(2030, 1, 1, 4, tzinfo=UTC)
TIME = re.compile(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z"')


class Lived:
    """Histories, each told by when its change comes."""

    def __init__(self, rulebooks: Mapping[str, Rulebook]) -> None:
        self.service = app.service(rulebooks)
        self._codec: Codec[Profile] = Codec(self.service)

    def customer(self, due: datetime) -> Saved[Profile]:
        """Somebody whose next change comes just then."""
        aggregate = self._live(due - self._wait)
        aggregate.wake(due)
        assert aggregate.stored is not None
        assert aggregate.stored.wake_at == due, f"wakes at {aggregate.stored.wake_at}, not {due}"
        return Saved(SHOP, aggregate.customer_id, aggregate.stored, tuple(aggregate.facts))

    def profiles(self, dues: Sequence[datetime]) -> Iterator[str]:
        """As they are stored, for changes at these times, one soon after the other."""
        first, last = (TIME.split(self._text(due)) for due in (dues[0], dues[-1]))
        # The text before, between and behind the times stands at the even places.
        moved = [place for place in range(1, len(first), 2) if first[place : place + 1] != last[place : place + 1]]
        starts = {place: _time(first[place]) for place in moved if place < len(last)}
        if first[::2] != last[::2] or any(_time(last[p]) - at != dues[-1] - dues[0] for p, at in starts.items()):
            yield from map(self._text, dues)  # a border of the calendar lies between
            return
        for due in dues:
            times = {place: (at + (due - dues[0])).replace(tzinfo=None).isoformat() for place, at in starts.items()}
            yield "".join(f'"{times.get(place, part)}Z"' if place % 2 else part for place, part in enumerate(first))

    def _text(self, due: datetime) -> str:
        return self._codec.encoder.encode(self.customer(due).stored).decode()

    def _live(self, paid_at: datetime) -> Aggregate[Profile]:
        aggregate: Aggregate[Profile] = Aggregate(self.service.name, self.service.decide, SHOP, "p", None)
        for number, (since, what) in enumerate(STORY):
            aggregate.take(event(f"p:{number}", "p", paid_at + since, what))
        return aggregate

    @cached_property
    def _wait(self) -> timedelta:
        """From the payment to the change."""
        aggregate = self._live(ANY_DAY)
        for _ in range(MAX_WAKES):
            assert aggregate.stored is not None
            due, told = aggregate.stored.wake_at, len(aggregate.facts)
            assert due is not None
            aggregate.wake(due + AN_INSTANT)
            if any(isinstance(fact.data, LifecycleChanged) for fact in aggregate.facts[told:]):
                return due - ANY_DAY
        raise AssertionError(f"no change of place within {MAX_WAKES} timers")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
