"""Customers of one service who are merged and split: what one sends to another comes when it comes, in the order sent.

The laws that every `decide` keeps, and a world to play what a service promises besides.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec
from hypothesis import strategies as st

from common.batch import Codec
from common.contracts.envelope import Data, Event, encode
from common.contracts.ingest import CustomerErased, CustomerMerged, CustomerSplit
from common.decision import AN_INSTANT, MAX_PASSED_ON, Aggregate, Poison, Stored
from common.service import Service
from tests.laws.streams import GAPS, LAGS, SHOP, START, event

S = TypeVar("S")
A, B, C = "c1", "c2", "c3"
CIRCLE = "$.passedon"
MAX_STEPS = 10_000  # of draining; more means that something goes round and round


@dataclass
class World(Generic[S]):
    """Everybody of one service. With `cut` every event is a batch of its own, and all of it goes through its bytes."""

    service: Service[S]
    cut: bool = True
    customers: dict[str, Aggregate[S]] = field(default_factory=dict)
    under_way: dict[tuple[str, str], deque[Event[Data]]] = field(default_factory=dict)  # by sender and receiver

    def __post_init__(self) -> None:
        self.codec = Codec(self.service)

    def tell(self, news: Event[Data], waits: int | None = None) -> None:
        """An event of the topic; then so many of those under way come to whom they were sent, by default all."""
        self.take(news)
        self.deliver(waits)

    def take(self, news: Event[Data]) -> None:
        """What one customer is told."""
        name = news.customer_id
        one = self.customers.get(name) or self._customer(name, None)
        if self.cut:
            decoded = self.codec.event.decode(encode(news))
            assert isinstance(decoded, Event)
            news = decoded
            body = self.codec.encoder.encode(one.stored)
            stored = None if one.stored is None else self.codec.stored.decode(body)
            one, before = self._customer(name, stored), one
            one.facts, one.poison = before.facts, before.poison
        self.customers[name] = one
        one.take(news)
        for sent in one.sent:
            self.under_way.setdefault((name, sent.customer_id), deque()).append(sent)
        one.sent.clear()

    def deliver(self, count: int | None = None) -> None:
        """So many of what is under way, by default until nothing is."""
        for step in range(MAX_STEPS if count is None else count):
            waiting = sorted(road for road, queue in self.under_way.items() if queue)
            if not waiting:
                return
            self.take(self.under_way[waiting[step % len(waiting)]].popleft())
        assert count is not None, "it goes round and round"

    def stored(self, name: str) -> Stored[S]:
        """What is kept of a customer."""
        stored = self.customers[name].stored
        assert stored is not None
        return stored

    def state(self, name: str) -> S:
        """Its state alone."""
        return self.stored(name).state

    def facts(self, name: str) -> list[Event[Data]]:
        """What was said of a customer."""
        return self.customers[name].facts if name in self.customers else []

    def poison(self) -> list[Poison]:
        """What could not be decided, or passed on."""
        return [one for customer in self.customers.values() for one in customer.poison]

    def said(self) -> bytes:
        """Everything that is kept and was told, to the byte."""
        names = sorted(self.customers)
        return msgspec.json.encode([(n, self.customers[n].stored, self.customers[n].facts) for n in names])

    def _customer(self, name: str, stored: Stored[S] | None) -> Aggregate[S]:
        return Aggregate(self.service.name, self.service.decide, SHOP, name, stored, self.service.asides)


@dataclass(frozen=True)
class Meetings:
    """Events of a few customers, and after each how many of those under way come to whom they were sent."""

    events: tuple[Event[Data], ...]
    waits: tuple[int, ...]


@st.composite
def lives(
    draw: st.DrawFn,
    kinds: st.SearchStrategy[Data],
    names: Sequence[str] = (A, B, C),
    *,
    first: int = 0,
    begin: timedelta = timedelta(0),
    max_events: int = 12,
) -> tuple[Event[Data], ...]:
    """What happens to these customers, one after the other."""
    now, events = START + begin, []
    for number in range(first, first + draw(st.integers(0, max_events))):
        now += draw(GAPS)
        events.append(event(number, draw(st.sampled_from(names)), draw(kinds), now, now - draw(LAGS)))
    return tuple(events)


def meetings(kinds: st.SearchStrategy[Data], *, circles: bool = False) -> st.SearchStrategy[Meetings]:
    """Anything, and in between merges and splits; with `circles` also those that ingest would never decide."""
    pairs = [(A, B), (B, C), (A, C)] + ([(B, A), (C, A), (A, A)] if circles else [])
    merges = st.sampled_from(pairs).flatmap(
        lambda pair: st.sampled_from([(pair[0], CustomerMerged(pair[1])), (pair[0], CustomerSplit(pair[1]))])
    )
    others = st.tuples(st.sampled_from((A, B, C)), kinds)

    def told(steps: list[tuple[tuple[str, Data], timedelta, timedelta, int]]) -> Meetings:
        now, events = START, []
        for number, ((name, data), gap, lag, _) in enumerate(steps):
            now += gap
            late = timedelta(0) if isinstance(data, CustomerMerged | CustomerSplit) else lag
            events.append(event(number, name, data, now, now - late))
        return Meetings(tuple(events), tuple(step[3] for step in steps))

    step = st.tuples(st.one_of(others, others, others, merges), GAPS, LAGS, st.integers(0, 3))
    return st.lists(step, min_size=1, max_size=25).map(told)


def play(service: Service[S], story: Meetings, *, cut: bool = True) -> World[S]:
    """The world after the story, when nothing is under way any more."""
    world = World(service, cut)
    for news, waits in zip(story.events, story.waits, strict=True):
        world.tell(news, waits)
    world.deliver()
    return world


def assert_merged_in_any_cut(service: Service[Any], story: Meetings) -> None:
    """Where batches are cut changes nothing; who was merged is never woken; nothing goes round for ever."""
    world = play(service, story)
    assert play(service, story, cut=False).said() == world.said()
    for one in world.customers.values():
        assert one.stored is None or not one.stored.into or (one.stored.timers, one.stored.wake_at) == ((), None)
    for poison in world.poison():
        circle = poison.reason.path == CIRCLE and poison.event.passed_on == MAX_PASSED_ON
        assert circle or "into itself" in poison.reason.reason, poison


def assert_passed_on_as_if_told(service: Service[Any], events: Sequence[Event[Data]]) -> None:
    """With A merged into B, and B into C, all that is told of A or B ends as if it had been told of C; but to be
    forgotten is told to each id."""
    passed_on, direct = World(service), World(service)
    passed_on.tell(event(1_000, A, CustomerMerged(B), START))
    passed_on.tell(event(1_001, B, CustomerMerged(C), START))
    events = [news for news in events if not isinstance(news.data, CustomerErased)]
    for news in events:
        passed_on.tell(news)
        direct.tell(msgspec.structs.replace(news, customer_id=C))
    assert not passed_on.poison()
    if events:
        assert passed_on.stored(C) == direct.stored(C)
        assert passed_on.facts(C) == direct.facts(C)


def assert_split_gives_back(
    service: Service[S], events: Sequence[Event[Data]], own: Callable[[S], object], of_other: Callable[[S], object]
) -> None:
    """Merged and split, with nothing in between: both are what they were, as far as `own` and `of_other` look."""
    world, apart = World(service), World(service)
    for news in events:
        world.tell(news)
        apart.tell(news)
    at = max((one.received_at for one in events), default=START)
    world.tell(event(1_000, A, CustomerMerged(B), at))
    world.tell(event(1_001, A, CustomerSplit(B), at))
    for one in (*world.customers.values(), *apart.customers.values()):
        one.wake(at + AN_INSTANT)  # what falls due at that very moment is asked by a split, else after all news of it
    assert not world.poison()
    assert world.stored(A).into == ""
    if A in apart.customers and apart.customers[A].stored is not None:
        assert own(world.state(A)) == own(apart.state(A))
    if B in apart.customers and apart.customers[B].stored is not None:
        assert of_other(world.state(B)) == of_other(apart.state(B))


def early_and_late(
    service: Service[S], before: Sequence[Event[Data]], after: Sequence[Event[Data]]
) -> tuple[World[S], World[S]]:
    """A merged into B between the two; what A had comes to B at once, and after everything else."""
    early, late = World(service), World(service)
    for world, waits in ((early, None), (late, 0)):
        for news in before:
            world.tell(news)
        at = max((one.received_at for one in before), default=START)
        world.take(event(1_000, A, CustomerMerged(B), at))
        world.deliver(waits)
        for news in after:
            world.take(news)
        world.deliver()
        assert not world.poison()
    return early, late
