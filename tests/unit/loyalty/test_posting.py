"""A posting moves points from one account to another, and never nothing."""

from datetime import UTC, datetime

import pytest

from common.contracts.loyalty import PointsEarned, PointsReversed
from loyalty.domain.posting import Posting, posting, posting_id

AT = datetime(2018, 1, 1, tzinfo=UTC)


def test_earning_and_reversing_go_opposite_ways() -> None:
    earned = posting(PointsEarned, "00000001", 30, AT, "e1")
    assert earned == Posting("00000001", "programme:issued", "customer", 30, AT, "e1")
    reversed_ = posting(PointsReversed, "00000002", 12, AT, "e2")
    assert reversed_ == Posting("00000002", "customer", "programme:issued", 12, AT, "e2")


def test_change_is_signed_for_the_account_asked_about() -> None:
    earned = posting(PointsEarned, "00000001", 30, AT, "e1")
    assert earned.change("customer") == 30
    assert earned.change("programme:issued") == -30
    assert earned.change("another") == 0


@pytest.mark.parametrize("points", [0, -5])
def test_nothing_and_less_cannot_be_moved(points: int) -> None:
    with pytest.raises(AssertionError, match=f"moves {points} points"):
        posting(PointsEarned, "00000001", points, AT, "e1")


def test_an_account_cannot_pay_itself() -> None:
    with pytest.raises(AssertionError, match="to itself"):
        Posting("00000001", "customer", "customer", 5, AT, "e1")


def test_ids_sort_as_text_in_the_order_they_were_made() -> None:
    assert [posting_id(number) for number in (1, 2, 10)] == ["00000001", "00000002", "00000010"]
