"""Thresholds of tiers, and the instants of reviews in zones that make it hard."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from loyalty.domain.tier import higher, review_after, review_from, tier_of
from tests.unit.loyalty.telling import RULES, day

TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("spend_minor", "tier"),
    [
        (0, "ordinary"),
        (49_999, "ordinary"),
        (50_000, "silver"),
        (199_999, "silver"),
        (200_000, "gold"),
        (499_999, "gold"),
        (500_000, "diamond"),
        (10**13, "diamond"),
    ],
)
def test_a_tier_begins_at_its_threshold(spend_minor: int, tier: str) -> None:
    assert tier_of(RULES, spend_minor) == tier


def test_higher_knows_tiers_that_the_rules_no_longer_have() -> None:
    assert higher("gold", "silver") == "gold"
    assert higher("silver", "diamond") == "diamond"


@pytest.mark.parametrize(
    ("zone", "at", "review"),
    [
        # Sao Paulo is at UTC-3, and was at UTC-2 in summer.
        ("America/Sao_Paulo", "2017-12-01", "2018-01-01T02:00"),
        ("America/Sao_Paulo", "2018-01-01T02:00", "2018-04-01T03:00"),
        ("America/Sao_Paulo", "2018-09-30T12:00", "2018-10-01T03:00"),
        ("America/Sao_Paulo", "2020-12-31T12:00", "2021-01-01T03:00"),
        # Already next year in Shanghai, still this year in UTC.
        ("Asia/Shanghai", "2017-12-31T16:00", "2018-03-31T16:00"),
        ("Asia/Shanghai", "2017-12-31T15:59", "2017-12-31T16:00"),
        # Damascus put its clocks forward at 00:00 of 1 April 2005: the day began at 01:00, which was 22:00 UTC.
        ("Asia/Damascus", "2005-03-31T12:00", "2005-03-31T22:00"),
        # And back at 00:00 of 1 October 2005: 23:00 to 24:00 came twice, the new day once, at 22:00 UTC.
        ("Asia/Damascus", "2005-09-30T12:00", "2005-09-30T22:00"),
    ],
)
def test_reviews_are_at_the_shops_midnight(zone: str, at: str, review: str) -> None:
    assert review_after(replace(RULES, zone=zone), day(at)) == day(review)


def test_a_repeated_midnight_is_its_first() -> None:
    """Havana put its clocks back at 01:00 of 1 November 2015: 00:00 came at 04:00 UTC and again at 05:00."""
    rules = replace(RULES, zone="America/Havana", review_months=(11,))
    assert review_after(rules, day("2015-10-31")) == day("2015-11-01T04:00")
    assert review_after(rules, day("2015-11-01T04:00")) == day("2016-11-01T04:00")


@pytest.mark.parametrize(
    "at", [day("2018-04-01T03:00"), day("2018-04-01T03:00") - TICK, day("2018-01-01T02:00") + TICK]
)
def test_the_review_of_an_instant_comes_after_what_happens_at_it(at: datetime) -> None:
    assert review_from(RULES, at) == day("2018-04-01T03:00")


def test_months_are_the_rules_to_choose() -> None:
    assert review_after(replace(RULES, review_months=(7,)), day("2018-08-01")) == day("2019-07-01T03:00")
