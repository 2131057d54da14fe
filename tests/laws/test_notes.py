"""Laws of what other services tell: in whatever order the topics are read, everybody ends in the same segments."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from common.contracts.envelope import Data, Event
from common.contracts.ingest import CustomerErased, CustomerMerged, CustomerSplit, HistoryEnded, OrderPaid, Visit
from common.contracts.loyalty import (
    PointsEarned,
    PointsSpent,
    PointsTransferredIn,
    PointsTransferredOut,
    Tier,
    TierChanged,
)
from common.contracts.notifier import MessageOpened, MessageSent
from common.contracts.segmentation import LifecycleChanged, SegmentEntered, SegmentRecheck
from common.decision import Aggregate, Stored
from common.money import Money
from segmentation.domain.profile.notes import MAX_WAITING, NEWS
from segmentation.domain.profile.records import Series
from segmentation.domain.profile.state import Profile
from tests.laws.merging import A, B, Meetings, World, meetings, play
from tests.laws.streams import CURRENCY, GAPS, SHOP, START, event, latest, streams
from tests.laws.test_memberships import BOOK, DECIDE, SERVICE, TOLD, assert_where_it_belongs, from_nothing, inside, told

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
EXAMPLES = 60
ASIDES = frozenset(data.TYPE for data in NEWS)
TIERS = st.sampled_from(get_args(Tier))
BALANCES = st.sampled_from([0, 99, 100, 500])
OPENED = MessageOpened("k1", "email", "welcome", "first")
ACCOUNTS: st.SearchStrategy[Data] = st.one_of(
    st.builds(PointsEarned, st.just("p1"), st.just(1), BALANCES),
    st.builds(PointsSpent, st.just("p2"), st.just(1), BALANCES),
    st.builds(TierChanged, TIERS, TIERS, st.just(0), st.just("spend")),
)
NOTES: st.SearchStrategy[Data] = st.one_of(ACCOUNTS, ACCOUNTS, st.just(OPENED))


def customer(stored: Stored[Profile] | None = None) -> Aggregate[Profile]:
    return Aggregate("law", DECIDE, SHOP, "c1", stored, ASIDES)


def note(number: int, data: Data, at: datetime, name: str = "c1", *, historic: bool = False) -> Event[Data]:
    return replace(event(1_000 + number, name, data, at, historic=historic), source="regulars/other")


@st.composite
def told_aside(draw: st.DrawFn) -> tuple[Event[Data], ...]:
    """What another service tells of a customer, in its own order."""
    now, notes = START + draw(st.sampled_from([timedelta(0), -DAY, DAY])), []
    for number in range(draw(st.integers(0, 12))):
        now += draw(GAPS)
        notes.append(note(number, draw(NOTES), now, historic=draw(st.booleans())))
    return tuple(notes)


def lived(events: Sequence[Event[Data]], end: datetime, *, cut: bool = False) -> Aggregate[Profile]:
    """After all of it, and after every timer up to the end. With `cut` all goes through its bytes at every step."""
    one = customer()
    for news in events:
        if cut and one.stored is not None:
            kept = msgspec.json.decode(msgspec.json.encode(one.stored), type=Stored[Profile])
            one, before = customer(kept), one
            one.facts = before.facts
        one.take(news)
        assert not one.poison, one.poison
    one.wake(end)
    assert not one.poison, one.poison
    return one


def known(profile: Profile) -> Profile:
    """All that is known of somebody, without what was last said of it and until when."""
    return replace(profile, answers={}, places={}, revision=0, edition="")


@settings(max_examples=EXAMPLES)
@given(streams(TOLD, customers=1), told_aside(), st.data())
def test_in_whatever_order_two_topics_are_read_everybody_ends_in_the_same_segments(
    stream: tuple[Event[Data], ...], notes: tuple[Event[Data], ...], data: st.DataObject
) -> None:
    end = latest((*stream, *notes)) + DAY
    of_stream, of_notes, read = [*stream], [*notes], list[Event[Data]]()
    for first in data.draw(st.lists(st.booleans(), max_size=len(stream) + len(notes))):
        if queue := (of_stream if first else of_notes):
            read.append(queue.pop(0))
    read += data.draw(st.sampled_from([of_stream + of_notes, of_notes + of_stream]))
    one = lived(read, end, cut=True)
    other = lived(stream + notes, end)
    assert one.stored is not None
    assert other.stored is not None
    assert known(one.stored.state) == known(other.stored.state)
    assert one.stored.historic is other.stored.historic
    if not one.stored.historic and not one.stored.state.resting:
        assert not one.stored.state.waiting
        assert_where_it_belongs(BOOK, one, one.stored, end - TICK)
    assert inside(one.stored.state) == inside(other.stored.state)
    assert told(one.facts) == told(other.facts)
    assert [cell(fact.data) for fact in one.facts[:1]] == [cell(fact.data) for fact in other.facts[:1]]


def cell(data: Data) -> str | None:
    """The first that is told of anybody is where it stands."""
    return data.reason if isinstance(data, LifecycleChanged) else None


@settings(max_examples=EXAMPLES)
@given(meetings(st.one_of(TOLD, ACCOUNTS)))
def test_an_account_stays_its_own_when_its_customer_is_merged(story: Meetings) -> None:
    world = play(SERVICE, story)
    assert not world.poison()
    for name, one in world.customers.items():
        if one.stored is None:
            continue
        one.wake(latest(story.events) + 500 * DAY)
        words = [news.data for news in story.events if news.customer_id == name and isinstance(news.data, NEWS)]
        tiers = [said.tier for said in words if isinstance(said, TierChanged)]
        if not one.stored.into and not one.stored.state.waiting:
            assert one.stored.state.tier in {*tiers, None}
            expected = from_nothing(BOOK, name, one.stored.state, one.stored.at)
            assert inside(one.stored.state) == (frozenset() if one.stored.state.resting else expected)


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_a_split_takes_along_the_messages_of_its_own(data: st.DataObject) -> None:
    """Whether they were told before the merge or after it, and whichever of the two has come to their time."""
    now, told = START, list[Event[Data]]()
    for name in (A, B):
        told.append(event(len(told), name, Visit(), now))
    merged_after, split_after = sorted(data.draw(st.integers(0, 12)) for _ in range(2))
    for number in range(split_after + 1):
        now += data.draw(GAPS)
        if number == merged_after:
            told.append(event(50, A, CustomerMerged(B), now))
        name, ahead = data.draw(st.sampled_from([A, A, B])), data.draw(st.sampled_from([timedelta(0), DAY]))
        if data.draw(st.booleans()):
            told.append(note(number, MessageSent(f"k{number}", "sms", name, "one"), now + ahead, name))
        else:
            told.append(event(100 + number, B, Visit(), now))
    now += data.draw(GAPS)
    told.append(event(51, A, CustomerSplit(B), now))
    world: World[Profile] = World(SERVICE)
    for news in told:
        world.tell(news, data.draw(st.integers(0, 3)))
    world.deliver()
    assert not world.poison()
    for name in (A, B):
        world.customers[name].wake(now + 500 * DAY)
        heard = world.state(name).series.get(MessageSent.TYPE, Series()).records
        wanted = [news for news in told if isinstance(news.data, MessageSent) and news.customer_id == name]
        assert [one.about["journey"] for one in heard] == [name] * len(wanted)
        assert not world.state(name).waiting


def test_who_lives_on_has_loyaltys_own_word() -> None:
    world: World[Profile] = World(SERVICE)
    for number, name in enumerate((A, B)):
        world.tell(event(number, name, OrderPaid(f"o{number}", Money(100, CURRENCY)), START))
        world.tell(note(number, PointsEarned(f"p{number}", 300, 300), START, name))
    world.tell(note(2, TierChanged("gold", "ordinary", 1, "spend"), START, A))
    world.tell(event(3, A, CustomerMerged(B), START + DAY))
    assert (world.state(B).points, world.state(B).tier) == (300, None)
    world.tell(note(4, PointsTransferredOut("p4", 300, 0, other=B), START + DAY, A))
    world.tell(note(5, PointsTransferredIn("p5", 300, 600, other=A), START + DAY, B))
    world.tell(note(6, TierChanged("gold", "ordinary", 2, "spend"), START + DAY, B))
    world.tell(event(7, B, Visit(), START + DAY + TICK))
    assert (world.state(B).points, world.state(B).tier) == (600, "gold")
    assert inside(world.state(B)) >= {"rich", "gold", "gold_lately"}
    world.tell(event(8, A, CustomerSplit(B), START + 2 * DAY))
    world.tell(note(9, PointsTransferredIn("p6", 300, 300, other=B), START + 2 * DAY, A))
    world.tell(event(10, A, Visit(), START + 2 * DAY + TICK))
    assert inside(world.state(A)) >= {"rich", "gold", "gold_lately"}


def test_a_note_ahead_of_its_time_waits_and_a_late_one_counts_at_once() -> None:
    one = customer()
    one.take(event(1, "c1", Visit(), START))
    one.take(note(1, TierChanged("gold", "ordinary", 1, "spend"), START + DAY))
    assert one.stored is not None
    assert (one.stored.at, one.stored.state.tier) == (START, None)
    assert one.stored.wake_at == START + DAY
    one.wake(START + DAY + TICK)
    entered = one.facts[-1]
    assert isinstance(entered.data, SegmentEntered)
    assert (entered.data.segment, entered.data.reason) == ("gold", "tier.changed")
    assert entered.occurred_at == START + DAY
    one.take(event(2, "c1", Visit(), START + 3 * DAY))
    one.take(note(2, PointsEarned("p", 100, 100), START + 2 * DAY))
    entered = one.facts[-1]
    assert isinstance(entered.data, SegmentEntered)
    assert (entered.data.segment, entered.data.reason) == ("rich", "points.earned")
    assert entered.occurred_at == START + 3 * DAY


def test_who_is_known_by_others_alone_is_nobody_yet() -> None:
    one = customer()
    one.take(note(1, PointsEarned("p", 100, 100), START))
    one.take(note(2, PointsSpent("q", 50, 50), START + 2 * DAY))
    one.take(event(1, "c1", SegmentRecheck(1), START))
    one.wake(START + 9 * DAY)
    assert one.facts == []
    one.take(event(2, "c1", Visit(), START + DAY))
    assert one.stored is not None
    assert one.stored.at == START + DAY
    assert isinstance(one.facts[0].data, LifecycleChanged)
    assert one.facts[0].data.reason == "first seen"
    assert "rich" not in told(one.facts)
    one.wake(START + DAY + TICK)
    assert "rich" in told(one.facts)
    one.wake(START + 3 * DAY)
    assert "rich" not in told(one.facts)
    assert one.stored.state.points == 50


def test_notes_of_a_history_that_come_after_its_end_begin_no_import() -> None:
    one = customer()
    one.take(event(1, "c1", Visit(), START, historic=True))
    one.take(event(2, "c1", HistoryEnded(), START + 9 * DAY))
    one.take(note(1, PointsEarned("p", 100, 100), START + DAY, historic=True))
    assert one.stored is not None
    assert not one.stored.historic
    assert one.facts[-1].historic  # as news of the past nobody is told of


def test_an_erased_person_keeps_what_loyalty_keeps_and_no_messages() -> None:
    one = customer()
    one.take(event(1, "c1", Visit(), START))
    one.take(note(1, PointsEarned("p", 100, 100), START))
    one.take(note(2, MessageSent("k1", "email", "welcome", "first"), START))
    one.take(event(2, "c1", CustomerErased(), START + DAY))
    one.take(note(3, OPENED, START))
    assert one.stored is not None
    assert (one.stored.state.points, one.stored.state.series, one.stored.state.last_seen_at) == (100, {}, None)
    assert told(one.facts) == frozenset()
    one.take(event(3, "c1", Visit(), START + 2 * DAY))
    assert "rich" in told(one.facts)


def test_what_waits_at_a_merged_id_is_forgotten_with_an_erasure_but_for_what_loyalty_keeps() -> None:
    one = customer()
    one.take(event(1, "c1", Visit(), START))
    one.take(event(2, "c1", CustomerMerged("c2"), START))
    one.take(note(1, MessageSent("k1", "email", "welcome", "first"), START + DAY / 2))
    one.take(note(2, PointsEarned("p", 100, 100), START + DAY / 2))
    assert one.stored is not None
    assert len(one.stored.state.waiting) == 2
    one.take(event(3, "c1", CustomerErased(), START + DAY))
    assert [each.kind for each in one.stored.state.waiting] == [PointsEarned.TYPE]


def test_no_more_notes_wait_than_are_bounded() -> None:
    one = customer()
    for number in range(2 * MAX_WAITING):
        one.take(note(number, PointsEarned("p", 1, number), START + number * DAY))
    one.take(event(1, "c1", Visit(), START))
    assert one.stored is not None
    assert len(one.stored.state.waiting) <= MAX_WAITING
    one.wake(START + 2 * MAX_WAITING * DAY)
    assert one.stored.state.points == 2 * MAX_WAITING - 1
