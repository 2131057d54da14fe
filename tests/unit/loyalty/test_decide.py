"""What loyalty decides, as stories of one customer."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from common.contracts.ingest import HistoryEnded, OrderCompleted, Visit
from common.contracts.loyalty import PointsEarned, PointsReversed, TierChanged
from common.decision import Aggregate, Timer
from common.money import Money
from loyalty.domain import account
from loyalty.domain.account import Account
from loyalty.domain.decide import decider
from tests.laws.streams import event
from tests.unit.loyalty.telling import RULES, Customer, cancelled, completed, day, refunded

NOON = day("2018-02-10T12:00")
SECOND = timedelta(seconds=1)


def test_a_completed_order_earns_once() -> None:
    customer = Customer()
    assert customer.hears(completed("o1", 12_345), NOON) == [PointsEarned("00000001", 123, 123, "o1")]
    assert customer.hears(completed("o1", 12_345), NOON + SECOND) == []
    assert customer.hears(completed("o2", 100), NOON + SECOND) == [PointsEarned("00000002", 1, 124, "o2")]
    assert customer.account.opened_at == NOON


def test_a_refund_takes_back_what_the_order_is_worth_less() -> None:
    customer = Customer()
    customer.hears(completed("o1", 1_050), NOON)
    assert customer.hears(refunded("o1", "r1", 50), NOON) == []  # 10.00 is worth as many points as 10.50
    assert customer.hears(refunded("o1", "r2", 1), NOON) == [PointsReversed("00000002", 1, 9, "o1")]
    assert customer.hears(refunded("o1", "r2", 1), NOON) == []
    assert customer.hears(refunded("o1", "r3", 90_000), NOON) == [PointsReversed("00000003", 9, 0, "o1")]


def test_a_refund_before_the_completion_is_remembered() -> None:
    customer = Customer()
    assert customer.hears(refunded("o1", "r1", 400), NOON) == []
    assert customer.account.opened_at is None
    assert customer.hears(completed("o1", 1_000), NOON) == [PointsEarned("00000001", 6, 6, "o1")]


def test_a_cancelled_order_earns_nothing_and_gives_back_all() -> None:
    customer = Customer()
    customer.hears(cancelled("o1"), NOON)
    assert customer.hears(completed("o1", 1_000), NOON) == []
    assert customer.account.opened_at is None
    customer.hears(completed("o2", 1_000), NOON)
    assert customer.hears(cancelled("o2"), NOON) == [PointsReversed("00000002", 10, 0, "o2")]
    assert customer.hears(cancelled("o2"), NOON) == []


def test_an_order_worth_no_point_opens_an_account_without_a_posting() -> None:
    customer = Customer()
    assert customer.hears(completed("o1", 99), NOON) == []
    assert customer.account.opened_at == NOON
    assert (customer.account.balance, customer.account.postings) == (0, 0)


def test_other_events_leave_next_to_nothing() -> None:
    customer = Customer()
    assert customer.hears(Visit(), NOON) == []
    assert customer.account == Account(tier="ordinary")
    assert customer.wakes_at is None


def test_the_tier_rises_at_once_and_says_why() -> None:
    customer = Customer()
    assert customer.hears(completed("o1", 49_999), NOON) == [PointsEarned("00000001", 499, 499, "o1")]
    assert customer.wakes_at is None
    assert customer.hears(completed("o2", 1_201), NOON) == [
        PointsEarned("00000002", 12, 511, "o2"),
        TierChanged("silver", "ordinary", 51_200, "spend 512.00 in 365 days"),
    ]
    assert customer.wakes_at == day("2018-04-01T03:00")
    assert customer.hears(completed("o3", 448_800), NOON)[1:] == [
        TierChanged("diamond", "silver", 500_000, "spend 5000.00 in 365 days")
    ]


def test_the_tier_falls_at_the_review_alone() -> None:
    customer = Customer()
    customer.hears(completed("o1", 250_000), NOON)
    assert customer.hears(refunded("o1", "r1", 100_000), NOON + SECOND) == [
        PointsReversed("00000002", 1_000, 1_500, "o1")
    ]
    assert customer.account.tier == "gold"
    assert customer.sleeps_until(day("2018-04-01T03:00")) == []  # not before it is due
    assert customer.sleeps_until(day("2018-04-01T03:00") + SECOND) == [
        TierChanged("silver", "gold", 150_000, "review 2018-04-01")
    ]
    assert customer.wakes_at == day("2018-07-01T03:00")


def test_spend_counts_for_365_times_24_hours() -> None:
    customer = Customer()
    customer.hears(completed("o1", 60_000), day("2017-04-01T03:00"))
    # Exactly 365 x 24 h before the review of 1 April 2018 is outside of its window.
    assert customer.sleeps_until(day("2018-04-02")) == [TierChanged("ordinary", "silver", 0, "review 2018-04-01")]
    assert customer.wakes_at is None

    customer = Customer()
    customer.hears(completed("o1", 60_000), day("2017-04-01T03:00") + SECOND)
    assert customer.sleeps_until(day("2018-04-02")) == []
    assert customer.sleeps_until(day("2018-07-02")) == [TierChanged("ordinary", "silver", 0, "review 2018-07-01")]


def test_an_order_completed_at_the_reviews_instant_counts_first() -> None:
    customer = Customer()
    customer.hears(completed("o1", 60_000), day("2017-02-01"))
    assert customer.hears(completed("o2", 70_000), day("2018-04-01T03:00")) == [
        PointsEarned("00000002", 700, 1_300, "o2")
    ]
    assert customer.sleeps_until(day("2018-04-02")) == []
    assert customer.account.tier == "silver"
    assert customer.wakes_at == day("2018-07-01T03:00")


def test_a_rise_at_the_reviews_instant_is_reviewed_at_it() -> None:
    customer = Customer()
    customer.hears(completed("o1", 60_000), day("2018-04-01T03:00"))
    customer.hears(refunded("o1", "r1", 60_000), day("2018-04-01T03:00"))
    assert customer.sleeps_until(day("2018-04-02")) == [TierChanged("ordinary", "silver", 0, "review 2018-04-01")]


def test_an_order_told_late_counts_when_it_was_completed() -> None:
    customer = Customer()
    facts = customer.hears(completed("o1", 60_000), NOON, occurred_at=NOON - timedelta(days=365))
    assert facts == [PointsEarned("00000001", 600, 600, "o1")]
    facts = customer.hears(completed("o2", 60_000), NOON, occurred_at=NOON - timedelta(days=364))
    assert facts[1:] == [TierChanged("silver", "ordinary", 60_000, "spend 600.00 in 365 days")]


def test_history_plays_its_reviews() -> None:
    customer = Customer()
    customer.hears(completed("o1", 60_000), day("2016-05-01"))
    assert customer.hears(HistoryEnded(), NOON) == [TierChanged("ordinary", "silver", 0, "review 2017-07-01")]


def test_a_review_that_is_not_the_one_armed_is_nothing() -> None:
    """As when an old dead letter is replayed."""
    customer = Customer()
    customer.hears(completed("o1", 60_000), NOON)
    stored = customer.aggregate.stored
    assert stored is not None
    stale = Timer(day("2017-04-01T03:00"), "tier.review")
    customer.aggregate.stored = replace(stored, timers=(stale,))
    assert customer.sleeps_until(NOON + SECOND) == []
    assert customer.account.tier == "silver"
    assert customer.wakes_at == day("2018-04-01T03:00")


def test_the_oldest_of_too_many_orders_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "MAX_ORDERS", 2)
    customer = Customer()
    for order_id in ("o1", "o2", "o3"):
        customer.hears(completed(order_id, 1_000), NOON)
    assert list(customer.account.orders) == ["o2", "o3"]
    assert customer.account.balance == 30
    assert customer.hears(refunded("o1", "r1", 1_000), NOON) == []
    assert customer.account.balance == 30


def test_foreign_money_is_a_bug_of_the_edge() -> None:
    aggregate = Aggregate("loyalty", decider({"shop": RULES}), "shop", "c1", None)
    aggregate.take(event(1, "c1", OrderCompleted("o1", Money(100, "USD")), NOON))
    assert aggregate.stored is None
    assert [poison.reason.reason for poison in aggregate.poison] == [
        "AssertionError: USD in a programme that counts BRL"
    ]


@pytest.mark.parametrize(
    ("currency", "reason"),
    [("JPY", "spend 50005 in 365 days"), ("KWD", "spend 50.005 in 365 days"), ("CNY", "spend 500.05 in 365 days")],
)
def test_reasons_are_in_major_units(currency: str, reason: str) -> None:
    customer = Customer(replace(RULES, currency=currency))
    facts = customer.hears(OrderCompleted("o1", Money(50_005, currency)), NOON)
    assert [fact.reason for fact in facts if isinstance(fact, TierChanged)] == [reason]
