"""Answers told in words: what was asked, what was found and which part settled it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import yaml

from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record, Series
from segmentation.domain.rules.evaluate import evaluate
from segmentation.domain.rules.parse import Known, parse
from segmentation.domain.rules.rule import Rule
from segmentation.domain.rules.why import Behind, why
from segmentation.domain.rules.words import words

NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def rule(said: str) -> Rule:
    read = parse(yaml.safe_load(said), Known(frozenset({"vip"}), frozenset({"staff"}), SHANGHAI))
    assert not isinstance(read, tuple), read
    return read


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{field: tier, op: in, value: [gold, silver]}", "tier in [gold, silver]"),
        ("{field: first_seen_at, op: older_than, value: 36h}", "first_seen_at older_than 36h"),
        ("{count: purchase, over: 48h, op: gte, value: 2}", "count purchase over 2d gte 2"),
        (
            "{sum: purchase.amount, over: {since: 2026-05-01}, where: {field: order, op: exists}, op: lt, value: 5}",
            "sum amount of purchase since 2026-04-30T16:00:00Z where order exists true lt 5",
        ),
        ("{last: visit, over: {calendar: week}, op: exists}", "last visit this week exists true"),
        (
            "{count: visit, over: {between: [2026-05-01, 2026-05-02]}, op: eq, value: 0}",
            "count visit between 2026-04-30T16:00:00Z and 2026-05-01T16:00:00Z eq 0",
        ),
        (
            "{then_not: {first: {of: order.placed, over: 7d}, not: {of: purchase}, within: 90m, same: order}}",
            "order.placed over 7d, then not purchase of the same order within 90m",
        ),
        ("{segment: vip}", "segment vip"),
        ("{list: staff}", "list staff"),
        ("{bucket: {salt: spring, to: 50}}", "bucket spring from 0 to 50"),
        ("none: [{segment: vip}]", "none"),
    ],
)
def test_words(said: str, told: str) -> None:
    assert words(rule(said)) == told


def test_what_settles_an_answer() -> None:
    asked = rule(
        "all: [{count: visit, over: 7d, op: gte, value: 1}, {any: [{field: tier, op: eq, value: gold}, {list: staff}]}]"
    )
    visit = Record(NOON - timedelta(days=2), "v1")
    person = Person("shop", "c1", SHANGHAI, {"tier": "silver"}, {"visit": Series((visit,))})
    told = why(asked, evaluate(asked, person, NOON, {}))
    visits, choice = told.parts
    assert (told.asked, told.holds, told.until) == ("all", False, None)
    assert (visits.holds, visits.settles, visits.found) == (True, False, 1)
    assert visits.events == (Behind("v1", visit.at),)
    assert (visits.until, visits.turns) == (visit.at + timedelta(days=7), True)
    assert (choice.holds, choice.settles) == (False, True)
    assert [(part.path, part.found, part.settles) for part in choice.parts] == [
        ("$.in.all[1].any[0]", "silver", True),
        ("$.in.all[1].any[1]", "staff", True),
    ]
