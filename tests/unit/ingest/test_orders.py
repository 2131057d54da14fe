"""One order's story, told in order, out of order, twice, in parts and with mistakes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from common.contracts.envelope import Data
from common.contracts.ingest import (
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderPaid,
    OrderPaymentReceived,
    OrderPlaced,
    OrderRefunded,
    OrderUpdated,
    ShipmentArrivedInCity,
    ShipmentDelivered,
    ShipmentDispatched,
    Visit,
)
from common.money import MAX_AMOUNT_MINOR, Money
from ingest.domain.orders import MAX_IDS, MAX_REMARKS, Moment, Order, hear

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HEARD = NOW + timedelta(days=10)


def cny(amount_minor: int) -> Money:
    return Money(amount_minor, "CNY")


def placed(amount_minor: int = 100) -> OrderPlaced:
    return OrderPlaced("o1", cny(amount_minor))


def updated(amount_minor: int) -> OrderUpdated:
    return OrderUpdated("o1", cny(amount_minor))


def paid(amount_minor: int = 100) -> OrderPaid:
    return OrderPaid("o1", cny(amount_minor))


def payment(payment_id: str, amount_minor: int) -> OrderPaymentReceived:
    return OrderPaymentReceived("o1", payment_id, cny(amount_minor))


def refund(refund_id: str, amount_minor: int) -> OrderRefunded:
    return OrderRefunded("o1", refund_id, cny(amount_minor))


def completed(amount_minor: int = 100) -> OrderCompleted:
    return OrderCompleted("o1", cny(amount_minor))


def at(hours: float) -> Moment:
    return Moment(NOW + timedelta(hours=hours), HEARD + timedelta(hours=hours))


def heard(*said: tuple[float, Data] | Data) -> tuple[Order, list[Data]]:
    """What comes of it, heard in this order; each an hour after the one before, or at an hour of its own."""
    order, told = Order(), list[Data]()
    for hour, one in enumerate(said):
        happened, data = one if isinstance(one, tuple) else (float(hour), one)
        order, news = hear(order, data, at(happened))
        told += news
    return order, told


def remarks(order: Order) -> list[tuple[str, str]]:
    return [(remark.what, remark.why) for remark in order.remarks]


def test_a_plain_story_is_told_as_it_comes() -> None:
    story: Sequence[Data] = (placed(), paid(), ShipmentDispatched("o1"), ShipmentDelivered("o1"), completed())
    states = []
    order, told = Order(), list[Data]()
    for hour, data in enumerate(story):
        order, news = hear(order, data, at(hour))
        told += news
        states.append(order.furthest)
    assert told == list(story)
    assert states == [
        ("placed", at(0)),
        ("paid", at(1)),
        ("dispatched", at(2)),
        ("delivered", at(3)),
        ("completed", at(4)),
    ]
    assert (order.currency, order.paid_minor, order.refunded_minor, order.counted_minor) == ("CNY", 100, 0, 100)
    assert order.remarks == ()


def test_an_old_placing_restarts_nothing() -> None:
    order, told = heard((5, paid()), (1, placed()))
    assert told == [paid(), placed()]  # who reads knows that the payment bars the reminder
    assert order.furthest == ("paid", at(5))
    assert remarks(order) == [("order.placed", "late")]
    assert order.remarks[0].at == at(1).at
    for beyond in (OrderCancelled("o1"), refund("r", 1), ShipmentDispatched("o1"), completed()):
        assert remarks(heard((5, beyond), (1, placed()))[0]) == [("order.placed", "late")]
    assert remarks(heard((5, payment("p", 1)), (1, placed()))[0]) == []


def test_who_pays_at_the_door_does_not_pay_late() -> None:
    delivered = ShipmentDelivered("o1")
    assert remarks(heard(placed(), delivered, paid())[0]) == []
    assert remarks(heard(placed(), (5, delivered), (3, paid()))[0]) == [("order.paid", "late")]


def test_the_same_fact_under_two_ids_is_told_once() -> None:
    order, told = heard(
        placed(),
        (9, paid()),
        (4, paid(90)),
        OrderCancelled("o1"),
        OrderCancelled("o1", "why"),
        completed(),
        completed(7),
    )
    assert told == [placed(), paid(), OrderCancelled("o1"), completed()]
    assert remarks(order) == [(what, "repeated") for what in ("order.paid", "order.cancelled", "order.completed")]
    assert order.stages["paid"] == Moment(at(4).at, at(9).heard_at)  # the earliest account of it
    assert (order.paid_minor, order.completed_minor) == (100, 100)


def test_several_payments_are_one_paid_order() -> None:
    order, told = heard(placed(), payment("a", 60), payment("a", 60), payment("b", 40), payment("c", 5))
    assert told == [placed(), paid()]
    assert order.paid_minor == 105
    assert order.stages["paid"] == at(3)
    assert remarks(order) == [("order.payment_received", "repeated")]


def test_payments_may_come_before_the_order() -> None:
    assert heard(payment("a", 60), payment("b", 60))[1] == []
    order, told = heard(payment("a", 60), payment("b", 60), placed())
    assert told == [placed(), paid(120)]
    assert order.furthest == ("paid", at(2))


def test_an_edit_changes_what_is_to_be_paid() -> None:
    assert heard(placed(), payment("a", 80), updated(80))[1] == [placed(), updated(80), paid(80)]
    assert heard(placed(), updated(120), payment("a", 100))[1] == [placed(), updated(120)]
    assert heard(updated(120), placed(), payment("a", 100), payment("b", 20))[1] == [
        updated(120),
        placed(),
        paid(120),
    ]
    order, told = heard(placed(), payment("a", 100), updated(120), payment("b", 20))
    assert told == [placed(), paid(), updated(120)]
    assert (order.paid_minor, order.content and order.content.amount_minor) == (120, 120)


def test_paid_as_a_whole_and_in_parts_are_the_same_money() -> None:
    assert heard(placed(), paid(), payment("a", 60), payment("b", 40))[1] == [placed(), paid()]
    order, told = heard(placed(), payment("a", 60), payment("b", 40), paid())
    assert told == [placed(), paid()]
    assert order.paid_minor == 100


def test_a_free_order_is_paid_when_somebody_says_so() -> None:
    assert heard(placed(0))[1] == [placed(0)]
    assert heard(placed(0), payment("a", 0))[1] == [placed(0), paid(0)]


def test_no_paid_order_beyond_what_an_event_may_say() -> None:
    amount = MAX_AMOUNT_MINOR
    assert heard(placed(amount), payment("a", amount - 1), payment("b", amount))[1] == [placed(amount), paid(amount)]


def test_an_edit_is_told_when_it_says_something_new() -> None:
    shirt = OrderUpdated("o1", cny(100), (Item("shirt"),))
    assert heard(placed(), updated(100))[1] == [placed()]
    assert heard(placed(), updated(90), updated(90), shirt)[1] == [placed(), updated(90), shirt]
    order, told = heard(placed(), (5, updated(90)), (3, updated(80)))
    assert told == [placed(), updated(90)]
    assert remarks(order) == [("order.updated", "superseded")]


def test_an_edit_without_a_time_of_its_own_is_the_newest() -> None:
    order, _ = heard(placed(), (5, updated(90)))
    order, told = hear(order, updated(80), at(4), timed=False)
    assert told == (updated(80),)
    assert order.content is not None
    assert (order.content.at, order.content.amount_minor) == (at(5).at, 80)


def test_a_completion_carries_what_remains_true_after_edits() -> None:
    assert heard((1, placed()), (9, updated(80)), (5, completed()))[1] == [placed(), updated(80), completed(80)]
    assert heard((1, placed()), (3, updated(80)), (5, completed(75)))[1] == [placed(), updated(80), completed(75)]
    assert heard((9, placed(70)), (5, completed()))[1] == [placed(70), completed()]
    order, told = heard((1, placed()), (5, completed()), (9, updated(80)))
    assert told == [placed(), completed(), updated(80)]
    assert (order.completed_minor, order.counted_minor) == (100, 80)


def test_refunds_add_up_and_those_beyond_what_was_paid_are_seen() -> None:
    order, told = heard(paid(), refund("a", 30), refund("b", 20), refund("a", 30))
    assert told == [paid(), refund("a", 30), refund("b", 20)]
    assert (order.refunded_minor, order.refunded_beyond_minor) == (50, 0)
    assert remarks(order) == [("order.refunded", "repeated")]
    order, told = heard(paid(), refund("a", 80), refund("b", 80))
    assert told == [paid(), refund("a", 80), refund("b", 80)]
    assert (order.refunded_minor, order.refunded_beyond_minor) == (160, 60)
    assert heard(refund("a", 30))[0].refunded_beyond_minor == 0  # the payment is still to be heard of


def test_each_parcel_tells_each_step_once() -> None:
    one, other = ShipmentDispatched("o1", "p1"), ShipmentDispatched("o1", "p2", "SF")
    order, told = heard(one, ShipmentDelivered("o1", "p1"), other, ShipmentDispatched("o1", "p2"))
    assert told == [one, ShipmentDelivered("o1", "p1"), other]
    assert order.furthest == ("delivered", at(1))
    assert remarks(order) == [("shipment.dispatched", "repeated")]
    order, told = heard(ShipmentArrivedInCity("o1", "p1"), one)
    assert told == [ShipmentArrivedInCity("o1", "p1"), one]
    assert order.furthest == ("dispatched", at(0))
    assert remarks(order) == [("shipment.dispatched", "late")]


def test_what_is_kept_is_bounded_and_sums_are_not() -> None:
    many = MAX_IDS + 5
    order, told = heard(
        *(payment(f"p{n}", 1) for n in range(many)),
        *(refund(f"r{n}", 1) for n in range(many)),
        *(ShipmentDispatched("o1", f"s{n}") for n in range(many)),
        *(OrderCancelled("o1") for _ in range(many)),
    )
    assert (order.received_minor, order.refunded_minor, len(told)) == (many, many, 2 * many + 1)
    assert [len(kept) for kept in (order.payments, order.refunds, order.shipments)] == [MAX_IDS] * 3
    assert f"p{many - 1}" in order.payments
    assert len(order.remarks) == MAX_REMARKS


def test_what_is_no_orders_business_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="visit tells of no order"):
        hear(Order(), Visit(), at(0))
