"""Two customers who are one, in journeys: nobody is told again what either was told, and no journey is begun twice."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given

from common.contracts.envelope import Data, Event
from common.contracts.ingest import (
    CustomerErased,
    CustomerMerged,
    CustomerSplit,
    OrderPaid,
    OrderPlaced,
    ShipmentDispatched,
)
from common.contracts.journeys import JourneyEntered, JourneyLeft, MessageRequested
from common.money import Money
from common.service import Service
from journeys.app import service
from journeys.domain.enrollment import MAX_KEYS, State
from tests.laws.journeys_streams import ANY, HEARD, ODD_ONES, PRESET_FILES
from tests.laws.merging import (
    A,
    B,
    Meetings,
    World,
    assert_merged_in_any_cut,
    assert_passed_on_as_if_told,
    assert_split_gives_back,
    early_and_late,
    lives,
    meetings,
    play,
)
from tests.laws.streams import CURRENCY, START, event

PRESET, ODD = service(PRESET_FILES), service(ODD_ONES)
BOTH = [pytest.param(PRESET, id="preset"), pytest.param(ODD, id="odd")]
AMOUNT = Money(60_000, CURRENCY)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.mark.parametrize("serving", BOTH)
@given(story=meetings(ANY, circles=True))
def test_merging_in_any_cut(serving: Service[State], story: Meetings) -> None:
    assert_merged_in_any_cut(serving, story)


@pytest.mark.parametrize("serving", BOTH)
@given(events=lives(HEARD, (A, B)))
def test_what_is_passed_on_ends_as_if_it_had_been_told(
    serving: Service[State], events: tuple[Event[Data], ...]
) -> None:
    assert_passed_on_as_if_told(serving, events)


@pytest.mark.parametrize("serving", BOTH)
@given(events=lives(HEARD, (A, B)))
def test_a_split_gives_back_what_was_seen(serving: Service[State], events: tuple[Event[Data], ...]) -> None:
    """Not the journeys: what has ended stays so. And B remembers on."""
    assert_split_gives_back(
        serving, events, own=lambda state: (state.seen, state.forgotten), of_other=lambda state: state.forgotten
    )


@pytest.mark.parametrize("serving", BOTH)
@given(story=meetings(HEARD))
def test_who_is_merged_walks_no_journey(serving: Service[State], story: Meetings) -> None:
    """Every journey that was entered is walked still or was left, each once; who is merged has left all."""
    world = play(serving, story)
    for name, one in world.customers.items():
        if one.stored is None:
            continue
        entered = Counter((f.data.journey, f.data.enrollment) for f in one.facts if isinstance(f.data, JourneyEntered))
        left = Counter((f.data.journey, f.data.enrollment) for f in one.facts if isinstance(f.data, JourneyLeft))
        on = Counter((walked.journey, walked.key) for walked in world.state(name).on)
        assert entered == left + on
        assert not (one.stored.into and on)
        told = Counter(fact.data.message_key for fact in one.facts if isinstance(fact.data, MessageRequested))
        assert set(told.values()) <= {1}


@pytest.mark.parametrize("serving", BOTH)
@given(
    of_a=lives(HEARD, (A,)),
    of_b=lives(HEARD, (B,), first=100),
    since=lives(HEARD, (A, B), first=200, begin=3_000 * DAY),
)
def test_a_state_that_comes_late_is_none_the_less(
    serving: Service[State],
    of_a: tuple[Event[Data], ...],
    of_b: tuple[Event[Data], ...],
    since: tuple[Event[Data], ...],
) -> None:
    """As long as the same news is not told twice: then it counts as new until it is known that it is not."""
    told = {what(one) for one in (*of_a, *of_b)}
    news = []
    for one in since:
        if what(one) not in told:
            told.add(what(one))
            news.append(one)
    early, late = early_and_late(serving, (*of_a, *of_b), news)
    assert early.customers.keys() == late.customers.keys()
    for name in early.customers:
        assert seen(early.state(name)) == seen(late.state(name))
        assert {(one.journey, one.key) for one in early.state(name).on} == {
            (one.journey, one.key) for one in late.state(name).on
        }


def what(one: Event[Data]) -> tuple[object, ...]:
    return type(one.data), getattr(one.data, "order_id", None), getattr(one.data, "cart_id", None)


def seen(state: State) -> dict[tuple[str, str], frozenset[str]]:
    return {(field, key): frozenset(codes) for field, keys in state.seen.items() for key, codes in keys.items()}


def test_an_order_that_the_one_was_reminded_of_does_not_start_again_at_the_other() -> None:
    world = World(PRESET)
    world.tell(event(1, A, OrderPlaced("o1", AMOUNT), START))
    world.tell(event(2, A, CustomerMerged(B), START + 10 * MINUTE))
    world.tell(event(3, B, OrderPlaced("o1", AMOUNT), START + 11 * MINUTE))
    assert world.facts(B) == []
    assert [fact.data for fact in world.facts(A)][-1] == JourneyLeft("payment_reminder", "o1", "customer.merged")
    world.tell(event(4, A, ShipmentDispatched("o1"), START + 12 * MINUTE))
    assert JourneyEntered("dispatch_notice", "o1") in [fact.data for fact in world.facts(B)]


@pytest.mark.parametrize(
    ("known", "reason"), [(OrderPaid("o1", AMOUNT), "order.paid"), (OrderPlaced("o1", AMOUNT), "customer.merged")]
)
def test_a_journey_begun_before_the_others_news_was_known_ends(known: Data, reason: str) -> None:
    world = World(PRESET)
    world.tell(event(1, A, known, START))
    world.take(event(2, A, CustomerMerged(B), START + MINUTE))
    world.take(event(3, B, OrderPlaced("o1", AMOUNT), START + MINUTE))
    assert [walked.journey for walked in world.state(B).on] == ["payment_reminder"]
    world.deliver()
    assert world.state(B).on == ()
    assert world.facts(B)[-1].data == JourneyLeft("payment_reminder", "o1", reason)


def test_the_others_journeys_go_on() -> None:
    world = World(PRESET)
    world.tell(event(1, B, OrderPlaced("o2", AMOUNT), START))
    world.tell(event(2, A, OrderPlaced("o1", AMOUNT), START))
    world.tell(event(3, A, CustomerMerged(B), START + MINUTE))
    assert [walked.key for walked in world.state(B).on] == ["o2"]
    assert world.stored(B).wake_at == START + 5 * MINUTE


def test_nothing_begins_again_after_a_split() -> None:
    world = World(PRESET)
    world.tell(event(1, A, OrderPlaced("o1", AMOUNT), START))
    world.tell(event(2, A, CustomerMerged(B), START + MINUTE))
    world.tell(event(3, A, CustomerSplit(B), START + MINUTE))
    world.tell(event(4, A, OrderPlaced("o1", AMOUNT), START + MINUTE))
    assert world.state(A).on == ()
    assert world.stored(A).timers == ()


def test_who_is_forgotten_walks_no_journey() -> None:
    world = World(PRESET)
    world.tell(event(1, A, OrderPlaced("o1", AMOUNT), START))
    world.tell(event(2, A, CustomerErased(), START + MINUTE))
    assert world.state(A).on == ()
    assert world.facts(A)[-1].data == JourneyLeft("payment_reminder", "o1", "customer.erased")


def test_what_both_have_seen_is_bounded() -> None:
    world = World(PRESET, cut=False)
    for number in range(MAX_KEYS):
        for name in (A, B):
            world.take(event(number, name, ShipmentDispatched(f"{name}-{number}"), START))
    world.tell(event(9_000, A, CustomerMerged(B), START))
    state = world.state(B)
    assert len(state.seen["order_id"]) == MAX_KEYS
    assert state.forgotten == MAX_KEYS
    assert f"{B}-0" in state.seen["order_id"], "the other's, of which no more news is told, are forgotten first"
