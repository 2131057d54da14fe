"""An order that is said to be finished without an amount is completed with what was paid, whichever comes first."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from common.contracts.envelope import Data
from common.contracts.ingest import OrderCompleted, OrderFinished, OrderPaid, OrderPaymentReceived, OrderPlaced
from common.money import Money
from ingest.domain.orders import Moment, Order, hear

MAY_1 = datetime(2026, 5, 1, tzinfo=UTC)
HALF, WHOLE = Money(500, "CNY"), Money(1000, "CNY")
PLACED, PAID, FINISHED = OrderPlaced("o", WHOLE), OrderPaid("o", WHOLE), OrderFinished("o")
COMPLETED = OrderCompleted("o", WHOLE)


def told(*events: Data) -> list[Data]:
    order = Order()
    facts: list[Data] = []
    for number, data in enumerate(events):
        at = MAY_1 + timedelta(hours=number)
        order, news = hear(order, data, Moment(at, at))
        facts += news
    return facts


@pytest.mark.parametrize("events", list(itertools.permutations([PLACED, PAID, FINISHED])))
def test_in_any_order(events: tuple[Data, ...]) -> None:
    facts = told(*events)
    assert sorted(type(fact).__name__ for fact in facts) == ["OrderCompleted", "OrderPaid", "OrderPlaced"]
    assert COMPLETED in facts


def test_it_waits_for_the_payment() -> None:
    assert told(FINISHED) == []
    assert told(PLACED, FINISHED) == [PLACED]
    assert told(FINISHED, PAID) == [PAID, COMPLETED]


def test_with_parts_of_a_payment() -> None:
    deposit, rest = OrderPaymentReceived("o", "p1", HALF), OrderPaymentReceived("o", "p2", HALF)
    assert told(PLACED, deposit, FINISHED, rest) == [PLACED, PAID, COMPLETED]


def test_once() -> None:
    assert told(PAID, FINISHED, FINISHED, PAID) == [PAID, COMPLETED]
    assert told(PAID, COMPLETED, FINISHED) == [PAID, COMPLETED]
    assert told(PAID, FINISHED, COMPLETED) == [PAID, COMPLETED]
