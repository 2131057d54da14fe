"""The laws of told classes: a customer is known by the same attributes whether the classes of each event are told or
only those that are news; what is no news is never told, after a merge it is for a while; and it is the same however
events are cut into flushes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.contracts.envelope import Data, Event
from common.contracts.ingest import CustomerErased, CustomerMerged, CustomerSplit, CustomerUpdated, Visit
from ingest.domain.accept import Accepted
from ingest.domain.classes import EMAIL_PROVIDER, OCCUPATION
from ingest.domain.telling_classes import MergedMeanwhile, ToldOf
from ingest.domain.told_classes import AWAITED, NOTHING, Told
from ingest.people.operated import below
from segmentation.domain.profile.state import Profile
from tests.laws.merging import A, B, C, World
from tests.laws.streams import SHOP, START, event
from tests.laws.test_segmentation import MEETING

SECOND = timedelta(seconds=1)
NAMES = st.sampled_from((A, B, C))
STUDENT, FREE = {OCCUPATION: "student", EMAIL_PROVIDER: "qq"}, {EMAIL_PROVIDER: "qq"}
FOUND = st.sampled_from([STUDENT, {**STUDENT, EMAIL_PROVIDER: None}, FREE, {EMAIL_PROVIDER: None}, {OCCUPATION: "it"}])
SAID = st.sampled_from([{}, {OCCUPATION: "retired"}, {EMAIL_PROVIDER: "own"}, {OCCUPATION: None, "skin": "dry"}])


class Step(NamedTuple):
    """What happens, to whom; whether a flush ends there; how many messages between customers come then."""

    name: str
    what: str
    other: str
    found: Mapping[str, str | None]
    said: Mapping[str, str | None]
    ends: bool
    waits: int


WHAT = st.sampled_from(["brings"] * 5 + ["says", "says", "merged", "merged", "split", "erased"])
STORIES = st.lists(
    st.builds(Step, NAMES, WHAT, NAMES, FOUND, SAID, st.booleans(), st.integers(0, 1)), min_size=4, max_size=16
)
MANY = settings(max_examples=300)


def step(name: str, what: str, other: str = A, said: str | None = None, waits: int = 0) -> Step:
    """One of a story by hand: of a mailbox that is at nobody's, or by a sender's own word at somebody's."""
    return Step(name, what, other, {EMAIL_PROVIDER: None}, {EMAIL_PROVIDER: said} if said else {}, True, waits)


SPACES = st.lists(st.sampled_from([timedelta(0), SECOND, AWAITED / 2, AWAITED, 3 * AWAITED]), min_size=1, max_size=9)
NONE_OF_B, MERGED = step(B, "brings"), step(A, "merged", B)


class People:
    """Who lives on, as ingest decides it; and the story as it settles it, each event under who lives on by then."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._number = 0

    def settle(self, step: Step) -> list[Accepted]:
        name, other = self._alive(step.name), self._alive(step.other)
        match step.what:
            case "merged" if name != other:
                self._parents[name] = other
                return [self._accepted(name, CustomerMerged(other))]
            case "split" if step.name in self._parents:
                del self._parents[step.name]
                return [self._accepted(step.name, CustomerSplit(name))]
            case "erased":
                family: dict[str, str | None] = {each: self._parents.get(each) for each in (A, B, C)}
                return [self._accepted(each, CustomerErased()) for each in below(family, name)]
            case "says":
                data = CustomerUpdated(attributes={**step.found, **step.said})
                return [bringing(self._accepted(name, data), step.found)]
            case _:
                return [bringing(self._accepted(name, Visit()), step.found)]

    def living(self, accepted: Accepted) -> Accepted:
        """Under who lives on by now: so ingest tells all events of a flush, also those before the merge."""
        of = accepted.event
        if isinstance(of.data, CustomerMerged | CustomerSplit):
            return accepted
        event = msgspec.structs.replace(of, customer_id=self._alive(of.customer_id))
        return msgspec.structs.replace(accepted, event=event)

    def _alive(self, name: str) -> str:
        while name in self._parents:
            name = self._parents[name]
        return name

    def _accepted(self, name: str, data: Data) -> Accepted:
        self._number += 1
        return Accepted(event(self._number, name, data, START + self._number * SECOND), None)


def bringing(accepted: Accepted, found: Mapping[str, str | None]) -> Accepted:
    return msgspec.structs.replace(accepted, classes=dict(found))


class Table:
    """What was told last, in memory: what classes/store.py does, without others at the same time."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], bytes] = {}

    def flush(self, known: Sequence[Accepted]) -> list[Accepted]:
        last = max((each.event.received_at for each in known), default=START)
        told = ToldOf({key: msgspec.json.decode(body, type=Told) for key, body in self.rows.items()}, last)
        events = [each for one in known for each in told.hear(one)]
        self.rows |= {key: msgspec.json.encode(each) for key, each in told.changed.items()}
        return events

    def erase(self, name: str) -> None:
        self.rows[SHOP, name] = msgspec.json.encode(NOTHING)


def always(known: Iterable[Accepted]) -> list[Accepted]:
    """As if nothing was known of what was told."""
    return [event for one in known for event in ToldOf({}, START).hear(one)]


def played(
    story: Sequence[Step], *, cut: bool, sparing: bool, in_the_end: bool = False
) -> tuple[list[Event[Data]], World[Profile]]:
    """All that was told, and everybody once it has come. `in_the_end`: an event is told under who lives on when its
    flush ends, else when it happens."""
    people, table, world = People(), Table(), World(MEETING, cut=False)
    waiting: list[tuple[Accepted, int]] = []
    told: list[Event[Data]] = []

    def flush() -> None:
        known = [people.living(each) if in_the_end else each for each, _ in waiting]
        events = [each.event for each in (table.flush(known) if sparing else always(known))]
        last = {each.causation_id or each.id: each.id for each in events}  # of what each came to
        waits = {last[each.event.id]: wait for each, wait in waiting}
        for each in events:
            told.append(each)
            world.tell(each, waits.get(each.id, 0))
        waiting.clear()

    for step in story:
        if step.what == "split":
            flush()  # what an operator says comes first of a flush
        for each in people.settle(step):
            if step.what != "erased":
                waiting.append((each, step.waits))
                continue
            flush()
            table.erase(each.event.customer_id)
            told.append(each.event)
            world.tell(each.event, step.waits)
        if cut and step.ends:
            flush()
    flush()
    world.deliver()
    assert not world.poison()
    return told, world


def attributes(world: World[Profile]) -> dict[str, Any]:
    """Of everybody who lives on."""
    stored = {name: world.customers[name].stored for name in sorted(world.customers)}
    return {name: one.state.attributes for name, one in stored.items() if one is not None and not one.into}


@example([Step(A, "brings", A, FREE, {}, True, 0), NONE_OF_B, MERGED, NONE_OF_B])
@example([step(A, "says", said="own"), NONE_OF_B, MERGED, NONE_OF_B])
@example([Step(A, "brings", A, FREE, {}, True, 0), MERGED, step(B, "brings", waits=1), NONE_OF_B])
@example(
    [
        Step(C, "brings", A, FREE, {}, True, 0),
        step(C, "merged", A),  # what C had is still under way when A is split off again
        MERGED,
        step(A, "split"),
        step(A, "brings", waits=3),
        step(A, "brings"),
    ]
)
@example(
    [
        Step(A, "brings", A, FREE, {}, True, 0),
        MERGED,
        step(A, "split"),  # with what it had
        step(C, "brings"),
        step(A, "merged", C, waits=2),
        step(C, "brings"),
    ]
)
@example(
    [
        Step(C, "brings", A, FREE, {}, True, 0),
        NONE_OF_B,
        step(C, "merged", A, waits=1),
        step(A, "merged", B, waits=1),  # with what C had
        NONE_OF_B,
    ]
)
@example(
    [
        NONE_OF_B,
        Step(A, "brings", A, FREE, {}, False, 0),  # told of B, since A is merged in the same flush
        MERGED,
        NONE_OF_B,
    ]
)
@MANY
@given(STORIES)
def test_everybody_is_known_by_the_same_attributes(story: list[Step]) -> None:
    every, known = played(story, cut=True, sparing=False, in_the_end=True)
    news, known_by_news = played(story, cut=True, sparing=True, in_the_end=True)
    assert attributes(known_by_news) == attributes(known)
    assert [each for each in every if each in news] == news  # nothing else, and in the same order


@given(STORIES)
def test_where_flushes_are_cut_changes_nothing(story: list[Step]) -> None:
    cut, whole = (played(story, cut=cut, sparing=True)[0] for cut in (True, False))
    assert cut == whole


@given(NAMES, FOUND, st.integers(1, 5))
def test_a_repeat_is_no_news_and_a_change_is_news_once(name: str, found: dict[str, str | None], times: int) -> None:
    other = found | {OCCUPATION: "office"}
    story = [Step(name, "brings", name, brings, {}, True, 0) for brings in (found, other) for _ in range(times)]
    events = played(story, cut=True, sparing=True)[0]
    told = [each.data.attributes for each in events if isinstance(each.data, CustomerUpdated)]
    assert told == [each for each in (found, other) if each]


@example([AWAITED] * 5)
@given(SPACES)
def test_after_a_merge_the_same_is_told_while_something_may_come_and_once_more(spaces: list[timedelta]) -> None:
    """Of a customer without a free mailbox, after somebody who may have had one was merged into it."""
    people, table = People(), Table()
    for before in (Step(A, "brings", A, FREE, {}, True, 0), NONE_OF_B, MERGED):
        table.flush(people.settle(before))
    merged_at = now = START + 3 * SECOND
    late = 0
    for number, space in enumerate(spaces):
        now += space
        event_of_b = bringing(Accepted(event(100 + number, B, Visit(), now), None), {EMAIL_PROVIDER: None})
        over = now >= merged_at + AWAITED
        is_told = len(table.flush([event_of_b])) > 1
        assert is_told == (not over or late == 0)
        late += over


def test_a_senders_word_is_over_once_ours_was_told() -> None:
    """Then who was merged is known to bring nothing, and the same is no news."""
    said = step(A, "says", said="own")
    for story, again in (([said, NONE_OF_B, MERGED], 1), ([said, step(A, "brings"), NONE_OF_B, MERGED], 0)):
        before, after = (played(each, cut=True, sparing=True)[0] for each in (story, [*story, NONE_OF_B]))
        assert len(after) - len(before) == 1 + again


@example([MERGED])
@given(STORIES)
def test_who_was_merged_is_told_of_no_more(story: list[Step]) -> None:
    """An event under an id that does not live on: its flush was overtaken, and nothing of it is kept."""
    people, table = People(), Table()
    for each in story:
        if each.what != "erased":  # by which nothing is known of anybody
            table.flush(people.settle(each))
    for name in (A, B, C):
        late = bringing(Accepted(event(100, name, Visit(), START), None), FREE)
        if people.living(late) == late:
            table.flush([late])
            continue
        before = dict(table.rows)
        with pytest.raises(MergedMeanwhile):
            table.flush([late])
        assert table.rows == before
