"""Segmentation's laws: however events come, a customer is at every instant where the bare rules put it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from common.contracts.envelope import Data, Event
from common.contracts.ingest import (
    CustomerErased,
    CustomerMerged,
    CustomerRegistered,
    CustomerSplit,
    CustomerUpdated,
    OrderCancelled,
    OrderPaid,
    Visit,
)
from common.contracts.segmentation import LifecycleChanged
from common.decision import Aggregate
from common.money import Money
from segmentation.app import service
from segmentation.domain.decide import decider
from segmentation.domain.models.lifecycle import Thresholds
from segmentation.domain.profile.orders import MAX_ORDERS
from segmentation.domain.profile.state import Profile, Purchases
from tests.books import book
from tests.laws.every_decide import (
    assert_bounded,
    assert_cut_anywhere,
    assert_deliver_twice,
    assert_independent,
    assert_late_alarm,
    assert_replay,
    run,
)
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
from tests.laws.streams import (
    CURRENCY,
    GAPS,
    LAGS,
    ORDER_IDS,
    SHOP,
    START,
    Delivery,
    any_events,
    deliveries,
    event,
    other_events,
    streams,
)

THRESHOLDS = Thresholds(
    currency=CURRENCY,
    repeat_from=2,
    loyal_from=3,
    stimulate_from=timedelta(days=15),
    winback_from=timedelta(days=60),
    lost_from=timedelta(days=180),
)
BOOK = book(SHOP, THRESHOLDS)
DECIDE = decider({SHOP: BOOK})
MAX_STATE_BYTES = 6_000  # of a customer with the few events of these streams
TICK = timedelta(microseconds=1)

# Little but payments and cancellations, so that every cell of the grid is reached again and again.
PURCHASES: st.SearchStrategy[Data] = st.one_of(
    st.builds(OrderPaid, ORDER_IDS, st.sampled_from([Money(100, CURRENCY), Money(250, CURRENCY)])),
    st.builds(OrderPaid, ORDER_IDS, st.just(Money(9_900, CURRENCY))),
    st.builds(OrderCancelled, ORDER_IDS),
)


@given(deliveries())
def test_batches_may_be_cut_anywhere(delivery: Delivery) -> None:
    assert_cut_anywhere(DECIDE, Profile, delivery)


@given(deliveries())
def test_a_batch_may_come_twice(delivery: Delivery) -> None:
    assert_deliver_twice(DECIDE, Profile, delivery)


@given(deliveries(PURCHASES))
def test_a_late_alarm_changes_nothing(delivery: Delivery) -> None:
    assert_late_alarm(DECIDE, Profile, delivery)


@given(deliveries())
def test_a_replay_gives_the_same_bytes(delivery: Delivery) -> None:
    assert_replay(DECIDE, Profile, delivery)


@given(deliveries())
def test_customers_are_independent(delivery: Delivery) -> None:
    assert_independent(DECIDE, Profile, delivery)


@given(deliveries())
def test_states_stay_small(delivery: Delivery) -> None:
    assert_bounded(DECIDE, Profile, delivery, max_state_bytes=MAX_STATE_BYTES)


def bare_purchases(events: Sequence[Event[Data]]) -> list[tuple[datetime, int]]:
    """Time and amount of each purchase after these events of one customer, straight from the rules."""
    now = START
    paid: dict[str, tuple[datetime, int]] = {}
    cancelled: set[str] = set()
    for one in events:
        now = max(now, one.received_at)
        if isinstance(one.data, OrderPaid) and one.data.order_id not in paid:
            paid[one.data.order_id] = (min(one.occurred_at, now), one.data.amount.amount_minor)
        if isinstance(one.data, OrderCancelled):
            cancelled.add(one.data.order_id)
    return [payment for order_id, payment in paid.items() if order_id not in cancelled]


def bare_totals(purchases: Sequence[tuple[datetime, int]]) -> Purchases | None:
    """The same, added up."""
    if not purchases:
        return None
    times = [paid_at for paid_at, _ in purchases]
    return Purchases(len(purchases), min(times), max(times), sum(amount for _, amount in purchases))


def bare_cell(purchases: Sequence[tuple[datetime, int]], instant: datetime) -> tuple[str, str | None]:
    """Where somebody with these purchases belongs at an instant, straight from the rules."""
    if not purchases:
        return "prospect", None
    lifecycle = {1: "new", 2: "repeat"}.get(len(purchases), "loyal")
    days = (instant - max(purchases)[0]) // timedelta(days=1)
    for below, activity in ((15, "active"), (60, "stimulate"), (180, "winback")):
        if days < below:
            return lifecycle, activity
    return lifecycle, "lost"


@given(streams(PURCHASES, customers=1), st.lists(GAPS, max_size=8))
def test_at_every_instant_a_customer_is_where_the_rules_say(
    stream: tuple[Event[Data], ...], gaps: list[timedelta]
) -> None:
    one = Aggregate("law", DECIDE, SHOP, "c1", None)
    now = stream[0].received_at
    for index, news in enumerate(stream):
        one.take(news)
        assert not one.poison
        if one.stored is None:
            continue  # an import that told nothing
        now = max(now, news.received_at)
        purchases = bare_purchases(stream[: index + 1])
        assert (one.stored.state.lifecycle, one.stored.state.activity) == bare_cell(purchases, now)
        assert one.stored.state.purchases == bare_totals(purchases)
        until = stream[index + 1].received_at if index + 1 < len(stream) else datetime.max.replace(tzinfo=UTC)
        for instant in sorted(now + gap for gap in gaps if now + gap < until):
            one.wake(instant + TICK)  # an alarm goes off when its instant has passed
            assert (one.stored.state.lifecycle, one.stored.state.activity) == bare_cell(purchases, instant)
            assert all(timer.due > instant for timer in one.stored.timers)


@given(deliveries(PURCHASES))
def test_there_is_one_fact_for_each_change_and_none_without(delivery: Delivery) -> None:
    outcome = run(DECIDE, Profile, delivery.events, end=delivery.end)
    for name, stored in outcome.stored.items():
        cells: list[tuple[str | None, str | None]] = [(None, None)]
        for fact in outcome.facts[name]:
            assert isinstance(fact.data, LifecycleChanged)
            assert (fact.data.previous_lifecycle, fact.data.previous_activity) == cells[-1]
            cells.append((fact.data.lifecycle, fact.data.activity))
        assert cells[-1] == (stored.state.lifecycle, stored.state.activity)
        assert all(before != after for before, after in pairwise(cells))


@given(st.lists(st.tuples(GAPS, LAGS, st.integers(0, 10_000)), min_size=1, max_size=2 * MAX_ORDERS + 10))
def test_orders_beyond_the_remembered_ones_still_count(payments: list[tuple[timedelta, timedelta, int]]) -> None:
    one = Aggregate("law", DECIDE, SHOP, "c1", None)
    now = START
    purchases: list[tuple[datetime, int]] = []
    for number, (gap, lag, amount) in enumerate(payments):
        now += gap
        purchases.append((min(now - lag, now), amount))
        one.take(event(number, "c1", OrderPaid(f"o{number}", Money(amount, CURRENCY)), now, now - lag))
    assert one.stored is not None
    assert one.stored.state.purchases == bare_totals(purchases)
    assert len(one.stored.state.orders) == min(len(payments), MAX_ORDERS)


# Two customers who are one


MEETING = service({SHOP: BOOK})
OF_B = st.sampled_from(["b1", "b2"])
OF_A: st.SearchStrategy[Data] = st.one_of(PURCHASES, any_events())
SINCE: st.SearchStrategy[Data] = st.one_of(st.builds(OrderCancelled, ORDER_IDS), other_events())
OWN: st.SearchStrategy[Data] = st.one_of(
    st.builds(OrderPaid, OF_B, st.just(Money(700, CURRENCY))), st.builds(OrderCancelled, OF_B)
)


@given(meetings(any_events(), circles=True))
def test_merging_in_any_cut(story: Meetings) -> None:
    assert_merged_in_any_cut(MEETING, story)


@given(lives(any_events(), (A, B)))
def test_what_is_passed_on_ends_as_if_it_had_been_told(events: tuple[Event[Data], ...]) -> None:
    assert_passed_on_as_if_told(MEETING, events)


@given(lives(OF_A, (A,)), lives(OWN, (B,), first=100))
def test_a_split_gives_back(of_a: tuple[Event[Data], ...], of_b: tuple[Event[Data], ...]) -> None:
    """A as it was; B but for when somebody last looked or filled a cart, which nobody can tell any more."""
    assert_split_gives_back(MEETING, (*of_a, *of_b), own=lambda profile: profile, of_other=bought)


def bought(profile: Profile) -> tuple[object, ...]:
    return frozenset(profile.orders), profile.dropped, profile.purchases, profile.lifecycle, profile.activity


@given(
    lives(OF_A, (A,)),
    lives(OWN, (B,), first=100),
    lives(st.one_of(SINCE, OWN), (A, B), first=200, begin=timedelta(days=3_000)),
)
def test_a_state_that_comes_late_is_none_the_less(
    of_a: tuple[Event[Data], ...], of_b: tuple[Event[Data], ...], since: tuple[Event[Data], ...]
) -> None:
    """Though news of the orders it knows was told to the other before."""
    early, late = early_and_late(MEETING, (*of_a, *of_b), since)
    assert early.customers.keys() == late.customers.keys()
    if B in early.customers:
        one, other = (replace(world.state(B), orders=(), erased_at=None) for world in (early, late))
        assert one == other
        assert frozenset(early.state(B).orders) == frozenset(late.state(B).orders)


@given(meetings(any_events()))
def test_nobody_who_was_merged_has_a_place_of_its_own(story: Meetings) -> None:
    """What is told last of everybody is where they are, and of who is merged nothing more is told."""
    world = play(MEETING, story)
    for name, one in world.customers.items():
        if one.stored is None or one.stored.into:
            continue
        told = [fact.data for fact in one.facts if isinstance(fact.data, LifecycleChanged)]
        profile = world.state(name)
        assert (told[-1].lifecycle, told[-1].activity) == (profile.lifecycle, profile.activity)


def test_an_erased_person_does_not_come_back_with_a_merge() -> None:
    world = World(MEETING)
    world.tell(event(1, A, CustomerRegistered("zh-CN", city="Hangzhou"), START))
    world.tell(event(2, A, Visit(), START))
    world.take(event(3, A, CustomerMerged(B), START))
    for number, name in ((4, A), (5, B)):
        world.take(event(number, name, CustomerErased(), START + TICK))
    world.deliver()
    for name in (A, B):
        profile = world.state(name)
        assert (profile.locale, profile.city, profile.visits) == (None, None, None)
    assert world.stored(A).into == B
    world.tell(event(6, A, CustomerUpdated("en"), START + TICK))
    assert world.state(B).locale == "en"


def test_more_orders_than_are_known_one_by_one_are_still_counted() -> None:
    world = World(MEETING)
    for number in range(MAX_ORDERS):
        for name in (A, B):
            world.tell(event(2 * number, name, OrderPaid(f"{name}-{number}", Money(10, CURRENCY)), START))
    world.tell(event(1_000, A, CustomerMerged(B), START))
    merged = world.state(B)
    assert merged.purchases == Purchases(2 * MAX_ORDERS, START, START, 20 * MAX_ORDERS)
    assert len(merged.orders) == MAX_ORDERS
    world.tell(event(1_001, A, CustomerSplit(B), START))
    assert world.state(B).purchases == world.state(A).purchases == Purchases(MAX_ORDERS, START, START, 10 * MAX_ORDERS)
