"""The laws of loyalty: points add up, tiers follow the spend, however the events come."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from common.contracts.envelope import Data, Event
from common.contracts.ingest import OrderCancelled, OrderCompleted, OrderRefunded
from common.contracts.loyalty import PointsEarned, PointsMoved, TierChanged
from common.decision import Aggregate
from loyalty.domain.account import Account
from loyalty.domain.decide import HEEDS, decider
from loyalty.domain.posting import posting
from tests.laws.every_decide import (
    assert_bounded,
    assert_cut_anywhere,
    assert_deliver_twice,
    assert_heeds_enough,
    assert_history_is_quiet,
    assert_independent,
    assert_late_alarm,
    assert_replay,
)
from tests.laws.loyalty_points import RULES, balances, movements
from tests.laws.streams import (
    GAPS,
    LAGS,
    SHOP,
    START,
    Delivery,
    any_events,
    deliveries,
    event,
    order_events,
    people_events,
    streams,
)

DECIDE = decider(RULES)
MAX_STATE_BYTES = 2_000  # four orders with two refunds each
RISING = ["ordinary", "silver", "gold", "diamond"]


@given(deliveries())
def test_cut_anywhere(delivery: Delivery) -> None:
    assert_cut_anywhere(DECIDE, Account, delivery)


@given(deliveries())
def test_deliver_twice(delivery: Delivery) -> None:
    assert_deliver_twice(DECIDE, Account, delivery)


@given(deliveries())
def test_late_alarm(delivery: Delivery) -> None:
    assert_late_alarm(DECIDE, Account, delivery)


@given(deliveries())
def test_replay(delivery: Delivery) -> None:
    assert_replay(DECIDE, Account, delivery)


@given(deliveries())
def test_independent(delivery: Delivery) -> None:
    assert_independent(DECIDE, Account, delivery)


@given(deliveries(st.one_of(any_events(), people_events()), imports=False))
def test_heeds_enough(delivery: Delivery) -> None:
    assert_heeds_enough(DECIDE, Account, HEEDS, delivery)


@given(deliveries())
def test_history_is_quiet(delivery: Delivery) -> None:
    assert_history_is_quiet(DECIDE, Account, delivery)


@given(deliveries())
def test_bounded(delivery: Delivery) -> None:
    assert_bounded(DECIDE, Account, delivery, max_state_bytes=MAX_STATE_BYTES)


# What follows is read off the raw events anew, order by order and instant by instant, with none of the product's code.


@dataclass(frozen=True)
class Known:
    """An event, and the instant it was decided at."""

    at: datetime
    event: Event[Data]


def net_by_order(events: Sequence[Known]) -> dict[str, tuple[datetime, int]]:
    """Of every completed order when it was completed and what is left of its amount, as far as the events tell."""
    said = [known.event.data for known in events]
    orders: dict[str, tuple[datetime, int]] = {}
    for known in reversed(events):  # so that the first completion of an order is the one that stays
        if isinstance(data := known.event.data, OrderCompleted):
            left = max(0, data.amount.amount_minor - refunded(said, data.order_id))
            cancelled = any(isinstance(one, OrderCancelled) and one.order_id == data.order_id for one in said)
            orders[data.order_id] = (min(known.event.occurred_at, known.at), 0 if cancelled else left)
    return orders


def refunded(said: Sequence[Data], order_id: str) -> int:
    """All that went back of the order; of the tellings of one refund the first counts."""
    refunds = [one for one in said if isinstance(one, OrderRefunded) and one.order_id == order_id]
    return sum({one.refund_id: one.amount.amount_minor for one in reversed(refunds)}.values())


def spend(events: Sequence[Known], at: datetime) -> int:
    return sum(
        left for completed_at, left in net_by_order(events).values() if at - timedelta(days=365) < completed_at <= at
    )


def tier(events: Sequence[Known], last_review: datetime) -> str:
    """By the highest spend since the last review: at it, after all that happened up to it, or at a completion since."""
    highest = spend([known for known in events if known.at <= last_review], last_review)
    for number, known in enumerate(events, start=1):
        if known.at > last_review and isinstance(known.event.data, OrderCompleted):
            highest = max(highest, spend(events[:number], known.at))
    return RISING[(highest >= 50_000) + (highest >= 200_000) + (highest >= 500_000)]


def reviews(year: int) -> list[datetime]:
    """When a quarter begins in Sao Paulo: at UTC-3, but UTC-2 on the New Years up to 2019."""
    return [datetime(year, month, 1, 2 if month == 1 and year <= 2019 else 3, tzinfo=UTC) for month in (1, 4, 7, 10)]


def review_before(at: datetime) -> datetime:
    return max(review for year in (at.year - 1, at.year) for review in reviews(year) if review < at)


def review_after(at: datetime) -> datetime:
    return min(review for year in (at.year, at.year + 1) for review in reviews(year) if review > at)


@st.composite
def stories(draw: st.DrawFn) -> list[Event[Data]]:
    """Live events of one customer's orders, often at a review's very instant, just before or just after it."""
    now = START
    story: list[Event[Data]] = []
    for number in range(draw(st.integers(1, 25))):
        near = draw(st.sampled_from([None, None, None, -1, 0, 1]))
        now = now + draw(GAPS) if near is None else review_after(now) + timedelta(microseconds=near)
        story.append(event(number, "c1", draw(order_events()), now, now - draw(LAGS)))
    return story


def told_step_by_step(story: Sequence[Event[Data]]) -> Iterator[tuple[Aggregate[Account], list[Known]]]:
    """The customer after each event, and the events up to it."""
    aggregate = Aggregate("law", DECIDE, SHOP, "c1", None)
    known: list[Known] = []
    for one in story:
        aggregate.take(one)
        assert not aggregate.poison, aggregate.poison
        assert aggregate.stored is not None
        known.append(Known(aggregate.stored.at, one))
        yield aggregate, known


def state(aggregate: Aggregate[Account]) -> Account:
    assert aggregate.stored is not None
    return aggregate.stored.state


@given(streams(order_events(), customers=1))
def test_balance_is_what_the_orders_are_worth(story: tuple[Event[Data], ...]) -> None:
    for aggregate, known in told_step_by_step(story):
        assert state(aggregate).balance == sum(left // 100 for _, left in net_by_order(known).values())


@given(streams(order_events(), customers=1))
def test_ledger_adds_up(story: tuple[Event[Data], ...]) -> None:
    """After every event: all accounts together hold nothing, the customer's holds the balance, no id is used twice."""
    for aggregate, _ in told_step_by_step(story):
        moved = movements(aggregate)
        ledger = [posting(type(one), one.posting_id, one.points, START, "cause") for one in moved]
        held = balances(ledger)
        assert sum(held.values()) == 0
        assert held["customer"] == state(aggregate).balance
        assert held["customer"] == (moved[-1].balance if moved else 0)
        assert [int(one.posting_id) for one in ledger] == list(range(1, len(ledger) + 1))


@given(streams(order_events(), customers=1))
def test_no_order_earns_twice_and_no_event_posts_twice(story: tuple[Event[Data], ...]) -> None:
    *_, (aggregate, _) = told_step_by_step(story)
    earned = [fact.data.order_id for fact in aggregate.facts if isinstance(fact.data, PointsEarned)]
    causes = [fact.causation_id for fact in aggregate.facts if isinstance(fact.data, PointsMoved)]
    assert len(earned) == len(set(earned))
    assert len(causes) == len(set(causes))


@given(streams(order_events(), customers=1))
def test_what_is_reversed_of_an_order_was_earned_by_it(story: tuple[Event[Data], ...]) -> None:
    *_, (aggregate, _) = told_step_by_step(story)
    held: Counter[str | None] = Counter()
    for one in movements(aggregate):
        held[one.order_id] += one.points if isinstance(one, PointsEarned) else -one.points
        assert held[one.order_id] >= 0


@given(stories(), GAPS)
def test_tier_follows_the_spend(story: list[Event[Data]], silence: timedelta) -> None:
    for aggregate, known in told_step_by_step(story):
        assert state(aggregate).tier == tier(known, review_before(known[-1].at))
    end = known[-1].at + silence + timedelta(microseconds=1)
    aggregate.wake(end)
    assert state(aggregate).tier == tier(known, review_before(end))


@given(stories())
def test_tier_falls_at_reviews_alone(story: list[Event[Data]]) -> None:
    *_, (aggregate, _) = told_step_by_step(story)
    held = "ordinary"
    for fact in aggregate.facts:
        if isinstance(fact.data, TierChanged):
            assert fact.data.previous == held
            falls = RISING.index(fact.data.tier) < RISING.index(held)
            assert falls == (fact.occurred_at in reviews(fact.occurred_at.year) and "review" in fact.data.reason)
            held = fact.data.tier
    assert held == state(aggregate).tier
