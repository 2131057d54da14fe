"""Journeys' laws: however events come, everybody is told exactly what the bare rules say, when they say it, once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.envelope import Data, Event
from common.contracts.ingest import CartItemAdded, OrderCancelled, OrderPaid, OrderPlaced, ShipmentDispatched
from common.contracts.journeys import JourneyEntered, JourneyLeft, MessageRequested
from common.decision import Decide
from journeys.domain.decide import decider, heeds
from journeys.domain.enrollment import State
from journeys.domain.graph import Definition
from tests.laws.every_decide import (
    assert_bounded,
    assert_cut_anywhere,
    assert_deliver_twice,
    assert_heeds_enough,
    assert_history_is_quiet,
    assert_independent,
    assert_late_alarm,
    assert_replay,
    run,
)
from tests.laws.journeys_streams import ANY, HEARD, ODD_ONES, PRESET_FILES
from tests.laws.streams import Delivery, deliveries, people_events

MAX_STATE_BYTES = 4_000  # of a customer with the few orders and carts of these streams

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(hours=24)


@dataclass(frozen=True)
class Rule:
    """A journey, said once more in the plainest form: what enters, what ends it, what is sent when."""

    journey: str
    enter: type[Data]
    key: str
    ended_by_same: tuple[type[Data], ...]
    ended_by_other: tuple[type[Data], ...]
    steps: tuple[tuple[str, timedelta], ...]
    where: Callable[[Data], bool] = lambda _data: True


PRESET_RULES = (
    Rule(
        journey="payment_reminder",
        enter=OrderPlaced,
        key="order_id",
        ended_by_same=(OrderPaid, OrderCancelled),
        ended_by_other=(),
        steps=(("5m", 5 * MINUTE), ("1h", HOUR), ("24h", 24 * HOUR)),
    ),
    Rule("dispatch_notice", ShipmentDispatched, "order_id", (), (), (("dispatched", timedelta(0)),)),
    Rule("gift_30d", OrderPaid, "order_id", (OrderCancelled,), (OrderPaid,), (("gift", 30 * DAY),)),
)

# The same as journeys_streams.ODD_FILES.
ODD_RULES = (
    Rule(
        journey="big_order",
        enter=OrderPlaced,
        key="order_id",
        ended_by_same=(ShipmentDispatched,),
        ended_by_other=(OrderCancelled,),
        steps=(("thanks", timedelta(0)), ("mail", HOUR), ("text", HOUR)),
        where=lambda data: isinstance(data, OrderPlaced) and data.amount.amount_minor >= 50_000,
    ),
    Rule("cart_care", CartItemAdded, "cart_id", (), (CartItemAdded,), (("left", DAY),)),
    Rule("placed_thanks", OrderPlaced, "order_id", (), (), (("thanks", timedelta(0)),)),
)


PRESET, ODD = decider(PRESET_FILES), decider(ODD_ONES)
BOTH = [pytest.param(PRESET, id="preset"), pytest.param(ODD, id="odd")]


@pytest.mark.parametrize("decide", BOTH)
@given(delivery=deliveries(ANY))
def test_batches_may_be_cut_anywhere(decide: Decide[State], delivery: Delivery) -> None:
    assert_cut_anywhere(decide, State, delivery)


@pytest.mark.parametrize("decide", BOTH)
@given(delivery=deliveries(ANY))
def test_a_batch_may_come_twice(decide: Decide[State], delivery: Delivery) -> None:
    assert_deliver_twice(decide, State, delivery)


@pytest.mark.parametrize("decide", BOTH)
@given(delivery=deliveries(HEARD))
def test_a_late_alarm_changes_nothing(decide: Decide[State], delivery: Delivery) -> None:
    assert_late_alarm(decide, State, delivery)


@pytest.mark.parametrize("decide", BOTH)
@given(delivery=deliveries(ANY))
def test_a_replay_gives_the_same_bytes(decide: Decide[State], delivery: Delivery) -> None:
    assert_replay(decide, State, delivery)


@pytest.mark.parametrize("decide", BOTH)
@given(delivery=deliveries(ANY))
def test_customers_are_independent(decide: Decide[State], delivery: Delivery) -> None:
    assert_independent(decide, State, delivery)


@pytest.mark.parametrize("definitions", [PRESET_FILES, ODD_ONES], ids=["preset", "odd"])
@given(delivery=deliveries(st.one_of(ANY, people_events()), imports=False))
def test_what_it_does_not_heed_changes_nothing(
    definitions: Mapping[str, Sequence[Definition]], delivery: Delivery
) -> None:
    assert_heeds_enough(decider(definitions), State, heeds(definitions), delivery)


@pytest.mark.parametrize("decide", BOTH)
@given(delivery=deliveries(HEARD))
def test_an_import_tells_nobody_anything(decide: Decide[State], delivery: Delivery) -> None:
    assert_history_is_quiet(decide, State, delivery)


@pytest.mark.parametrize("decide", BOTH)
@given(delivery=deliveries(HEARD))
def test_states_stay_small(decide: Decide[State], delivery: Delivery) -> None:
    assert_bounded(decide, State, delivery, max_state_bytes=MAX_STATE_BYTES)


def firsts(events: Sequence[Event[Data]], kind: type[Data], field: str) -> dict[str, int]:
    """The index of the first event of the kind, for each key; what comes again means nothing."""
    found: dict[str, int] = {}
    for index, one in enumerate(events):
        if isinstance(one.data, kind) and getattr(one.data, field) is not None:
            found.setdefault(getattr(one.data, field), index)
    return found


def bare_messages(rule: Rule, events: Sequence[Event[Data]], end: datetime) -> list[tuple[datetime, str]]:
    """Moment and message key of all that one customer is told, straight from the rule, order by order."""
    told: list[tuple[datetime, str]] = []
    for key, entered in firsts(events, rule.enter, rule.key).items():
        ends = [at for kind in rule.ended_by_same for k, at in firsts(events, kind, rule.key).items() if k == key]
        if min(ends, default=entered) < entered or not rule.where(events[entered].data):
            continue
        ends += [at for kind in rule.ended_by_other for k, at in firsts(events, kind, rule.key).items() if k != key]
        ended = [events[index].received_at for index in ends if index > entered]
        at = events[entered].received_at
        for step, after in rule.steps:
            moment = min(events[entered].occurred_at, at) + after
            if not after:
                told.append((at, f"{rule.journey}:{key}:{step}"))
            elif at <= moment < end and all(moment < other for other in ended):
                told.append((moment, f"{rule.journey}:{key}:{step}"))
    return told


@pytest.mark.parametrize(
    ("decide", "rules"), [pytest.param(PRESET, PRESET_RULES, id="preset"), pytest.param(ODD, ODD_RULES, id="odd")]
)
@given(delivery=deliveries(HEARD, imports=False))
def test_everybody_is_told_what_the_rules_say(
    decide: Decide[State], rules: tuple[Rule, ...], delivery: Delivery
) -> None:
    outcome = run(decide, State, delivery.events, cuts=delivery.cuts, wakes=delivery.wakes, end=delivery.end)
    for name, facts in outcome.facts.items():
        own = [one for one in delivery.events if one.customer_id == name]
        told = [(one.received_at, one.data.message_key) for one in facts if isinstance(one.data, MessageRequested)]
        assert told == sorted(told, key=lambda message: message[0])
        assert sorted(told) == sorted(message for rule in rules for message in bare_messages(rule, own, delivery.end))


@pytest.mark.parametrize("decide", BOTH)
@given(delivery=deliveries(ANY))
def test_each_key_enters_and_leaves_once_and_has_a_timer_in_between(decide: Decide[State], delivery: Delivery) -> None:
    outcome = run(decide, State, delivery.events, end=delivery.end)
    for name, facts in outcome.facts.items():
        entered = [(one.data.journey, one.data.enrollment) for one in facts if isinstance(one.data, JourneyEntered)]
        left = [(one.data.journey, one.data.enrollment) for one in facts if isinstance(one.data, JourneyLeft)]
        told = [one.data.message_key for one in facts if isinstance(one.data, MessageRequested)]
        assert len(told) == len(set(told))
        assert len(entered) == len(set(entered))
        assert len(left) == len(set(left))
        on = set(entered) - set(left)
        assert set(left) <= set(entered)
        stored = outcome.stored[name]
        assert {(one.journey, one.key) for one in stored.state.on} == on
        assert sorted((timer.kind, timer.key) for timer in stored.timers) == sorted(on)
        assert all(timer.due >= delivery.end for timer in stored.timers)
