"""Lifecycle x activity, threshold by threshold."""

from datetime import UTC, datetime, timedelta

import pytest

from segmentation.domain.models.lifecycle import Thresholds, classify, days_passed, next_change_at
from segmentation.domain.profile.state import Purchases

THRESHOLDS = Thresholds(
    currency="BRL",
    repeat_from=2,
    loyal_from=3,
    stimulate_from=timedelta(days=15),
    winback_from=timedelta(days=60),
    lost_from=timedelta(days=180),
)
FIRST = datetime(2017, 1, 1, tzinfo=UTC)
LAST = datetime(2018, 2, 10, 3, 30, tzinfo=UTC)  # a week before Sao Paulo's summer time ended: a day is 24 hours


@pytest.mark.parametrize(
    ("count", "at", "cell"),
    [
        (1, "2018-02-10T03:30:00Z", ("new", "active")),
        (1, "2018-02-25T03:29:59.999999Z", ("new", "active")),
        (1, "2018-02-25T03:30:00Z", ("new", "stimulate")),
        (2, "2018-04-11T03:29:59.999999Z", ("repeat", "stimulate")),
        (2, "2018-04-11T03:30:00Z", ("repeat", "winback")),
        (3, "2018-08-09T03:29:59.999999Z", ("loyal", "winback")),
        (3, "2018-08-09T03:30:00Z", ("loyal", "lost")),
        (999, "2028-01-01T00:00:00Z", ("loyal", "lost")),
    ],
)
def test_each_threshold_belongs_to_what_begins_there(count: int, at: str, cell: tuple[str, str]) -> None:
    assert classify(Purchases(count, FIRST, LAST, 0), datetime.fromisoformat(at), THRESHOLDS) == cell


def test_who_never_bought_is_a_prospect_for_ever() -> None:
    assert classify(None, LAST, THRESHOLDS) == ("prospect", None)
    assert next_change_at(None, LAST, THRESHOLDS) is None


@pytest.mark.parametrize(
    ("at", "due", "days"),
    [
        ("2018-02-10T03:30:00Z", "2018-02-25T03:30:00Z", 0),
        ("2018-02-25T03:29:59.999999Z", "2018-02-25T03:30:00Z", 0),
        ("2018-02-25T03:30:00Z", "2018-04-11T03:30:00Z", 15),
        ("2018-04-11T03:30:00Z", "2018-08-09T03:30:00Z", 60),
        ("2018-08-09T03:30:00Z", None, 180),
        ("2020-01-01T00:00:00Z", None, 180),
    ],
)
def test_the_next_change_is_the_next_threshold(at: str, due: str | None, days: int) -> None:
    purchases, instant = Purchases(1, LAST, LAST, 0), datetime.fromisoformat(at)
    expected = None if due is None else datetime.fromisoformat(due)
    assert next_change_at(purchases, instant, THRESHOLDS) == expected
    assert days_passed(purchases, instant, THRESHOLDS) == days
