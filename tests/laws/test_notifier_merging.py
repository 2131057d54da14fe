"""Two customers who are one, in notifier: nothing is told twice, a no of either holds; and who asks to be forgotten."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from common.contracts.envelope import Data, Event
from common.contracts.ingest import ConsentChanged, CustomerErased, CustomerMerged, CustomerSplit
from common.contracts.journeys import MessageRequested
from common.contracts.notifier import DeliveryAttempted, MessageOutcome, MessageSent, MessageSuppressed
from notifier.app import service
from notifier.domain.decide import NO_CONSENT
from notifier.domain.state import MAX_KEYS, State
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
)
from tests.laws.notifier_streams import EVENTS, REQUESTS
from tests.laws.streams import START, event

MEETING = service()
ANY: st.SearchStrategy[Data] = st.one_of(
    EVENTS,
    st.builds(
        ConsentChanged,
        st.sampled_from(["sms", "email", "in_app"]),
        st.sampled_from(["marketing", "transactional"]),
        st.booleans(),
    ),
    st.just(CustomerErased()),
)


def by_notifier(events: tuple[Event[Data], ...]) -> tuple[Event[Data], ...]:
    """The reports are notifier's own."""
    return tuple(
        replace(one, source="regulars/notifier") if isinstance(one.data, DeliveryAttempted) else one for one in events
    )


def asked(key: str = "k1", channel: str = "sms", purpose: str = "marketing") -> MessageRequested:
    return MessageRequested(key, "gift_30d", "gift", channel, purpose, "gift_30d", {"order_id": "o1"})  # type: ignore[arg-type]


def told(world: World[State], name: str) -> list[Data]:
    return [fact.data for fact in world.facts(name)]


@given(meetings(ANY, circles=True))
def test_merging_in_any_cut(story: Meetings) -> None:
    assert_merged_in_any_cut(MEETING, Meetings(by_notifier(story.events), story.waits))


@given(lives(ANY, (A, B)))
def test_what_is_passed_on_ends_as_if_it_had_been_told(events: tuple[Event[Data], ...]) -> None:
    requests = [one for one in events if not isinstance(one.data, DeliveryAttempted)]
    assert_passed_on_as_if_told(MEETING, requests)


@given(lives(ANY, (A, B)))
def test_a_split_gives_back(events: tuple[Event[Data], ...]) -> None:
    """Both remember what either was told, and what either refused."""
    assert_split_gives_back(
        MEETING, by_notifier(events), own=lambda state: state, of_other=lambda state: (state.pending, state.accepted)
    )


@given(lives(ANY, (A, B)), lives(ANY, (A, B), first=100, begin=timedelta(days=3_000)))
def test_a_state_that_comes_late_is_none_the_less(
    before: tuple[Event[Data], ...], after: tuple[Event[Data], ...]
) -> None:
    """In what was told. What is allowed again in between stays refused, to be on the safe side."""
    early, late = early_and_late(MEETING, by_notifier(before), by_notifier(after))
    assert early.customers.keys() == late.customers.keys()
    for name in early.customers:
        assert set(early.state(name).keys) == set(late.state(name).keys)
        assert set(early.state(name).refused) <= set(late.state(name).refused)


@given(lives(REQUESTS, (A,)), lives(REQUESTS, (A, B), first=100, begin=timedelta(days=3_000)))
def test_what_either_was_told_is_not_told_again(
    before: tuple[Event[Data], ...], after: tuple[Event[Data], ...]
) -> None:
    world = World(MEETING)
    for news in before:
        world.tell(news)
    world.tell(event(1_000, A, CustomerMerged(B), START + timedelta(days=3_000)))
    for news in after:
        world.tell(news)
    keys: Counter[str] = Counter()
    for name in world.customers:
        waiting = world.state(name).pending
        keys.update([one.message_key for one in waiting])
        keys.update([one.message_key for one in told(world, name) if isinstance(one, MessageOutcome)])
    assert set(keys.values()) <= {1}


def test_what_waits_at_a_merge_is_still_its_own() -> None:
    world = World(MEETING)
    world.tell(event(1, A, asked(), START))
    world.tell(event(2, A, CustomerMerged(B), START))
    (report,) = by_notifier((event(3, A, DeliveryAttempted("k1", "sent"), START),))
    world.tell(report)
    assert told(world, A) == [MessageSent("k1", "sms", "gift_30d", "gift")]
    assert world.state(A).pending == ()
    assert told(world, B) == []


def test_marketing_without_consent_is_held_back_and_says_so() -> None:
    world = World(MEETING)
    world.tell(event(1, A, ConsentChanged("sms", "marketing", granted=False), START))
    for number, (channel, purpose) in enumerate(
        [("sms", "marketing"), ("sms", "transactional"), ("email", "marketing")], 2
    ):
        world.tell(event(number, A, asked(f"k{number}", channel, purpose), START))
    assert told(world, A) == [MessageSuppressed("k2", "sms", "gift_30d", "gift", NO_CONSENT)]
    assert [one.message_key for one in world.state(A).pending] == ["k3", "k4"]
    world.tell(event(5, A, ConsentChanged("sms", "marketing", granted=True), START))
    world.tell(event(6, A, asked("k6"), START))
    assert [one.message_key for one in world.state(A).pending] == ["k3", "k4", "k6"]


def test_in_the_app_too() -> None:
    world = World(MEETING)
    world.tell(event(1, A, ConsentChanged("in_app", "marketing", granted=False), START))
    world.tell(event(2, A, asked("k1", "in_app"), START))
    assert told(world, A) == [MessageSuppressed("k1", "in_app", "gift_30d", "gift", NO_CONSENT)]


def test_a_no_of_either_holds() -> None:
    world = World(MEETING)
    world.tell(event(1, A, ConsentChanged("sms", "marketing", granted=False), START))
    world.tell(event(2, B, ConsentChanged("sms", "marketing", granted=True), START))
    world.tell(event(3, A, CustomerMerged(B), START))
    world.tell(event(4, B, asked(), START))
    assert [type(one) for one in told(world, B)] == [MessageSuppressed]
    world.tell(event(5, A, CustomerSplit(B), START))
    assert world.state(A).refused == world.state(B).refused == (("sms", "marketing"),)


def test_no_words_are_kept_of_who_is_forgotten_and_a_no_is() -> None:
    world = World(MEETING)
    world.tell(event(1, A, ConsentChanged("email", "marketing", granted=False), START))
    world.tell(event(2, A, asked(), START))
    world.tell(event(3, A, asked("k2", "in_app", "transactional"), START))
    world.tell(event(4, A, CustomerErased(), START))
    state = world.state(A)
    assert [message.params for message in (*state.pending, *state.settled)] == [{}, {}]
    assert state.erased_up_to == state.accepted == 2
    assert state.refused == (("email", "marketing"),)


def test_keys_of_both_are_bounded() -> None:
    world = World(MEETING, cut=False)
    for number in range(MAX_KEYS):
        for name in (A, B):
            world.take(event(number, name, asked(f"{name}-{number}", "social"), START))
    world.tell(event(9_000, A, CustomerMerged(B), START))
    keys = world.state(B).keys
    assert len(keys) == MAX_KEYS
    assert f"{B}-0" in keys
