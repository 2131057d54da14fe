"""Laws of segments on the road: however events come, everybody is in the segments that all that is known of it says.

At every instant the places, and what was told of them, are those of one evaluation of the profile as it stands, of
every segment, from nothing: whatever was asked when, and whoever was not asked at all.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.envelope import Data, Event
from common.contracts.ingest import (
    CartItemAdded,
    CheckIn,
    ConsentChanged,
    CustomerMerged,
    CustomerSplit,
    CustomerUpdated,
    Item,
    OrderPlaced,
    Visit,
)
from common.contracts.segmentation import SegmentEntered, SegmentLeft, SegmentRecheck
from common.decision import Aggregate, Stored
from common.money import Money
from segmentation.app import service
from segmentation.domain.decide import CHANGE, decider
from segmentation.domain.models.lifecycle import Thresholds
from segmentation.domain.models.model import Model, Modelled
from segmentation.domain.profile.person import Person, person_of
from segmentation.domain.profile.state import Kept, Profile
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.evaluate import Answer, evaluate
from segmentation.domain.rules.parse import Known
from segmentation.domain.rules.parse_segment import parse_segment
from segmentation.domain.rules.rule import Segment
from tests.books import book
from tests.laws.every_decide import assert_cut_anywhere, assert_late_alarm, assert_replay
from tests.laws.merging import Meetings, World, meetings, play
from tests.laws.streams import CURRENCY, GAPS, SHOP, START, Delivery, any_events, deliveries, event, streams

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
THRESHOLDS = Thresholds(CURRENCY, 2, 3, 15 * DAY, 60 * DAY, 180 * DAY)
EXAMPLES = 40  # each is lived through twice or more, and at every step asked of everything

TREES: Mapping[str, Any] = {
    "bought_lately": {"count": "purchase", "over": "30d", "op": "gte", "value": 1},
    "spender": {"sum": "purchase.amount", "over": "120d", "op": "gt", "value": 5000},
    "looker": {"count": "visit", "over": "15d", "op": "gte", "value": 2},
    "unpaid": {"then_not": {"first": {"of": "order.placed"}, "not": {"of": "purchase"}, "within": "1h"}},
    "this_month": {"count": "order.placed", "over": {"calendar": "month"}, "op": "gte", "value": 1},
    "filled_cart": {"field": "cart.pieces", "op": "gte", "value": 2},
    "old_cart": {"field": "cart.changed_at", "op": "older_than", "value": "24h"},
    "masks": {"field": "cart.categories", "op": "contains", "value": "masks"},
    "active": {"field": "activity", "op": "eq", "value": "active"},
    "known_long": {"field": "first_seen_at", "op": "older_than", "value": "45d"},
    "silent": {"field": "last_seen_at", "op": "older_than", "value": "60d"},
    "no_sms": {"field": "refused", "op": "contains", "value": "sms.marketing"},
    "suzhou": {"field": "city", "op": "eq", "value": "Suzhou"},
    "half": {"bucket": {"salt": "s", "from": 0, "to": 50}},
    "never_bought": {"none": [{"count": "purchase", "op": "gte", "value": 1}]},
    "photos": {
        "count": "review.submitted",
        "where": {"field": "photo", "op": "eq", "value": True},
        "op": "gte",
        "value": 1,
    },
    "refunded": {"sum": "order.refunded.amount", "op": "gt", "value": 50},
    "doubled": {"field": "rfm.f", "op": "gte", "value": 2},
    "target": {"all": [{"segment": "looker"}, {"none": [{"segment": "bought_lately"}]}]},
    "rich": {"field": "points", "op": "gte", "value": 100},
    "gold": {"field": "tier", "op": "eq", "value": "gold"},
    "gold_lately": {"all": [{"segment": "gold"}, {"segment": "bought_lately"}]},
    "reader": {"count": "message.opened", "over": "15d", "op": "gte", "value": 1},
    "half_target": {"all": [{"segment": "target"}, {"segment": "half"}]},
    "of_the_grid": {"any": [{"segment": "target"}, {"field": "lifecycle", "op": "eq", "value": "loyal"}]},
}


def visits_of_a_week(person: Person, at: datetime) -> Modelled:
    """A model that changes by itself, and at other times than lifecycle does."""
    times = sorted(record.at for record in person.series["visit"].records if record.at > at - 7 * DAY)
    facts = {"rfm.f": len(times)} if times else {}
    return Modelled(facts, times[0] + 7 * DAY if times else None, "a week passed")


WEEK = Model("week", frozenset({"visit"}), ("rfm.f",), visits_of_a_week)


def segments(trees: Mapping[str, Any], revision: int = 0) -> tuple[Segment, ...]:
    known = Known(frozenset(TREES), zone=ZoneInfo("Asia/Shanghai"))
    made = []
    for name, tree in trees.items():
        read = parse_segment({"segment": name, "names": {"en": name}, "in": tree}, known, "$", ("en",))
        assert isinstance(read, Segment), read
        made.append(Segment(read.segment, read.rule, read.reads, revision=revision, version=revision + 1))
    return tuple(made)


BOOK = book(SHOP, THRESHOLDS, segments(TREES), models=[WEEK])
DECIDE = decider({SHOP: BOOK})
SERVICE = service({SHOP: BOOK})

TEA = Item("i1", 2, category="masks", unit_price=Money(990, CURRENCY))
TOLD: st.SearchStrategy[Data] = st.one_of(
    any_events(),
    any_events(),
    st.just(Visit("i1")),
    st.just(CartItemAdded(TEA)),
    st.builds(OrderPlaced, st.sampled_from(["o1", "o2"]), st.just(Money(5_000, CURRENCY)), st.just((TEA,))),
    st.builds(ConsentChanged, st.just("sms"), st.just("marketing"), st.booleans()),
    st.builds(CustomerUpdated, city=st.sampled_from(["Suzhou", "Hangzhou"])),
)


def from_nothing(rulebook: Rulebook, name: str, profile: Profile, at: datetime) -> frozenset[str]:
    """The segments that hold, every one asked, by models asked anew."""
    answers: dict[str, Kept] = {}
    person = person_of(SHOP, name, rulebook.zone, profile, answers, rulebook.model_of)
    for model in rulebook.models:
        answers[model.name] = Kept(dict(model.answer(person, at).facts))
    found: dict[str, Answer] = {}
    for segment in rulebook.segments:
        found[segment.segment] = evaluate(segment.rule, person, at, found)
    return frozenset(name for name, answer in found.items() if answer.holds)


def inside(profile: Profile) -> frozenset[str]:
    return frozenset(name for name, place in profile.places.items() if place.inside)


def told(facts: Sequence[Event[Data]]) -> frozenset[str]:
    """Where somebody is who was told these; each is news."""
    now: set[str] = set()
    for fact in facts:
        match fact.data:
            case SegmentEntered(segment):
                assert segment not in now, fact
                now.add(segment)
            case SegmentLeft(segment):
                assert segment in now, fact
                now.remove(segment)
            case _:
                pass
    return frozenset(now)


def assert_where_it_belongs(rulebook: Rulebook, one: Aggregate[Profile], stored: Stored[Profile], at: datetime) -> None:
    expected = frozenset() if stored.state.resting else from_nothing(rulebook, one.customer_id, stored.state, at)
    assert inside(stored.state) == expected
    assert told(one.facts) == expected
    assert all(timer.due > at for timer in stored.timers)
    assert len([timer for timer in stored.timers if timer.kind == CHANGE]) <= 1


@settings(max_examples=EXAMPLES)
@given(streams(TOLD, customers=1), st.lists(GAPS, max_size=5))
def test_at_every_instant_everybody_is_where_one_evaluation_says(
    stream: tuple[Event[Data], ...], gaps: list[timedelta]
) -> None:
    one = Aggregate("law", DECIDE, SHOP, "c1", None)
    for index, news in enumerate(stream):
        one.take(news)
        assert not one.poison
        if one.stored is None:
            continue
        now = one.stored.at
        assert_where_it_belongs(BOOK, one, one.stored, now)
        until = stream[index + 1].received_at if index + 1 < len(stream) else datetime.max.replace(tzinfo=UTC)
        for instant in sorted(now + gap for gap in gaps if now + gap < until):
            one.wake(instant + TICK)
            assert_where_it_belongs(BOOK, one, one.stored, instant)


@settings(max_examples=EXAMPLES)
@given(deliveries(TOLD))
def test_neither_cuts_nor_late_alarms_nor_a_replay_change_a_thing(delivery: Delivery) -> None:
    assert_cut_anywhere(DECIDE, Profile, delivery)
    assert_late_alarm(DECIDE, Profile, delivery)
    assert_replay(DECIDE, Profile, delivery)


@settings(max_examples=EXAMPLES)
@given(meetings(TOLD))
def test_who_was_merged_or_split_is_where_it_belongs(story: Meetings) -> None:
    world = play(SERVICE, story)
    assert not world.poison()
    for name, one in world.customers.items():
        if one.stored is None or one.stored.into:
            continue
        expected = from_nothing(BOOK, name, one.stored.state, one.stored.at)
        assert inside(one.stored.state) == (frozenset() if one.stored.state.resting else expected)


@settings(max_examples=EXAMPLES)
@given(streams(TOLD, customers=1, imports=False), st.integers(0, 8), st.sampled_from(["asked", "met"]))
def test_an_edit_reaches_everybody_by_itself_or_with_the_next_news(
    stream: tuple[Event[Data], ...], before: int, how: str
) -> None:
    """An edited segment, a new one, and one that was archived."""
    trees = {name: tree for name, tree in TREES.items() if name != "no_sms"}
    trees["spender"] = {"sum": "purchase.amount", "op": "gt", "value": 0}
    edited = [*segments(trees)]
    spender = next(n for n, each in enumerate(edited) if each.segment == "spender")
    edited[spender] = segments({"spender": trees["spender"]}, revision=1)[0]
    edited += segments({"silent_too": {"field": "last_seen_at", "op": "older_than", "value": "1h"}}, revision=1)
    newer = book(SHOP, THRESHOLDS, edited, revision=1, models=[WEEK])
    books = {SHOP: BOOK}
    one = Aggregate("law", decider(books), SHOP, "c1", None)
    for index, news in enumerate(stream):
        if index == before:
            books[SHOP] = newer
            if how == "asked" and one.stored is not None:
                one.take(event(900, "c1", SegmentRecheck(1), news.received_at))
                assert_where_it_belongs(newer, one, one.stored, one.stored.at)
        one.take(news)
        assert not one.poison
    assert one.stored is not None
    assert_where_it_belongs(books[SHOP], one, one.stored, one.stored.at)


def test_two_processes_of_which_one_knows_the_newer_rules() -> None:
    """The older decides by what it knows, forgets nothing of the newer's, and has the customer asked again."""
    more = segments({"neither": {"none": [{"segment": "half"}, {"segment": "never_bought"}]}}, revision=1)
    newer = book(SHOP, THRESHOLDS, (*BOOK.segments, *more), revision=1, models=[WEEK])
    books = {SHOP: newer}
    one = Aggregate("law", decider(books), SHOP, "c3", None)
    one.take(event(1, "c3", Visit(), START))
    books[SHOP] = BOOK
    one.take(event(2, "c3", Visit(), START + DAY))
    assert one.stored is not None
    assert one.stored.state.revision == 0
    (timer,) = one.stored.timers
    assert timer.due <= START + DAY + timedelta(seconds=10)
    books[SHOP] = newer
    one.wake(START + 2 * DAY)
    assert not one.poison
    assert one.stored.state.revision == 1
    assert_where_it_belongs(newer, one, one.stored, START + 2 * DAY - TICK)


def test_everybody_keeps_a_lot_of_its_own_from_the_first_news_on() -> None:
    halves = set()
    for number in range(20):
        one = Aggregate("law", DECIDE, SHOP, f"c{number}", None)
        one.take(event(1, one.customer_id, Visit(), START))
        assert one.stored is not None
        assert_where_it_belongs(BOOK, one, one.stored, START)
        halves.add("half" in inside(one.stored.state))
    assert halves == {True, False}


def test_who_the_person_is_comes_along_with_a_merge() -> None:
    world: World[Profile] = World(SERVICE)
    said = (CustomerUpdated(city="Suzhou"), ConsentChanged("sms", "marketing", granted=False))
    for number, data in enumerate(said):
        world.tell(event(number, "c1", data, START))
    world.tell(event(8, "c2", CheckIn(), START))
    assert not inside(world.state("c2")) & {"suzhou", "no_sms"}
    world.tell(event(9, "c1", CustomerMerged("c2"), START))
    assert inside(world.state("c2")) >= {"suzhou", "no_sms"}
    reasons = {fact.data.reason for fact in world.facts("c2") if isinstance(fact.data, SegmentEntered)}
    assert "merged with c1" in reasons
    world.tell(event(10, "c1", CustomerSplit("c2"), START))
    assert inside(world.state("c1")) >= {"suzhou", "no_sms"}
