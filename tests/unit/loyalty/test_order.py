"""What an order is worth, whichever of its events came first."""

from datetime import UTC, datetime

from loyalty.domain.order import MAX_REFUNDS, Order, cancel, complete, refund

AT = datetime(2018, 1, 1, tzinfo=UTC)
LATER = datetime(2018, 1, 2, tzinfo=UTC)


def test_whole_points_of_the_net_amount() -> None:
    order = complete(Order(), 1_999, AT, 100)
    assert (order.net_minor, order.points) == (1_999, 19)
    order = refund(order, "r1", 100)
    assert (order.net_minor, order.points) == (1_899, 18)


def test_small_refunds_add_up_before_they_are_rounded() -> None:
    order = complete(Order(), 1_000, AT, 100)
    order = refund(refund(order, "r1", 50), "r2", 50)
    assert order.points == 9


def test_a_refund_before_the_completion_counts() -> None:
    assert complete(refund(Order(), "r1", 300), 1_000, AT, 100) == refund(complete(Order(), 1_000, AT, 100), "r1", 300)


def test_refunds_beyond_the_amount_count_up_to_it() -> None:
    order = refund(complete(Order(), 1_000, AT, 100), "r1", 5_000)
    assert (order.net_minor, order.points) == (0, 0)


def test_a_second_completion_changes_nothing() -> None:
    once = complete(Order(), 1_000, AT, 100)
    assert complete(once, 9_000, LATER, 50) is once


def test_a_refund_counts_once_even_with_another_amount() -> None:
    once = refund(Order(), "r1", 300)
    assert refund(once, "r1", 700) is once


def test_cancelled_is_worth_nothing_before_and_after_the_completion() -> None:
    before, after = complete(cancel(Order()), 1_000, AT, 100), cancel(complete(Order(), 1_000, AT, 100))
    assert before == after
    assert (before.net_minor, before.points) == (0, 0)


def test_a_refund_takes_back_at_the_rate_it_was_earned_at() -> None:
    earned_double = complete(Order(), 1_000, AT, 50)
    assert earned_double.points == 20
    assert refund(earned_double, "r1", 500).points == 10


def test_refund_ids_are_bounded_but_their_sum_is_not() -> None:
    order = complete(Order(), 100_000, AT, 100)
    for number in range(MAX_REFUNDS + 5):
        order = refund(order, f"r{number}", 100)
    assert len(order.refunds) == MAX_REFUNDS
    assert order.net_minor == 100_000 - (MAX_REFUNDS + 5) * 100
