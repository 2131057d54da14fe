"""Two customers who are one, in loyalty: whatever is merged and split, points add up and are none the fewer."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from common.contracts.envelope import Data, Event
from common.contracts.ingest import CustomerMerged, CustomerSplit, OrderCancelled, OrderCompleted, OrderRefunded
from common.contracts.loyalty import PointsEarned, PointsReversed, PointsTransferredIn
from common.decision import Timer
from common.money import Money
from loyalty.app import service
from loyalty.domain.account import Account
from loyalty.domain.order import Order
from loyalty.domain.posting import posting
from tests.laws.loyalty_points import RULES, balances, movements
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
from tests.laws.streams import AMOUNTS, ORDER_IDS, START, event, order_events

MEETING = service(RULES)
OF_A = order_events()
OF_B: st.SearchStrategy[Data] = st.builds(OrderCompleted, st.sampled_from(["b1", "b2"]), AMOUNTS)
SINCE: st.SearchStrategy[Data] = st.one_of(
    OF_B,
    st.builds(OrderCancelled, ORDER_IDS),
    st.builds(OrderRefunded, ORDER_IDS, st.sampled_from(["s1", "s2"]), AMOUNTS),
)


@given(meetings(order_events(), circles=True))
def test_merging_in_any_cut(story: Meetings) -> None:
    assert_merged_in_any_cut(MEETING, story)


@given(lives(order_events(), (A, B)))
def test_what_is_passed_on_ends_as_if_it_had_been_told(events: tuple[Event[Data], ...]) -> None:
    assert_passed_on_as_if_told(MEETING, events)


@given(meetings(order_events(), circles=True))
def test_the_ledger_adds_up_whoever_is_merged(story: Meetings) -> None:
    """At every moment all accounts hold nothing together, and each customer what its own postings say; what lies
    between two customers is there only while that is under way."""
    world = World(MEETING)
    for news, waits in zip(story.events, story.waits, strict=True):
        world.tell(news, waits)
        held = ledger(world)
        assert sum(held.values()) == 0
    world.deliver()
    held = ledger(world)
    if not any("circle" in one.reason.reason for one in world.poison()):
        assert held["transfer"] == 0
        assert -held["programme:issued"] == sum(world.state(name).balance for name in known(world))


def ledger(world: World[Account]) -> Counter[str]:
    held: Counter[str] = Counter()
    for name in known(world):
        moved = movements(world.customers[name])
        own = balances([posting(type(one), one.posting_id, one.points, START, "cause") for one in moved])
        assert own["customer"] == world.state(name).balance
        assert [int(one.posting_id) for one in moved] == list(range(1, len(moved) + 1))
        held.update(own)
    return held


def known(world: World[Account]) -> list[str]:
    return [name for name, one in world.customers.items() if one.stored is not None]


@given(lives(OF_A, (A,)), lives(OF_B, (B,), first=100))
def test_points_are_as_many_after_a_merge_as_before(
    of_a: tuple[Event[Data], ...], of_b: tuple[Event[Data], ...]
) -> None:
    world = World(MEETING)
    for news in (*of_a, *of_b):
        world.tell(news)
    before = sum(world.state(name).balance for name in known(world))
    world.tell(event(1_000, A, CustomerMerged(B), max((one.received_at for one in (*of_a, *of_b)), default=START)))
    assert world.state(A).balance == 0
    if B in world.customers:
        assert world.state(B).balance == before


@given(lives(OF_A, (A,)), lives(OF_B, (B,), first=100))
def test_a_split_gives_back(of_a: tuple[Event[Data], ...], of_b: tuple[Event[Data], ...]) -> None:
    """A as it was; B but for its tier, which stays until its review."""
    assert_split_gives_back(
        MEETING,
        (*of_a, *of_b),
        own=lambda account: replace(account, postings=0),
        of_other=lambda account: (account.balance, account.orders),
    )


@given(lives(OF_A, (A,)), lives(OF_B, (B,), first=100), lives(SINCE, (A, B), first=200, begin=timedelta(days=3_000)))
def test_a_state_that_comes_late_is_none_the_less(
    of_a: tuple[Event[Data], ...], of_b: tuple[Event[Data], ...], since: tuple[Event[Data], ...]
) -> None:
    """In points and orders, though refunds of the orders it knows were told to the other before. The tier is by what
    was known at each moment."""
    early, late = early_and_late(MEETING, (*of_a, *of_b), since)
    assert early.customers.keys() == late.customers.keys()
    for name in early.customers:
        assert early.state(name).balance == late.state(name).balance
        assert told_alike(early.state(name)) == told_alike(late.state(name))


def told_alike(account: Account) -> dict[str, Order]:
    return {
        order_id: replace(order, refunds=tuple(sorted(order.refunds)))
        for order_id, order in account.orders.items()
        if order != Order()
    }


def test_what_both_knew_of_an_order_counts_once() -> None:
    world = World(MEETING)
    for number, name in enumerate((A, B)):
        world.tell(event(number, name, OrderCompleted("o1", Money(10_000, "CNY")), START))
    world.tell(event(3, B, OrderRefunded("o1", "r1", Money(4_000, "CNY")), START))
    world.tell(event(4, A, CustomerMerged(B), START))
    assert world.state(B).balance == 60
    assert [(type(one), one.points) for one in movements(world.customers[B])] == [
        (PointsEarned, 100),
        (PointsReversed, 40),
        (PointsTransferredIn, 100),
        (PointsReversed, 100),
    ]


def test_what_is_gone_since_is_given_back_all_the_same() -> None:
    """The refund happened at B and stays there: B is below zero, and the two together hold what is right."""
    world = World(MEETING)
    world.tell(event(1, A, OrderCompleted("o1", Money(10_000, "CNY")), START))
    world.tell(event(2, A, CustomerMerged(B), START))
    world.tell(event(3, A, OrderRefunded("o1", "r1", Money(4_000, "CNY")), START))
    world.tell(event(4, A, CustomerSplit(B), START))
    assert (world.state(A).balance, world.state(B).balance) == (100, -40)
    world.tell(event(5, B, CustomerMerged(A), START))
    assert (world.state(A).balance, world.state(B).balance) == (60, 0)


def test_what_joins_somebody_inside_an_import_is_history_too() -> None:
    world = World(MEETING)
    world.tell(event(1, A, OrderCompleted("o1", Money(10_000, "CNY")), START))
    world.tell(event(2, B, OrderCompleted("o2", Money(10_000, "CNY")), START, historic=True))
    world.tell(event(3, A, CustomerMerged(B), START))
    assert [(type(fact.data), fact.historic) for fact in world.facts(B)] == [
        (PointsEarned, True),
        (PointsTransferredIn, True),
    ]
    assert world.stored(B).historic


def test_nobody_falls_by_being_one_with_another() -> None:
    """A's gold came by a spend long past, and stays until its review."""
    world = World(MEETING)
    world.tell(event(1, A, OrderCompleted("o1", Money(250_000, "CNY")), START))
    later = START + timedelta(days=365)
    world.tell(event(2, A, OrderCompleted("o2", Money(60_000, "CNY")), START + timedelta(days=360)))
    world.tell(event(3, A, CustomerMerged(B), later))
    tier, review = world.state(B).tier, world.state(B).next_review_at
    assert tier == world.state(A).tier
    assert review == world.state(A).next_review_at
    assert review is not None
    assert world.stored(B).timers == (Timer(review, "tier.review"),)
