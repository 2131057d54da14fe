"""The demo's shop: the same seed, the same shop; all that it says it has; and what it must come to, counted by hand."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from ingest.domain.accept import Accepted, accept
from regulars.demo.shop import DAY, DAYS, HAPPENED, HOUR, Expected, Sent, expect, plan

OPENED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def sent() -> list[Sent]:
    return plan(1)


def test_the_same_seed_makes_the_same_shop(sent: list[Sent]) -> None:
    assert plan(1) == sent
    assert repr(plan(1)) == repr(sent)
    assert plan(2) != sent


def test_it_is_sent_in_order_of_time_within_its_days(sent: list[Sent]) -> None:
    times = [one.at for one in sent]
    assert times == sorted(times)
    assert timedelta(0) <= times[0]
    assert times[-1] <= DAY * DAYS
    assert times[-1] > DAY * (DAYS - 1), "something happens on every day"


def test_some_of_it_is_repeated_disordered_and_late(sent: list[Sent]) -> None:
    times_sent = Counter(one.event["id"] for one in sent)
    assert 0.02 < sum(count == 2 for count in times_sent.values()) / len(times_sent) < 0.08
    assert set(times_sent.values()) == {1, 2}
    late = [one.at - one.event[HAPPENED] for one in sent if HAPPENED in one.event]
    assert 0.01 < len(late) / len(sent) < 0.05
    assert all(2 * HOUR <= by <= 30 * HOUR for by in late)
    first: dict[tuple[str, str], timedelta] = {}
    for one in sent:
        first.setdefault((one.event["data"].get("order_id", ""), one.event["type"]), one.at)
    orders = {order for order, _ in first if order}
    upside_down = [
        order
        for order in orders
        if first.get((order, "order.placed"), DAY * 99) > first.get((order, "order.paid"), DAY * 99)
    ]
    assert upside_down, "some payments come before their orders"


def test_it_has_all_that_happens_in_a_shop(sent: list[Sent]) -> None:
    types = Counter(one.event["type"] for one in sent)
    assert types.keys() == {
        "cart.item_added",
        "customer.registered",
        "order.placed",
        "order.paid",
        "order.cancelled",
        "order.refunded",
        "order.completed",
        "shipment.dispatched",
        "shipment.arrived_in_city",
        "shipment.out_for_delivery",
        "shipment.delivered",
        "review.submitted",
        "visit",
        "checkin",
        "share",
    }
    assert types["order.paid"] < types["order.placed"], "some orders are not paid"
    assert min(types.values()) > 20


def test_ingest_takes_every_event_of_it(sent: list[Sent]) -> None:
    for at, event in sent:
        body = {key: value for key, value in event.items() if key != HAPPENED}
        if HAPPENED in event:
            body["time"] = (OPENED + event[HAPPENED]).isoformat()
        outcome = accept(msgspec.json.encode(body), "demo", "CNY", OPENED + at, historic=False)
        assert isinstance(outcome, Accepted), (event, outcome)


# ------------------------------------------------------------------------------------- what it must come to


def said(number: int, event_type: str, customer: str = "c1", order: str = "o1", **data: Any) -> Sent:
    event = {"id": f"e{number}", "type": event_type, "subject": customer, "data": {"order_id": order, **data}}
    return Sent(HOUR * number, event)


def money(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "CNY"}


def test_what_it_comes_to_whatever_the_order_of_events() -> None:
    events = [
        said(1, "order.placed", amount=money(1_999)),
        said(2, "order.paid", amount=money(1_999)),
        said(3, "shipment.dispatched"),
        said(4, "order.completed", amount=money(1_999)),
        said(5, "order.refunded", refund_id="r1", amount=money(1_000)),
        said(6, "order.placed", order="o2", amount=money(500)),
        said(7, "order.paid", order="o2", amount=money(500)),
        said(8, "order.cancelled", order="o2"),
        said(9, "order.placed", order="o3", customer="c2", amount=money(500)),
        said(10, "order.paid", order="o4", customer="c2", amount=money(250)),
        said(11, "order.completed", order="o4", customer="c2", amount=money(250)),
        Sent(HOUR, {"id": "e12", "type": "visit", "subject": "c3", "data": {}}),
    ]
    wanted = Expected(purchases={"c1": 1, "c2": 1}, points={"c1": 9, "c2": 2}, dispatched=1)
    assert expect(events) == wanted
    assert expect(events[::-1]) == wanted
    assert expect(events + events) == wanted


def test_the_shop_of_the_first_seed_comes_to_something_worth_looking_at(sent: list[Sent]) -> None:
    expected = expect(sent)
    assert sum(expected.purchases.values()) > 300
    assert 0 in expected.purchases.values(), "somebody never bought"
    assert max(expected.purchases.values()) >= 3, "somebody is loyal"
    assert sum(expected.points.values()) > 10_000
    assert expected.dispatched > 300
