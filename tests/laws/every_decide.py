"""The laws of every `decide`: however a stream is delivered, states, facts and timers come out the same.

A service's law test calls these with its own decide, for example:

    @given(deliveries())
    def test_cut_anywhere(delivery: Delivery) -> None:
        assert_cut_anywhere(DECIDE, State, delivery)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Generic, TypeVar

import msgspec

from common.contracts.envelope import Data, Decoder, Event, encode
from common.contracts.ingest import EVENTS
from common.contracts.journeys import MessageRequested, RewardRequested
from common.decision import Aggregate, Decide, Stored
from tests.laws.streams import Delivery

S = TypeVar("S")
SERVICE = "law"


@dataclass(frozen=True)
class Outcome(Generic[S]):
    """What is kept of each customer, and what was said about it, in order."""

    stored: dict[str, Stored[S]]
    facts: dict[str, list[Event[Data]]]


def run(
    decide: Decide[S],
    state: type[S],
    events: Sequence[Event[Data]],
    *,
    cuts: Iterable[int] = (),
    wakes: Sequence[int] = (),
    end: datetime | None = None,
    twice: bool = False,
) -> Outcome[S]:
    """Decides the stream batch by batch; between batches states live as JSON, as in the database. See `Delivery`.

    With `twice` every batch is first decided in vain, as when the transaction of a batch fails.
    """
    stored_type = Stored[state]  # type: ignore[valid-type]  # a type made at run time is beyond mypy
    rows: dict[str, bytes] = {}
    facts: dict[str, list[Event[Data]]] = {}
    edges = sorted({0, *cuts, len(events)})
    for begin, stop in pairwise(edges):
        loaded = {name: msgspec.json.decode(row, type=stored_type) for name, row in rows.items()}
        if twice:
            _batch(decide, loaded, events[begin:stop], wakes[begin:stop])
        for one in _batch(decide, loaded, events[begin:stop], wakes[begin:stop]):
            rows[one.customer_id] = msgspec.json.encode(one.stored)
            facts.setdefault(one.customer_id, []).extend(one.facts)
    stored: dict[str, Stored[S]] = {}
    for name, row in rows.items():
        one = Aggregate(SERVICE, decide, events[0].shop_id, name, msgspec.json.decode(row, type=stored_type))
        if end is not None:
            one.wake(end)
        assert not one.poison, one.poison
        assert one.stored is not None
        stored[name] = one.stored
        facts[name].extend(one.facts)
    return Outcome(stored, facts)


def _batch(
    decide: Decide[S], loaded: dict[str, Stored[S]], events: Sequence[Event[Data]], wakes: Sequence[int]
) -> list[Aggregate[S]]:
    touched: dict[str, Aggregate[S]] = {}
    for index, event in enumerate(events):
        name = event.customer_id
        if name not in touched:
            touched[name] = Aggregate(SERVICE, decide, event.shop_id, name, loaded.get(name))
        one = touched[name]
        if wakes and one.stored is not None and event.received_at > one.stored.at:
            one.wake(one.stored.at + (event.received_at - one.stored.at) * wakes[index] / 4)
        one.take(event)
    for one in touched.values():
        assert not one.poison, one.poison
    return [one for one in touched.values() if one.stored is not None]


def assert_cut_anywhere(decide: Decide[S], state: type[S], delivery: Delivery) -> None:
    """Where batches are cut changes nothing, down to the ids of the facts; states survive JSON."""
    whole = run(decide, state, delivery.events, end=delivery.end)
    assert run(decide, state, delivery.events, cuts=delivery.cuts, end=delivery.end) == whole
    assert run(decide, state, delivery.events, cuts=range(len(delivery.events)), end=delivery.end) == whole


def assert_deliver_twice(decide: Decide[S], state: type[S], delivery: Delivery) -> None:
    """A batch that was decided in vain and comes again gives what it would have given: nothing was changed in place."""
    whole = run(decide, state, delivery.events, end=delivery.end)
    assert run(decide, state, delivery.events, cuts=delivery.cuts, end=delivery.end, twice=True) == whole


def assert_late_alarm(decide: Decide[S], state: type[S], delivery: Delivery) -> None:
    """Whether alarms are prompt, late or never go off before the next event changes no result."""
    silent = run(decide, state, delivery.events, end=delivery.end)
    alarmed = run(decide, state, delivery.events, wakes=delivery.wakes, end=delivery.end)
    assert alarmed == silent
    prompt = run(decide, state, delivery.events, wakes=[4] * len(delivery.events), end=delivery.end)
    assert prompt == silent


def assert_replay(decide: Decide[S], state: type[S], delivery: Delivery) -> None:
    """The same bytes off the bus give the same bytes of states and facts."""
    decoder = Decoder(EVENTS)
    again: list[Event[Data]] = []
    for event in delivery.events:
        decoded = decoder.decode(encode(event))
        assert isinstance(decoded, Event)
        again.append(decoded)
    first = run(decide, state, delivery.events, end=delivery.end)
    second = run(decide, state, again, end=delivery.end)
    assert _bytes(first) == _bytes(second)


def _bytes(outcome: Outcome[S]) -> tuple[bytes, bytes]:
    return msgspec.json.encode(outcome.stored, order="sorted"), msgspec.json.encode(outcome.facts, order="sorted")


def assert_independent(decide: Decide[S], state: type[S], delivery: Delivery) -> None:
    """A customer comes out the same alone as among others, in whatever way their streams interleave."""
    together = run(decide, state, delivery.events, end=delivery.end)
    for name, stored in together.stored.items():
        own = [event for event in delivery.events if event.customer_id == name]
        alone = run(decide, state, own, end=delivery.end)
        assert alone.stored == {name: stored}
        assert alone.facts == {name: together.facts[name]}


def assert_history_is_quiet(decide: Decide[S], state: type[S], delivery: Delivery) -> None:
    """Nobody is told or rewarded because of an import."""
    outcome = run(decide, state, delivery.events, end=delivery.end)
    for facts in outcome.facts.values():
        loud = [one for one in facts if one.historic and isinstance(one.data, MessageRequested | RewardRequested)]
        assert not loud


def assert_heeds_enough(decide: Decide[S], state: type[S], heeds: frozenset[type[Data]], delivery: Delivery) -> None:
    """What is not heeded changes nothing for anybody: neither what is said, nor what is kept, nor when to wake."""
    whole = run(decide, state, delivery.events, end=delivery.end)
    heeded = [event for event in delivery.events if type(event.data) in heeds]
    part = run(decide, state, heeded, end=delivery.end) if heeded else Outcome[S]({}, {})
    for name, stored in whole.stored.items():
        assert part.facts.get(name, []) == whole.facts[name]
        if name in part.stored:
            assert (part.stored[name].state, part.stored[name].timers) == (stored.state, stored.timers)
        else:
            assert stored.timers == ()


def assert_bounded(decide: Decide[S], state: type[S], delivery: Delivery, *, max_state_bytes: int) -> None:
    """What is kept of a customer stays small."""
    for stored in run(decide, state, delivery.events, end=delivery.end).stored.values():
        assert len(msgspec.json.encode(stored)) <= max_state_bytes
