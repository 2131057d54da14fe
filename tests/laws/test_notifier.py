"""The laws of notifier: each key is told of once, however requests and reports come."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from common.contracts.envelope import Data, Decoder, Event, encode
from common.contracts.ingest import HistoryEnded
from common.contracts.journeys import JourneyEntered, MessageRequested
from common.contracts.notifier import DeliveryAttempted, MessageFailed, MessageOutcome, MessageSent
from notifier.domain.decide import HEEDS, decider
from notifier.domain.state import MAX_KEYS, MAX_PENDING, MAX_SETTLED, State
from tests.laws.every_decide import (
    assert_bounded,
    assert_cut_anywhere,
    assert_deliver_twice,
    assert_heeds_enough,
    assert_independent,
    assert_late_alarm,
    run,
)
from tests.laws.notifier_streams import EVENTS
from tests.laws.streams import START, Delivery, any_events, deliveries, event, people_events, streams

DECIDE = decider(lambda asked: "no such template" if asked.template == "gone" else None)
MAX_STATE_BYTES = 6_000  # five keys, their messages pending or settled


@given(deliveries(EVENTS))
def test_cut_anywhere(delivery: Delivery) -> None:
    assert_cut_anywhere(DECIDE, State, delivery)


@given(deliveries(EVENTS))
def test_deliver_twice(delivery: Delivery) -> None:
    assert_deliver_twice(DECIDE, State, delivery)


@given(deliveries(EVENTS))
def test_late_alarm(delivery: Delivery) -> None:
    assert_late_alarm(DECIDE, State, delivery)


@given(deliveries(EVENTS))
def test_independent(delivery: Delivery) -> None:
    assert_independent(DECIDE, State, delivery)


@given(deliveries(st.one_of(EVENTS, any_events(), people_events()), imports=False))
def test_heeds_enough(delivery: Delivery) -> None:
    assert_heeds_enough(DECIDE, State, HEEDS, delivery)


@given(deliveries(EVENTS))
def test_bounded(delivery: Delivery) -> None:
    assert_bounded(DECIDE, State, delivery, max_state_bytes=MAX_STATE_BYTES)


@given(streams(EVENTS))
def test_replay(stream: tuple[Event[Data], ...]) -> None:
    decoder = Decoder((MessageRequested, JourneyEntered, DeliveryAttempted, HistoryEnded))
    again = [decoder.decode(encode(one)) for one in stream]
    assert all(isinstance(one, Event) for one in again)
    assert run(DECIDE, State, [one for one in again if isinstance(one, Event)]) == run(DECIDE, State, stream)


@given(streams(EVENTS), st.randoms(use_true_random=False))
def test_a_request_that_is_repeated_changes_nothing(stream: tuple[Event[Data], ...], dice: object) -> None:
    """A request told twice in a row, as another event, leaves state and facts as told once."""
    once = run(DECIDE, State, stream)
    doubled: list[Event[Data]] = []
    for number, one in enumerate(stream):
        doubled.append(one)
        if isinstance(one.data, MessageRequested):
            doubled.append(
                event(
                    1_000 + number, one.customer_id, one.data, one.received_at, one.occurred_at, historic=one.historic
                )
            )
    twice = run(DECIDE, State, doubled)
    assert {name: stored.state for name, stored in twice.stored.items()} == {
        name: stored.state for name, stored in once.stored.items()
    }
    assert twice.facts == once.facts


@given(streams(EVENTS))
def test_one_fact_per_key_and_only_for_live_requests(stream: tuple[Event[Data], ...]) -> None:
    outcome = run(DECIDE, State, stream)
    for name, facts in outcome.facts.items():
        first: dict[str, Event[Data]] = {}
        for one in stream:
            if one.customer_id == name and isinstance(one.data, MessageRequested):
                first.setdefault(one.data.message_key, one)
        told = Counter(fact.data.message_key for fact in facts if isinstance(fact.data, MessageOutcome))
        assert set(told.values()) <= {1}
        assert all(not first[key].historic for key in told)
        for key, request in first.items():
            asked = request.data
            assert isinstance(asked, MessageRequested)
            if asked.channel == "in_app" and not request.historic:
                (fact,) = [x for x in facts if isinstance(x.data, MessageOutcome) and x.data.message_key == key]
                assert type(fact.data) is (MessageFailed if asked.template == "gone" else MessageSent)
                assert fact.received_at == max(request.received_at, START)


@given(st.integers(0, MAX_KEYS + 5), st.sampled_from(["sms", "in_app"]))
def test_a_state_never_outgrows_its_bounds(count: int, channel: str) -> None:
    asked = MessageRequested("", "j", "s", channel, "marketing", "t", {})  # type: ignore[arg-type]
    state: State | None = None
    requests = [
        event(n, "c", MessageRequested(f"k{n}", *_rest(asked)), START)  # type: ignore[arg-type]
        for n in range(count)
    ]
    if requests:
        state = run(DECIDE, State, requests).stored["c"].state
        assert len(state.keys) == min(count, MAX_KEYS)
        assert len(state.pending) == (min(count, MAX_PENDING) if channel == "sms" else 0)
        assert len(state.settled) <= MAX_SETTLED
        assert state.accepted == count


def _rest(asked: MessageRequested) -> tuple[object, ...]:
    return asked.journey, asked.step, asked.channel, asked.purpose, asked.template, asked.params
