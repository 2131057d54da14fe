"""Single histories and what is said about them, moment by moment, with expectations written by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from common.contracts.envelope import Data, Event
from common.contracts.ingest import (
    CustomerErased,
    CustomerMerged,
    HistoryEnded,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    ShipmentDispatched,
    Visit,
)
from common.contracts.journeys import JourneyEntered, JourneyLeft, MessageRequested
from common.contracts.work import TimerDue
from common.decision import Aggregate
from common.ids import derived_id
from common.money import Money
from common.shops import Shop
from journeys.domain.decide import decider
from journeys.domain.enrollment import MAX_KEYS, State
from journeys.presets import load

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(hours=24)
PRICE = Money(9_900, "CNY")
DEFINITIONS = load({"shop": Shop("shop", "Asia/Shanghai", "CNY", "zh-CN")})


class History:
    """One customer; every `take` gives what is said from then on, as (time since noon, what)."""

    def __init__(self) -> None:
        self.customer = Aggregate("journeys", decider(DEFINITIONS), "shop", "c1", None)
        self._number = 0
        self._told = 0

    @property
    def state(self) -> State:
        assert self.customer.stored is not None
        return self.customer.stored.state

    def take(
        self, after: timedelta, data: Data, *, late: timedelta = timedelta(0), historic: bool = False
    ) -> list[tuple[timedelta, str]]:
        self._number += 1
        at = NOON + after
        event = Event(
            specversion="1.0",
            id=f"e{self._number}",
            source="test",
            type=data.TYPE,
            shop_id="shop",
            customer_id="c1",
            occurred_at=at - late,
            received_at=at,
            historic=historic,
            data=data,
        )
        self.customer.take(event)
        return self._said()

    def wake(self, after: timedelta) -> list[tuple[timedelta, str]]:
        self.customer.wake(NOON + after)
        return self._said()

    def _said(self) -> list[tuple[timedelta, str]]:
        assert not self.customer.poison
        new = self.customer.facts[self._told :]
        self._told += len(new)
        return [(fact.received_at - NOON, say(fact.data)) for fact in new]


def say(fact: Data) -> str:
    match fact:
        case JourneyEntered():
            return f"enters {fact.journey} {fact.enrollment}"
        case JourneyLeft():
            return f"leaves {fact.journey} {fact.enrollment}: {fact.reason}"
        case MessageRequested():
            return f"{fact.channel} {fact.message_key}"
        case _:
            raise AssertionError(fact)


NOTHING: list[tuple[timedelta, str]] = []
ENTERS_REMINDER = "enters payment_reminder o1"


def test_three_reminders_and_the_end() -> None:
    story = History()
    assert story.take(timedelta(0), OrderPlaced("o1", PRICE)) == [(timedelta(0), ENTERS_REMINDER)]
    assert story.wake(5 * MINUTE) == NOTHING  # the watermark has to pass the moment
    assert story.wake(2 * DAY) == [
        (5 * MINUTE, "in_app payment_reminder:o1:5m"),
        (HOUR, "sms payment_reminder:o1:1h"),
        (DAY, "sms payment_reminder:o1:24h"),
        (DAY, "leaves payment_reminder o1: finished"),
    ]
    assert story.customer.stored is not None
    assert story.customer.stored.timers == ()


def test_what_a_request_says() -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("o1", PRICE))
    story.wake(6 * MINUTE)
    assert story.customer.facts[1].data == MessageRequested(
        message_key="payment_reminder:o1:5m",
        journey="payment_reminder",
        step="5m",
        channel="in_app",
        purpose="transactional",
        template="payment_reminder_5m",
        params={"order_id": "o1", "amount_minor": 9_900, "currency": "CNY"},
    )


def test_a_dispatch_has_no_amount_to_tell() -> None:
    story = History()
    story.take(timedelta(0), ShipmentDispatched("o1", carrier="SF"))
    [request] = [one.data for one in story.customer.facts if isinstance(one.data, MessageRequested)]
    assert request.params == {"order_id": "o1"}


@pytest.mark.parametrize(
    ("data", "reason"), [(OrderPaid("o1", PRICE), "order.paid"), (OrderCancelled("o1"), "order.cancelled")]
)
def test_payment_and_cancellation_end_the_reminders_at_once(data: Data, reason: str) -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("o1", PRICE))
    said = story.take(30 * MINUTE, data)
    assert said[:2] == [
        (5 * MINUTE, "in_app payment_reminder:o1:5m"),
        (30 * MINUTE, f"leaves payment_reminder o1: {reason}"),
    ]
    assert not [what for _, what in story.wake(2 * DAY) if "payment_reminder" in what]


def test_payment_at_the_very_moment_of_a_reminder_goes_first() -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("o1", PRICE))
    assert story.take(5 * MINUTE, OrderPaid("o1", PRICE)) == [
        (5 * MINUTE, "leaves payment_reminder o1: order.paid"),
        (5 * MINUTE, "enters gift_30d o1"),
    ]


def test_payment_of_another_order_ends_nothing_of_this_one() -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("o1", PRICE))
    assert story.take(MINUTE, OrderPaid("o2", PRICE)) == [(MINUTE, "enters gift_30d o2")]
    assert story.wake(6 * MINUTE) == [(5 * MINUTE, "in_app payment_reminder:o1:5m")]


@pytest.mark.parametrize("first", [OrderPaid("o1", PRICE), OrderCancelled("o1")])
def test_an_order_that_is_settled_before_it_is_placed_is_never_reminded_of(first: Data) -> None:
    story = History()
    story.take(timedelta(0), first)
    assert story.take(MINUTE, OrderPlaced("o1", PRICE)) == NOTHING
    assert not [what for _, what in story.wake(2 * DAY) if "payment_reminder" in what]


def test_what_comes_again_starts_nothing_again() -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("o1", PRICE))
    assert story.take(MINUTE, OrderPlaced("o1", PRICE)) == NOTHING
    story.take(2 * MINUTE, OrderPaid("o1", PRICE))
    assert story.take(3 * MINUTE, OrderPlaced("o1", PRICE)) == NOTHING
    assert story.take(4 * MINUTE, OrderPaid("o1", PRICE)) == NOTHING
    said = story.take(5 * MINUTE, ShipmentDispatched("o1", "parcel-1"))
    assert said == [
        (5 * MINUTE, "enters dispatch_notice o1"),
        (5 * MINUTE, "sms dispatch_notice:o1:dispatched"),
        (5 * MINUTE, "leaves dispatch_notice o1: finished"),
    ]
    assert story.take(6 * MINUTE, ShipmentDispatched("o1", "parcel-2")) == NOTHING


def test_steps_that_a_late_event_missed_are_skipped() -> None:
    story = History()
    story.take(2 * HOUR, OrderPlaced("o1", PRICE), late=2 * HOUR)
    assert story.wake(2 * DAY) == [
        (DAY, "sms payment_reminder:o1:24h"),
        (DAY, "leaves payment_reminder o1: finished"),
    ]


def test_a_step_due_as_the_event_arrives_waits_for_news_of_the_same_moment() -> None:
    story = History()
    assert story.take(HOUR, OrderPlaced("o1", PRICE), late=HOUR) == [(HOUR, ENTERS_REMINDER)]
    assert story.wake(2 * HOUR) == [(HOUR, "sms payment_reminder:o1:1h")]
    other = History()
    other.take(HOUR, OrderPlaced("o1", PRICE), late=HOUR)
    assert other.take(HOUR, OrderCancelled("o1")) == [(HOUR, "leaves payment_reminder o1: order.cancelled")]


def test_an_event_too_late_for_every_step_only_passes_through() -> None:
    story = History()
    assert story.take(2 * DAY, OrderPlaced("o1", PRICE), late=2 * DAY) == [
        (2 * DAY, ENTERS_REMINDER),
        (2 * DAY, "leaves payment_reminder o1: finished"),
    ]


def test_a_dispatch_is_told_of_however_late_the_news() -> None:
    assert (3 * HOUR, "sms dispatch_notice:o1:dispatched") in History().take(
        3 * HOUR, ShipmentDispatched("o1"), late=2 * HOUR
    )


def test_the_gift_waits_for_30_days_without_another_purchase() -> None:
    story = History()
    assert story.take(timedelta(0), OrderPaid("o1", PRICE)) == [(timedelta(0), "enters gift_30d o1")]
    assert story.take(30 * DAY, OrderPaid("o2", PRICE)) == [
        (30 * DAY, "leaves gift_30d o1: order.paid"),
        (30 * DAY, "enters gift_30d o2"),
    ]
    assert story.take(40 * DAY, OrderPaid("o1", PRICE)) == NOTHING  # told again, not bought again
    assert story.wake(61 * DAY) == [
        (60 * DAY, "email gift_30d:o2:gift"),
        (60 * DAY, "leaves gift_30d o2: finished"),
    ]


def test_no_gift_for_a_cancelled_purchase() -> None:
    story = History()
    story.take(timedelta(0), OrderPaid("o1", PRICE))
    assert story.take(DAY, OrderCancelled("o1")) == [(DAY, "leaves gift_30d o1: order.cancelled")]
    story.take(2 * DAY, OrderCancelled("o2"))
    assert story.take(3 * DAY, OrderPaid("o2", PRICE)) == NOTHING


def test_history_is_walked_in_silence() -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("o1", PRICE), historic=True)
    story.take(timedelta(0), ShipmentDispatched("o2"), historic=True)
    said = story.take(40 * DAY, OrderPaid("o3", PRICE), historic=True)
    assert said == [
        (DAY, "leaves payment_reminder o1: finished"),
        (40 * DAY, "enters gift_30d o3"),
    ]
    assert all(fact.historic for fact in story.customer.facts)
    assert story.take(50 * DAY, HistoryEnded()) == NOTHING
    assert story.wake(71 * DAY) == [
        (70 * DAY, "email gift_30d:o3:gift"),
        (70 * DAY, "leaves gift_30d o3: finished"),
    ]


@pytest.mark.parametrize("data", [CustomerErased(), CustomerMerged("c2")])
def test_nobody_is_spoken_to_who_is_no_longer_there(data: Data) -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("o1", PRICE))
    story.take(timedelta(0), OrderPaid("o2", PRICE))
    assert story.take(MINUTE, data) == [
        (MINUTE, f"leaves payment_reminder o1: {data.TYPE}"),
        (MINUTE, f"leaves gift_30d o2: {data.TYPE}"),
    ]
    assert story.wake(40 * DAY) == NOTHING


def test_what_no_journey_listens_to_changes_nothing() -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("o1", PRICE))
    before = story.customer.stored
    assert story.take(timedelta(0), Visit("i1")) == NOTHING
    assert story.customer.stored == before


def test_a_long_key_still_makes_a_message_key_that_fits() -> None:
    order_id = "o" * 128
    story = History()
    story.take(timedelta(0), ShipmentDispatched(order_id))
    [key] = [one.data.message_key for one in story.customer.facts if isinstance(one.data, MessageRequested)]
    assert key == derived_id("dispatch_notice", order_id, "dispatched")


def test_the_oldest_orders_make_room_and_it_is_said() -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("first", PRICE))
    story.take(timedelta(0), OrderPlaced("second", PRICE))
    story.take(timedelta(0), OrderCancelled("first"))  # now the one heard of last
    for number in range(MAX_KEYS - 2):
        story.take(timedelta(0), OrderPlaced(f"o{number}", PRICE))
    assert story.state.forgotten == 0
    assert story.take(timedelta(0), OrderPlaced("one too many", PRICE)) == [
        (timedelta(0), "leaves payment_reminder second: forgotten"),
        (timedelta(0), "enters payment_reminder one too many"),
    ]
    assert story.state.forgotten == 1
    assert len(story.state.seen["order_id"]) == MAX_KEYS
    assert len(story.state.on) == MAX_KEYS - 1
    assert story.take(timedelta(0), OrderPlaced("first", PRICE)) == NOTHING


def test_a_journey_that_is_gone_is_left_at_its_next_step() -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("o1", PRICE))
    later = Aggregate("journeys", decider({"shop": ()}), "shop", "c1", story.customer.stored)
    later.wake(NOON + HOUR)
    assert [(fact.received_at - NOON, say(fact.data)) for fact in later.facts] == [
        (5 * MINUTE, "leaves payment_reminder o1: withdrawn")
    ]
    assert not later.poison


def test_a_timer_replayed_late_takes_its_step_and_skips_what_passed_meanwhile() -> None:
    story = History()
    story.take(timedelta(0), OrderPlaced("o1", PRICE))
    [timer] = story.state.timers()
    decide = decider(DEFINITIONS)
    stored = story.customer.stored
    assert stored is not None
    # As after the mend of a fault: the timer is gone from the pending ones and comes back as an event.
    waiting = Aggregate("journeys", decide, "shop", "c1", type(stored)(stored.state, stored.at))
    story.customer = waiting
    story._told = 0
    assert story.take(2 * HOUR, TimerDue(timer.due, timer.kind, timer.key)) == [
        (2 * HOUR, "in_app payment_reminder:o1:5m")
    ]
    assert story.take(2 * HOUR, TimerDue(timer.due, timer.kind, timer.key)) == NOTHING
    assert story.wake(2 * DAY) == [
        (DAY, "sms payment_reminder:o1:24h"),
        (DAY, "leaves payment_reminder o1: finished"),
    ]
