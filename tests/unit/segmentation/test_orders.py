"""From payments and cancellations to purchases, by hand."""

from datetime import UTC, datetime, timedelta

from segmentation.domain.orders import MAX_ORDERS, cancel, pay
from segmentation.domain.state import KnownOrder, Profile, Purchases

MAY_1, MAY_2, MAY_3 = (datetime(2026, 5, day, tzinfo=UTC) for day in (1, 2, 3))


def many(count: int) -> Profile:
    """Orders o0, o1 ... paid on consecutive days from 1 May on, of 100 each."""
    profile = Profile()
    for number in range(count):
        profile = pay(profile, f"o{number}", MAY_1 + timedelta(days=number), 100)
    return profile


def test_payments_add_up() -> None:
    profile = pay(pay(Profile(), "a", MAY_1, 100), "b", MAY_3, 250)
    assert profile.purchases == Purchases(2, MAY_1, MAY_3, 350)
    assert profile.orders == (KnownOrder("a", MAY_1, 100), KnownOrder("b", MAY_3, 250))


def test_a_late_payment_moves_the_first_purchase_but_never_the_last_backwards() -> None:
    profile = pay(pay(Profile(), "b", MAY_3, 250), "a", MAY_1, 100)
    assert profile.purchases == Purchases(2, MAY_1, MAY_3, 350)


def test_a_second_payment_of_an_order_changes_nothing() -> None:
    once = pay(Profile(), "a", MAY_1, 100)
    assert pay(once, "a", MAY_3, 999) is once


def test_a_cancellation_takes_the_purchase_back_whole() -> None:
    profile = cancel(pay(pay(Profile(), "a", MAY_1, 100), "b", MAY_3, 250), "b")
    assert profile.purchases == Purchases(1, MAY_1, MAY_1, 100)
    assert cancel(profile, "a").purchases is None


def test_who_cancels_before_paying_has_bought_nothing() -> None:
    cancelled = cancel(Profile(), "a")
    assert cancelled.orders == (KnownOrder("a"),)
    assert pay(cancelled, "a", MAY_2, 100) is cancelled
    assert cancel(cancelled, "a") is cancelled


def test_forgotten_orders_stay_in_the_sum() -> None:
    profile = many(MAX_ORDERS + 2)
    assert [order.order_id for order in profile.orders][:2] == ["o2", "o3"]
    assert len(profile.orders) == 50
    assert profile.forgotten == Purchases(2, MAY_1, MAY_2, 200)
    assert profile.purchases == Purchases(52, MAY_1, datetime(2026, 6, 21, tzinfo=UTC), 5_200)


def test_a_remembered_order_is_taken_back_beside_forgotten_ones() -> None:
    profile = cancel(many(MAX_ORDERS + 2), "o51")
    assert profile.purchases == Purchases(51, MAY_1, datetime(2026, 6, 20, tzinfo=UTC), 5_100)


def test_the_cancellation_of_a_forgotten_order_comes_too_late() -> None:
    profile = cancel(many(MAX_ORDERS + 1), "o0")
    assert profile.purchases == Purchases(51, MAY_1, datetime(2026, 6, 20, tzinfo=UTC), 5_100)
    assert len(profile.orders) == 50


def test_a_forgotten_cancellation_was_never_a_purchase() -> None:
    profile = cancel(Profile(), "x")
    for number in range(MAX_ORDERS):
        profile = pay(profile, f"o{number}", MAY_1, 1)
    assert profile.forgotten is None
    assert profile.purchases == Purchases(50, MAY_1, MAY_1, 50)
