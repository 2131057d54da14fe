"""From what is told of orders, in whatever order, to purchases, by hand."""

from datetime import UTC, datetime, timedelta

from common.contracts.ingest import Item
from segmentation.domain.profile import orders
from segmentation.domain.profile.orders import (
    LONG_AGO,
    MAX_ORDERS,
    MAX_REFUNDS,
    brought_up,
    order_of,
    series_of,
    with_order,
)
from segmentation.domain.profile.records import Sums
from segmentation.domain.profile.state import KnownOrder, Profile, Purchases, Refund

MAY_1, MAY_2, MAY_3 = (datetime(2026, 5, day, tzinfo=UTC) for day in (1, 2, 3))
TEA = (Item("pot", 2, category="tea"), Item("cup", 6, category="tea"), Item("pot"))


def pay(profile: Profile, order_id: str, at: datetime, amount_minor: int) -> Profile:
    return with_order(profile, orders.paid(order_of(profile, order_id) or KnownOrder(order_id), at, amount_minor))


def cancel(profile: Profile, order_id: str, at: datetime = MAY_3) -> Profile:
    return with_order(profile, orders.cancelled(order_of(profile, order_id) or KnownOrder(order_id), at))


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
    assert [record.name for record in series_of(profile, "purchase").records] == ["a", "b"]


def test_a_second_payment_of_an_order_changes_nothing() -> None:
    once = pay(Profile(), "a", MAY_1, 100)
    assert pay(once, "a", MAY_3, 999) == once


def test_a_cancellation_takes_the_purchase_back_whole() -> None:
    profile = cancel(pay(pay(Profile(), "a", MAY_1, 100), "b", MAY_3, 250), "b")
    assert profile.purchases == Purchases(1, MAY_1, MAY_1, 100)
    assert cancel(profile, "a").purchases is None
    assert [record.about["amount"] for record in series_of(profile, "order.cancelled").records] == [250]


def test_who_cancels_before_paying_has_bought_nothing() -> None:
    cancelled = cancel(Profile(), "a")
    assert cancelled.orders == (KnownOrder("a", cancelled_at=MAY_3),)
    assert pay(cancelled, "a", MAY_2, 100) == cancelled
    assert cancel(cancelled, "a") == cancelled


def test_a_purchase_is_less_by_what_went_back_once_for_each_refund() -> None:
    order = orders.paid(KnownOrder("a"), MAY_1, 100)
    for refund in (Refund(MAY_2, "r1", 30), Refund(MAY_3, "r1", 30), Refund(MAY_3, "r2", 20)):
        order = orders.refunded(order, refund)
    profile = with_order(Profile(), order)
    assert profile.purchases == Purchases(1, MAY_1, MAY_1, 50)
    assert [(each.name, each.about["amount"]) for each in series_of(profile, "order.refunded").records] == [
        ("a/r1", 30),
        ("a/r2", 20),
    ]
    assert orders.refunded(order, Refund(MAY_3, "r3", 900)).left_minor == 0


def test_more_refunds_than_are_kept_are_still_subtracted() -> None:
    order = orders.paid(KnownOrder("a"), MAY_1, 1_000)
    for number in range(MAX_REFUNDS + 5):
        order = orders.refunded(order, Refund(MAY_1 + timedelta(days=number), f"r{number}", 10))
    assert len(order.refunds) == MAX_REFUNDS
    assert order.left_minor == 1_000 - 10 * (MAX_REFUNDS + 5)


def test_what_is_in_an_order_is_the_newest_word_of_it() -> None:
    order = orders.told(KnownOrder("a"), MAY_2, 700, TEA, placed=True)
    assert (order.placed_at, order.told_minor, order.pieces, order.items, order.categories) == (
        MAY_2,
        700,
        9,
        ("pot", "cup"),
        ("tea",),
    )
    assert orders.told(order, MAY_1, 1, (), placed=False) == order  # an edit from before it was placed as told
    edited = orders.told(order, MAY_3, 300, TEA[1:2], placed=False)
    assert (edited.placed_at, edited.told_minor, edited.items) == (MAY_2, 300, ("cup",))
    assert orders.told(edited, MAY_1, 700, TEA, placed=True).placed_at == MAY_1


def test_orders_no_longer_known_stay_in_the_sums() -> None:
    profile = many(MAX_ORDERS + 2)
    assert [order.order_id for order in profile.orders][:2] == ["o2", "o3"]
    assert len(profile.orders) == MAX_ORDERS
    assert profile.dropped == {"purchase": Sums(2, MAY_1, MAY_2, {"amount": 200})}
    last = MAY_1 + timedelta(days=MAX_ORDERS + 1)
    assert profile.purchases == Purchases(MAX_ORDERS + 2, MAY_1, last, 100 * (MAX_ORDERS + 2))
    assert series_of(profile, "purchase").exact_from == MAY_2


def test_a_known_order_is_taken_back_beside_those_in_the_sums() -> None:
    profile = cancel(many(MAX_ORDERS + 2), f"o{MAX_ORDERS + 1}")
    assert profile.purchases is not None
    assert profile.purchases.count == MAX_ORDERS + 1


def test_the_cancellation_of_an_order_in_the_sums_comes_too_late() -> None:
    profile = cancel(many(MAX_ORDERS + 1), "o0", MAY_1 + timedelta(days=MAX_ORDERS + 9))
    assert profile.purchases is not None
    assert profile.purchases.count == MAX_ORDERS + 1
    assert len(profile.orders) == MAX_ORDERS


def test_the_order_heard_of_longest_ago_goes_first() -> None:
    profile = cancel(Profile(), "x", MAY_1 - timedelta(days=1))
    for number in range(MAX_ORDERS):
        profile = pay(profile, f"o{number}", MAY_1, 1)
    assert order_of(profile, "x") is None
    assert profile.purchases == Purchases(MAX_ORDERS, MAY_1, MAY_1, MAX_ORDERS)


def test_a_profile_of_an_earlier_version_is_brought_up() -> None:
    """It kept of a cancelled order the id alone, and what it had forgotten in a field of its own."""
    old = Profile(
        orders=(KnownOrder("a"), KnownOrder("b", MAY_2, 100)),
        forgotten=Purchases(2, MAY_1, MAY_1, 500),
        purchases=Purchases(3, MAY_1, MAY_2, 600),
    )
    profile = brought_up(old)
    assert profile.orders[0].cancelled_at == LONG_AGO
    assert profile.forgotten is None
    assert pay(profile, "a", MAY_3, 9).purchases == old.purchases
