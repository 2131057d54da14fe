"""When somebody was warned of is a time like any other in a rule, though a profile keeps it as text."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from common.contracts.envelope import Data
from common.contracts.ingest import OrderPaid
from common.contracts.segmentation import SegmentEntered, SegmentLeft
from common.decision import AN_INSTANT, Aggregate, Stored
from common.money import Money
from segmentation.domain.decide import decider
from segmentation.domain.models.lifecycle import Thresholds
from segmentation.domain.now import Now
from segmentation.domain.profile.state import Profile
from segmentation.domain.rules.parse import Known
from segmentation.domain.rules.parse_segment import parse_segment
from segmentation.domain.rules.rule import Segment
from tests.books import book, models_of_shoppers
from tests.laws.streams import event

SHOP = "shop"
MAY_1 = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RULES = Thresholds("CNY", 2, 3, 15 * DAY, 60 * DAY, 180 * DAY)
WARNED_AT = MAY_1 + 80 * DAY  # of who bought on days 0, 20 and 40: silent for two of its gaps
FIELD = "churn.warned_at"
TREES: Mapping[str, Any] = {
    "within_a_week": {"field": FIELD, "op": "younger_than", "value": "7d"},
    "a_week_ago": {"field": FIELD, "op": "older_than", "value": "7d"},
    "in_august": {"field": FIELD, "op": "gte", "value": "2026-08-01T00:00:00Z"},
    "in_july": {"field": FIELD, "op": "gte", "value": "2026-07-01T00:00:00Z"},
    "never": {"field": FIELD, "op": "exists", "value": False},
}


def segment(name: str) -> Segment:
    tree = {"segment": name, "names": {"en": name}, "in": TREES[name]}
    read = parse_segment(tree, Known(zone=ZoneInfo("UTC")), "$", ("en",))
    assert isinstance(read, Segment), read
    return read


BOOK = book(SHOP, RULES, map(segment, TREES), models=models_of_shoppers())


def profile(one: Aggregate[Profile]) -> Profile:
    assert one.stored is not None
    return one.stored.state


def silent(until: datetime) -> Aggregate[Profile]:
    """Who bought three times and then no more, as it is read out of its bytes at that time."""
    one = Aggregate("segmentation", decider({SHOP: BOOK}), SHOP, "c1", None)
    for number, day in enumerate((0, 20, 40)):
        one.take(event(number, "c1", OrderPaid(f"o{number}", Money(100, "CNY")), MAY_1 + day * DAY, shop_id=SHOP))
    one.wake(until)
    one.stored = msgspec.json.decode(msgspec.json.encode(one.stored), type=Stored[Profile])
    return one


def moves(one: Aggregate[Profile], name: str) -> list[tuple[type[Data], datetime]]:
    told = [(fact.data, fact.occurred_at) for fact in one.facts]
    return [
        (type(said), at) for said, at in told if isinstance(said, SegmentEntered | SegmentLeft) and said.segment == name
    ]


def test_warned_within_a_week_ends_on_the_very_second() -> None:
    one = silent(WARNED_AT + AN_INSTANT)
    place = profile(one).places["within_a_week"]
    assert (place.inside, place.until) == (True, WARNED_AT + 7 * DAY)
    one.wake(WARNED_AT + 7 * DAY + AN_INSTANT)
    assert moves(one, "within_a_week") == [(SegmentEntered, WARNED_AT), (SegmentLeft, WARNED_AT + 7 * DAY)]
    assert moves(one, "a_week_ago") == [(SegmentEntered, WARNED_AT + 7 * DAY)]
    assert [fact.data for fact in one.facts[-2:]] == [
        SegmentLeft("within_a_week", "7d passed"),
        SegmentEntered("a_week_ago", "7d passed"),
    ]


def test_a_time_is_compared_with_times() -> None:
    places = profile(silent(WARNED_AT + AN_INSTANT)).places
    assert {name for name, place in places.items() if place.inside} == {"within_a_week", "in_july"}
    assert "never" in {name for name, place in profile(silent(WARNED_AT)).places.items() if place.inside}


@pytest.mark.parametrize("name", ["within_a_week", "a_week_ago"])
def test_it_is_told_why_and_until_when(name: str) -> None:
    """Here the score is the same until after the week."""
    view = Now(BOOK, "c1", profile(silent(WARNED_AT + AN_INSTANT)), WARNED_AT + DAY)
    answer = view[name]
    assert (answer.found, answer.until, answer.turns) == (WARNED_AT, WARNED_AT + 7 * DAY, True)


def test_it_is_kept_as_text() -> None:
    kept = profile(silent(WARNED_AT + AN_INSTANT)).answers["churn"]
    assert kept.facts[FIELD] == "2026-07-20T00:00:00+00:00"
