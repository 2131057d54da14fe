"""One customer's story at a time: what is told, why, and when it changes next."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from common.contracts.envelope import Data
from common.contracts.ingest import (
    CartItemAdded,
    CustomerErased,
    CustomerRegistered,
    CustomerUpdated,
    Item,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    ReviewSubmitted,
    Visit,
)
from common.contracts.segmentation import LifecycleChanged
from common.decision import Decision, Occasion, Timer
from common.money import Money
from segmentation.domain.decide import decider
from segmentation.domain.models.lifecycle import Thresholds
from segmentation.domain.profile.state import Carts, KnownOrder, Profile, Purchases, Reviews, Visits
from tests.books import book

THRESHOLDS = Thresholds(
    currency="CNY",
    repeat_from=2,
    loyal_from=3,
    stimulate_from=timedelta(days=15),
    winback_from=timedelta(days=60),
    lost_from=timedelta(days=180),
)
STRICTER = Thresholds(
    currency="CNY",
    repeat_from=2,
    loyal_from=5,
    stimulate_from=timedelta(days=5),
    winback_from=timedelta(days=60),
    lost_from=timedelta(days=180),
)
BOOKS = {name: book(name, rules) for name, rules in (("shop", THRESHOLDS), ("strict", STRICTER))}
DECIDE = decider(BOOKS)
MAY_1 = datetime(2026, 5, 1, 9, tzinfo=UTC)


def after(
    before: Profile | None,
    what: Data | Timer,
    at: datetime,
    occurred_at: datetime | None = None,
    shop_id: str = "shop",
) -> Decision[Profile]:
    """What is decided about the one customer."""
    return DECIDE(before, Occasion(shop_id, "c", what, at, occurred_at or at, False, "cause"))


def paid(order_id: str, amount_minor: int = 100, currency: str = "CNY") -> OrderPaid:
    return OrderPaid(order_id, Money(amount_minor, currency))


def test_a_new_face_is_a_prospect() -> None:
    decision = after(None, OrderPlaced("a", Money(100, "CNY")), MAY_1)
    assert decision.facts == (LifecycleChanged("prospect", None, None, None, reason="first seen"),)
    assert decision.timers == ()
    assert (decision.state.lifecycle, decision.state.activity, decision.state.purchases) == ("prospect", None, None)


def test_a_new_face_with_a_purchase_says_so() -> None:
    decision = after(None, paid("a"), MAY_1)
    assert decision.facts == (LifecycleChanged("new", "active", None, None, reason="purchase a"),)
    assert decision.timers == (Timer(datetime(2026, 5, 16, 9, tzinfo=UTC), "change"),)
    state = decision.state
    assert (state.lifecycle, state.activity) == ("new", "active")
    assert (state.purchases, state.orders) == (Purchases(1, MAY_1, MAY_1, 100), (KnownOrder("a", MAY_1, 100),))


def test_a_purchase_long_ago_is_classified_by_when_it_was_paid() -> None:
    decision = after(Profile(), paid("a"), MAY_1, MAY_1 - timedelta(days=70))
    assert decision.facts == (LifecycleChanged("new", "winback", "prospect", None, reason="purchase a"),)
    assert decision.timers == (Timer(MAY_1 + timedelta(days=110), "change"),)


def test_time_alone_changes_a_customer_step_by_step() -> None:
    decision = after(None, paid("a"), MAY_1)
    told = []
    while decision.timers:
        (timer,) = decision.timers
        decision = after(decision.state, timer, timer.due)
        told.append((timer.due, *decision.facts))
    assert told == [
        (
            datetime(2026, 5, 16, 9, tzinfo=UTC),
            LifecycleChanged("new", "stimulate", "new", "active", reason="15 days since the last purchase"),
        ),
        (
            datetime(2026, 6, 30, 9, tzinfo=UTC),
            LifecycleChanged("new", "winback", "new", "stimulate", reason="60 days since the last purchase"),
        ),
        (
            datetime(2026, 10, 28, 9, tzinfo=UTC),
            LifecycleChanged("new", "lost", "new", "winback", reason="180 days since the last purchase"),
        ),
    ]


def test_an_event_at_the_instant_of_a_threshold_finds_it_passed() -> None:
    state = after(None, paid("a"), MAY_1).state
    decision = after(state, Visit(), MAY_1 + timedelta(days=15))
    assert decision.facts == (
        LifecycleChanged("new", "stimulate", "new", "active", reason="15 days since the last purchase"),
    )
    assert decision.timers == (Timer(MAY_1 + timedelta(days=60), "change"),)


def test_a_late_payment_at_that_instant_is_not_the_reason_when_it_makes_no_difference() -> None:
    state = Profile()
    for order_id in ("a", "b", "c"):
        state = after(state, paid(order_id), MAY_1).state
    decision = after(state, paid("d"), MAY_1 + timedelta(days=15), MAY_1 - timedelta(days=1))
    assert decision.facts == (
        LifecycleChanged("loyal", "stimulate", "loyal", "active", reason="15 days since the last purchase"),
    )


def test_a_cancellation_goes_all_the_way_back() -> None:
    state = after(None, paid("a"), MAY_1 - timedelta(days=200)).state
    state = after(state, paid("b"), MAY_1).state
    decision = after(state, OrderCancelled("b"), MAY_1 + timedelta(hours=1))
    assert decision.facts == (LifecycleChanged("new", "lost", "repeat", "active", reason="cancelled b"),)
    assert decision.timers == ()
    decision = after(decision.state, OrderCancelled("a"), MAY_1 + timedelta(hours=2))
    assert decision.facts == (LifecycleChanged("prospect", None, "new", "lost", reason="cancelled a"),)


def test_a_purchase_within_the_same_cell_tells_nothing_and_puts_off_the_next_change() -> None:
    state = Profile()
    for order_id in ("a", "b", "c"):
        state = after(state, paid(order_id), MAY_1).state
    decision = after(state, paid("d"), MAY_1 + timedelta(days=1))
    assert decision.facts == ()
    assert decision.timers == (Timer(MAY_1 + timedelta(days=16), "change"),)


def test_edited_rules_are_named_as_the_reason() -> None:
    state = Profile()
    for order_id in ("a", "b", "c"):
        state = after(state, paid(order_id), MAY_1).state
    decision = after(state, Visit(), MAY_1 + timedelta(days=1), shop_id="strict")
    assert decision.facts == (LifecycleChanged("repeat", "active", "loyal", "active", reason="new rules"),)


def test_money_of_another_currency_is_never_counted_in_silence() -> None:
    with pytest.raises(AssertionError, match="USD in a shop that counts CNY"):
        after(None, paid("b", 9_999, "USD"), MAY_1)


def test_times_are_kept_in_utc() -> None:
    shanghai = datetime(2026, 5, 1, 17, tzinfo=timezone(timedelta(hours=8)))
    state = after(None, paid("a"), MAY_1, shanghai).state
    assert state.orders[0].paid_at is not None
    assert state.orders[0].paid_at.isoformat() == "2026-05-01T09:00:00+00:00"


def test_what_somebody_carts_looks_at_and_reviews_is_counted() -> None:
    later, earlier = MAY_1 + timedelta(hours=2), MAY_1 + timedelta(hours=1)
    state = Profile()
    state = after(state, CartItemAdded(Item("i", category="masks")), MAY_1).state
    state = after(state, CartItemAdded(Item("i", category="soap")), later).state
    state = after(state, CartItemAdded(Item("i", category="tea")), later, earlier).state
    state = after(state, CartItemAdded(Item("i")), later).state
    assert state.carts == Carts(4, later, "soap")
    state = after(state, Visit(), later).state
    state = after(state, Visit(), later, earlier).state
    assert state.visits == Visits(2, later)
    state = after(state, ReviewSubmitted(5, has_photo=True), later).state
    state = after(state, ReviewSubmitted(1), later).state
    assert state.reviews == Reviews(2, with_photo=1)


def test_coarse_facts_are_kept_until_they_change_or_the_person_is_erased() -> None:
    state = after(None, CustomerRegistered(locale="zh-CN", country="CN", city="Hangzhou"), MAY_1).state
    state = after(state, CustomerUpdated(city="Suzhou"), MAY_1).state
    assert (state.locale, state.country, state.city) == ("zh-CN", "CN", "Suzhou")
    state = after(state, CustomerErased(), MAY_1).state
    assert (state.locale, state.country, state.city, state.erased_at) == (None, None, None, MAY_1)
