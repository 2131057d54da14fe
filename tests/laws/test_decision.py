"""How one customer's events and timers follow each other: the laws that every service's decide stands on."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.envelope import Data, Event, Rejection, encode
from common.contracts.ingest import CheckIn, HistoryEnded, Visit
from common.contracts.work import TimerDue
from common.decision import MAX_TIMERS_PLAYED, Aggregate, Decision, Occasion, Stored, Timer
from tests.laws.counting import FAULTY_REMINDER, HOUR, MAX_REMINDERS, POISON, Counted, Reminded, State, decide
from tests.laws.every_decide import (
    assert_bounded,
    assert_cut_anywhere,
    assert_deliver_twice,
    assert_independent,
    assert_late_alarm,
    assert_replay,
)
from tests.laws.streams import GAPS, LAGS, SHOP, START, Delivery, deliveries, event

AN_INSTANT = timedelta(microseconds=1)
KINDS: st.SearchStrategy[Data] = st.sampled_from([Visit(), CheckIn(), CheckIn()])


def customer(stored: Stored[State] | None = None) -> Aggregate[State]:
    return Aggregate("toy", decide, SHOP, "c1", stored)


def said(one: Aggregate[State]) -> list[Data]:
    return [fact.data for fact in one.facts]


@given(deliveries(KINDS))
def test_batches_may_be_cut_anywhere(delivery: Delivery) -> None:
    assert_cut_anywhere(decide, State, delivery)


@given(deliveries(KINDS))
def test_a_batch_may_come_twice(delivery: Delivery) -> None:
    assert_deliver_twice(decide, State, delivery)


@given(deliveries(KINDS))
def test_a_late_alarm_changes_nothing(delivery: Delivery) -> None:
    assert_late_alarm(decide, State, delivery)


@given(deliveries(KINDS))
def test_a_replay_gives_the_same_bytes(delivery: Delivery) -> None:
    assert_replay(decide, State, delivery)


@given(deliveries(KINDS))
def test_customers_do_not_know_of_each_other(delivery: Delivery) -> None:
    assert_independent(decide, State, delivery)


@given(deliveries(KINDS))
def test_what_is_kept_stays_small(delivery: Delivery) -> None:
    assert_bounded(decide, State, delivery, max_state_bytes=600)


@given(st.lists(st.tuples(st.booleans(), GAPS), max_size=20), GAPS)
def test_every_reminder_goes_off_once_where_it_belongs(steps: list[tuple[bool, timedelta]], rest: timedelta) -> None:
    """Against a plain merge of events and the reminders they set, in order of time, events first."""
    one, now, count, pending, expected = customer(), START, 0, list[Timer](), list[Data]()

    def play(until: Event[Data] | None = None) -> None:
        pending.sort()  # those of one moment by their keys, as texts
        while pending and pending[0].due < now:
            expected.append(Reminded(pending.pop(0).key, count))

    for number, (sets, gap) in enumerate(steps):
        now += gap
        play()
        count += 1
        expected.append(Counted(count))
        if sets:
            pending.append(Timer(now + HOUR, "remind", str(count)))
            pending.sort(key=lambda timer: int(timer.key))
            del pending[:-MAX_REMINDERS]
        one.take(event(number, "c1", CheckIn() if sets else Visit(), now))
    now += rest
    play()
    one.wake(now)
    assert said(one) == expected
    assert one.stored is None or one.stored.timers == tuple(pending)
    assert one.decided == len(expected)


def test_at_equal_times_the_event_goes_first() -> None:
    one = customer()
    one.take(event(1, "c1", CheckIn(), START))
    one.take(event(2, "c1", Visit(), START + HOUR))
    assert said(one) == [Counted(1), Counted(2)]
    one.take(event(3, "c1", Visit(), START + HOUR + AN_INSTANT))
    assert said(one) == [Counted(1), Counted(2), Reminded("1", 2), Counted(3)]


def test_an_alarm_at_the_watermark_waits_for_the_next() -> None:
    one = customer()
    one.take(event(1, "c1", CheckIn(), START))
    one.wake(START + HOUR)
    assert said(one) == [Counted(1)]
    one.wake(START + HOUR + AN_INSTANT)
    assert said(one) == [Counted(1), Reminded("1", 1)]
    assert one.facts[1].received_at == START + HOUR
    assert one.stored is not None
    assert one.stored.wake_at is None


def test_an_event_that_comes_too_late_is_decided_now() -> None:
    """Time does not run backwards for a customer, whatever other topics or clocks say."""
    one = customer()
    one.take(event(1, "c1", Visit(), START))
    one.take(event(2, "c1", CheckIn(), START - HOUR))
    assert one.facts[1].received_at == START
    assert one.stored is not None
    assert (one.stored.at, one.stored.wake_at) == (START, START + HOUR)


@given(LAGS)
def test_nothing_occurred_after_it_is_decided(lag: timedelta) -> None:
    seen: list[Occasion] = []

    def look(state: State | None, occasion: Occasion) -> Decision[State]:
        seen.append(occasion)
        return decide(state, occasion)

    Aggregate("toy", look, SHOP, "c1", None).take(event(1, "c1", Visit(), START, START - lag))
    assert seen[0].occurred_at == min(START, START - lag)


def test_history_arms_no_alarm_until_it_ends() -> None:
    one = customer()
    one.take(event(1, "c1", CheckIn(), START, historic=True))
    assert one.stored is not None
    assert (one.stored.timers, one.stored.wake_at) == ((Timer(START + HOUR, "remind", "1"),), None)
    one.take(event(2, "c1", Visit(), START + AN_INSTANT))  # live, in the middle of an import
    assert one.stored.wake_at is None
    one.take(event(3, "c1", HistoryEnded(), START + 2 * AN_INSTANT))
    assert one.stored.wake_at == START + HOUR
    assert [fact.historic for fact in one.facts] == [True, False]


def test_the_end_of_history_takes_in_what_is_due_at_that_moment() -> None:
    one = customer()
    one.take(event(1, "c1", CheckIn(), START, historic=True))
    one.take(event(2, "c1", CheckIn(), START + AN_INSTANT, historic=True))
    one.take(event(3, "c1", HistoryEnded(), START + HOUR))
    assert said(one) == [Counted(1), Counted(2), Reminded("1", 2)]
    assert one.facts[2].historic
    assert one.stored is not None
    assert (one.stored.historic, one.stored.wake_at) == (False, START + HOUR + AN_INSTANT)
    one.wake(START + 2 * HOUR)
    assert said(one)[3] == Reminded("2", 2)
    assert not one.facts[3].historic


def test_the_end_of_a_history_of_nothing() -> None:
    one = customer()
    one.take(event(1, "c1", HistoryEnded(), START))
    assert (one.stored, one.facts, one.poison) == (None, [], [])


def test_a_poison_event_costs_itself_alone() -> None:
    one = customer()
    one.take(event(1, "c1", CheckIn(), START))
    poison = event(2, "c1", POISON, START + 2 * HOUR)
    one.take(poison)
    one.take(event(3, "c1", Visit(), START + 3 * HOUR))
    assert said(one) == [Counted(1), Reminded("1", 1), Counted(2)]
    assert [(each.event, each.reason) for each in one.poison] == [(poison, Rejection("$", "ValueError: poison"))]
    assert one.decided == 3


def test_a_poison_timer_costs_itself_alone_and_can_be_replayed() -> None:
    one = customer()
    one.take(event(1, "c1", FAULTY_REMINDER, START))
    one.take(event(2, "c1", CheckIn(), START))
    one.wake(START + 2 * HOUR)
    assert said(one) == [Counted(1), Counted(2), Reminded("2", 2)]
    (poison,) = one.poison
    assert poison.reason == Rejection("$", "ValueError: faulty 1")
    assert poison.event.data == TimerDue(START + HOUR, "faulty", "1")
    assert (poison.event.received_at, poison.event.customer_id) == (START + HOUR, "c1")

    def mended(state: State | None, occasion: Occasion) -> Decision[State]:
        what = occasion.what
        if isinstance(what, Timer):
            what = Timer(what.due, "remind", what.key)
        occasion = Occasion(SHOP, "c1", what, occasion.at, occasion.occurred_at, occasion.historic, occasion.cause)
        return decide(state, occasion)

    again = Aggregate("toy", mended, SHOP, "c1", one.stored)
    again.take(poison.event)
    assert [fact.data for fact in again.facts] == [Reminded("1", 2)]


def test_timers_go_off_in_the_order_they_are_due_whatever_order_they_stand_in() -> None:
    timers = [Timer(START + minutes * timedelta(minutes=1), "remind", str(minutes)) for minutes in (3, 1, 2)]
    one = customer(Stored(State(7, tuple(timers)), START, tuple(timers)))
    one.wake(START + HOUR)
    assert said(one) == [Reminded("1", 7), Reminded("2", 7), Reminded("3", 7)]
    assert [fact.received_at for fact in one.facts] == [timer.due for timer in sorted(timers)]


def test_a_timer_that_sets_itself_again_and_again_is_a_bug_that_is_heard() -> None:
    def endless(_: int | None, occasion: Occasion) -> Decision[int]:
        return Decision(0, (), (Timer(occasion.at, "again"),))

    one: Aggregate[int] = Aggregate("toy", endless, SHOP, "c1", None)
    one.take(event(1, "c1", Visit(), START))
    with pytest.raises(AssertionError, match=f"more than {MAX_TIMERS_PLAYED} timers"):
        one.wake(START + HOUR)


def test_facts_know_what_caused_them_and_their_ids_differ() -> None:
    one, other = customer(), Aggregate("toy", decide, SHOP, "c2", None)
    for each in (one, other):
        each.take(event(1, each.customer_id, CheckIn(), START))
        each.wake(START + 2 * HOUR)
    facts = one.facts + other.facts
    assert len({fact.id for fact in facts}) == 4
    assert one.facts[0].causation_id == other.facts[0].causation_id  # the same sender's id of two customers' events
    assert {fact.source for fact in facts} == {"regulars/toy"}
    assert [fact.type for fact in facts] == ["toy.counted", "toy.reminded"] * 2
    again = customer()
    again.take(event(1, "c1", CheckIn(), START))
    assert encode(again.facts[0]) == encode(one.facts[0])
