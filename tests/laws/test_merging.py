"""Customers who are merged and split, on the toy: what the road does by itself, whatever the service."""

from hypothesis import given
from hypothesis import strategies as st

from common.contracts.envelope import Data, Event
from common.contracts.ingest import CheckIn, CustomerErased, CustomerMerged, CustomerSplit, HistoryEnded, Share, Visit
from common.contracts.work import StateMoved
from common.decision import Aggregate, Decision, Occasion, Stored, Timer
from common.ids import derived_id
from tests.laws.counting import HOUR, Counted, State, decide, service
from tests.laws.merging import (
    A,
    B,
    C,
    Meetings,
    World,
    assert_merged_in_any_cut,
    assert_passed_on_as_if_told,
    assert_split_gives_back,
    early_and_late,
    lives,
    meetings,
)
from tests.laws.streams import SHOP, START, event

TOY = service()
KINDS = st.sampled_from([Visit(), CheckIn(), Share()])


@given(meetings(st.one_of(KINDS, st.just(CustomerErased())), circles=True))
def test_merging_in_any_cut(story: Meetings) -> None:
    assert_merged_in_any_cut(TOY, story)


@given(lives(KINDS, (A, B)))
def test_what_is_passed_on_ends_as_if_it_had_been_told(events: tuple[Event[Data], ...]) -> None:
    assert_passed_on_as_if_told(TOY, events)


@given(lives(KINDS, (A, B)))
def test_a_split_gives_back(events: tuple[Event[Data], ...]) -> None:
    assert_split_gives_back(TOY, events, own=lambda state: state, of_other=lambda state: state)


@given(lives(KINDS, (A, B)), lives(KINDS, (A, B), first=100))
def test_a_state_that_comes_late_is_none_the_less(
    before: tuple[Event[Data], ...], after: tuple[Event[Data], ...]
) -> None:
    early, late = early_and_late(TOY, before, after)
    for name in early.customers:
        assert early.state(name).count == late.state(name).count


def test_who_is_merged_hands_over_its_state_and_sleeps() -> None:
    world = World(TOY)
    world.tell(event(1, A, CheckIn(), START))
    world.take(event(2, A, CustomerMerged(B), START + HOUR))
    (moved,) = world.under_way[A, B]
    assert (moved.type, moved.customer_id, moved.received_at) == ("state.moved", B, START + HOUR)
    assert moved.data == StateMoved(A, State(1, (Timer(START + HOUR, "remind", "1"),)))
    assert (world.stored(A).into, world.stored(A).wake_at) == (B, None)
    world.deliver()
    world.tell(event(3, A, Visit(), START + 2 * HOUR))
    assert world.facts(B)[-1].causation_id == derived_id("test", "e3"), "a repeat of it is a repeat there"
    assert [one.data for one in world.facts(A)] == [Counted(1)]


def test_of_an_unknown_customer_the_merge_is_remembered_and_nothing_sent() -> None:
    world = World(TOY)
    world.tell(event(1, A, CustomerMerged(B), START))
    assert B not in world.customers
    world.tell(event(2, A, Visit(), START))
    assert [one.data for one in world.facts(B)] == [Counted(1)]


def test_a_split_of_one_who_was_never_merged_is_nothing() -> None:
    world = World(TOY)
    world.tell(event(1, A, Visit(), START))
    world.tell(event(2, A, CustomerSplit(B), START))
    assert world.stored(A).state == State(1)
    assert B not in world.customers


def test_a_circle_ends_in_a_dead_letter() -> None:
    world = World(TOY)
    for number, (name, into) in enumerate(((A, B), (B, A))):
        world.tell(event(number, name, CustomerMerged(into), START))
    world.poison().clear()
    world.tell(event(9, A, Visit(), START))
    lost = [one for one in world.poison() if isinstance(one.event.data, Visit)]
    assert [(one.event.id, one.reason.path) for one in lost] == [("e9", "$.passedon")]


def test_a_customer_inside_an_import_is_merged_quietly_and_wakes_when_both_have_ended() -> None:
    world = World(TOY)
    world.tell(event(1, A, CheckIn(), START, historic=True))
    world.tell(event(2, B, CheckIn(), START + HOUR))
    world.tell(event(3, A, CustomerMerged(B), START + HOUR, historic=True))
    assert not world.stored(B).historic, "what is merged into it does not silence it"
    world.tell(event(4, A, CheckIn(), START, historic=True))
    assert world.stored(B).wake_at is None, "but more of the import does, as if it were told of itself"
    world.tell(event(5, A, HistoryEnded(), START + HOUR))
    assert (world.stored(A).historic, world.stored(B).historic) == (False, False)
    assert world.stored(B).wake_at is not None
    world.tell(event(6, A, CustomerSplit(B), START + HOUR))
    assert world.stored(A).into == ""


def test_who_is_merged_anew_points_to_who_lives_on() -> None:
    world = World(TOY)
    world.tell(event(1, A, CustomerMerged(B), START))
    world.tell(event(2, B, CustomerMerged(C), START))
    world.tell(event(3, A, CustomerMerged(C), START))
    world.tell(event(4, A, Visit(), START))
    assert world.stored(A).into == C
    assert [one.data for one in world.facts(C)] == [Counted(1)]


def test_a_merge_that_cannot_be_decided_leaves_the_customer_as_it_was() -> None:
    def fails(state: State | None, occasion: Occasion) -> Decision[State]:
        if isinstance(occasion.what, CustomerMerged):
            raise KeyError("merge")
        return decide(state, occasion)

    one = Aggregate("toy", fails, SHOP, A, None)
    one.take(event(1, A, CheckIn(), START))
    one.take(event(2, A, CustomerMerged(B), START))
    assert [poison.reason.reason for poison in one.poison] == ["KeyError: 'merge'"]
    assert (one.stored, one.sent) == (Stored(State(1, one.stored.timers), START, one.stored.timers), [])  # type: ignore[union-attr]
