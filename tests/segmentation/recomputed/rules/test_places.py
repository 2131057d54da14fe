"""After any story, at any instant, everybody is in the segments that an independent recompute of the story says.

The story goes through `decide` as on the road: late, disordered, repeated, with merges, timers played when due.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.segmentation import SegmentEntered, SegmentLeft
from segmentation.app import service
from segmentation.domain.models.lifecycle import Thresholds
from segmentation.domain.profile.state import Profile
from segmentation.domain.rules.parse import Known
from segmentation.domain.rules.parse_segment import parse_segment
from segmentation.domain.rules.rule import Segment
from tests.books import book
from tests.laws.merging import World
from tests.laws.streams import SHOP, event
from tests.segmentation.recomputed.rules.oracle import Oracle, Probe
from tests.segmentation.recomputed.rules.real import LENGTHS, SOURCES, exact, happened, kinds, some, told
from tests.segmentation.recomputed.rules.shapes import Shop, Speaker, Tree
from tests.segmentation.recomputed.rules.story import CURRENCY, CUSTOMERS, FACTS, KINDS, News, story, tables

STORIES = int(os.environ.get("REGULARS_STORIES", "25"))
LENGTH = 45  # of a story, in news
SEGMENTS = 12
BUSIEST = int(os.environ.get("REGULARS_BUSIEST", "2"))  # customers of a real shop, and others
OTHERS = 4 * BUSIEST
PROBES = 4  # between one news and the next
ZONE = "Asia/Shanghai"  # of tests.books
AN_INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)
THRESHOLDS = Thresholds(CURRENCY, 2, 3, 15 * DAY, 60 * DAY, 180 * DAY)

Places = dict[Probe, frozenset[str]]


@settings(max_examples=STORIES, deadline=None)
@given(st.integers(0, 2**64))
def test_everybody_is_where_the_story_says(seed: int) -> None:
    dice = Random(seed)
    news = story(dice, LENGTH)
    shop = tables(news)
    trees = _trees(Speaker(dice, shop, KINDS, FACTS)) if shop.events else {}
    world = _world(trees, cut=dice.random() < 0.3)
    _agree(trees, shop, _live(world, news, CUSTOMERS, dice))
    assert not world.poison()
    for customer in CUSTOMERS:
        _told_once(world, customer)


@pytest.mark.parametrize("name", SOURCES)
def test_everybody_of_a_real_shop_is_where_its_history_says(name: str) -> None:
    dice, source = Random(name), SOURCES[name]
    everything = {customer: events for customer, events in happened(source).items() if exact(events)}
    stories = {customer: told(everything[customer], dice) for customer in some(everything, dice, BUSIEST, OTHERS)}
    parts = [tables(news, (customer,), facts=False) for customer, news in stories.items()]
    shop = Shop([*stories], [event for part in parts for event in part.events], (), frozenset())
    trees = _trees(Speaker(dice, shop, kinds(shop.events, dice), {}, LENGTHS))
    places: Places = {}
    for customer, news in stories.items():
        world = _world(trees, cut=False)
        places |= _live(world, news, (customer,), dice)
        assert not world.poison()
        _told_once(world, customer)
    _agree(trees, shop, places)


def _trees(speaker: Speaker) -> dict[str, Tree]:
    trees: dict[str, Tree] = {}
    for number in range(SEGMENTS):
        trees[f"s{number}"] = speaker.tree(tuple(trees), depth=2)
    return trees


def _world(trees: dict[str, Tree], *, cut: bool) -> World[Profile]:
    return World(service({SHOP: book(SHOP, THRESHOLDS, _segments(trees))}), cut=cut)


def _agree(trees: dict[str, Tree], shop: Shop, places: Places) -> None:
    oracle = Oracle(ZONE, SHOP, trees)
    oracle.fill(shop)
    probes = [*places]
    for name, tree in trees.items():
        asked = zip(probes, oracle.ask(tree, probes), strict=True)
        differing = [(probe, theirs) for probe, theirs in asked if (name in places[probe]) is not theirs]
        assert not differing, (name, tree, len(differing), differing[0])


def _segments(trees: dict[str, Tree]) -> Iterator[Segment]:
    known = Known(frozenset(trees), zone=ZoneInfo(ZONE))
    for name, tree in trees.items():
        segment = parse_segment({"segment": name, "in": tree}, known)
        assert isinstance(segment, Segment), (tree, segment)
        yield segment


def _live(world: World[Profile], heard_of: Sequence[News], customers: Sequence[str], dice: Random) -> Places:
    """Where everybody is at instants after each news, and at the very moments at which something is due."""
    places: Places = {}
    for news, after in pairwise([*heard_of, None]):
        assert news is not None
        number, customer, data, at, heard = news
        world.tell(event(number, customer, data, heard, at))
        end = heard + 40 * DAY if after is None else after.heard
        if end == heard:
            continue
        for moment in sorted(_moments(world, dice, heard, end)):
            for name in customers:
                one = world.customers.get(name)
                if one is None or one.stored is None or one.stored.into:
                    continue
                one.wake(moment + AN_INSTANT)  # what is due at the moment is played
                inside = frozenset(name for name, place in one.stored.state.places.items() if place.inside)
                places[name, moment, moment] = inside
    return places


def _moments(world: World[Profile], dice: Random, start: datetime, end: datetime) -> Iterator[datetime]:
    yield start
    for one in world.customers.values():
        for timer in one.stored.timers if one.stored is not None else ():
            yield from (at for at in (timer.due - AN_INSTANT, timer.due) if start <= at < end)
    for _ in range(PROBES):
        yield start + (end - start - AN_INSTANT) * dice.random()


def _told_once(world: World[Profile], customer: str) -> None:
    """Of every segment it was told that it was entered, left, entered, and so on, to where the customer is now."""
    one = world.customers.get(customer)
    if one is None or one.stored is None or one.stored.into:
        return
    inside = set[str]()
    for fact in one.facts:
        if isinstance(fact.data, SegmentEntered):
            assert fact.data.segment not in inside
            inside.add(fact.data.segment)
        elif isinstance(fact.data, SegmentLeft):
            inside.remove(fact.data.segment)
    assert inside == {name for name, place in one.stored.state.places.items() if place.inside}
