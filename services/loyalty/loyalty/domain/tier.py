"""Which tier a spend gives, and when tiers are reviewed."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from common.contracts.loyalty import Tier
from loyalty.domain.rules import TIERS, Rules


def tier_of(rules: Rules, spend_minor: int) -> Tier:
    """The highest tier whose threshold the spend reaches."""
    return next(step.tier for step in reversed(rules.tiers) if spend_minor >= step.from_minor)


def higher(one: Tier, other: Tier) -> Tier:
    """The higher of two tiers, by the order of all tiers: one of them may be of an earlier preset."""
    return max(one, other, key=TIERS.index)


def review_from(rules: Rules, at: datetime) -> datetime:
    """The first review at or after `at`: it comes after all that happened at its own instant."""
    return next(review for review in _reviews(rules, at) if review >= at)


def review_after(rules: Rules, at: datetime) -> datetime:
    """The first review after `at`, in UTC."""
    return next(review for review in _reviews(rules, at) if review > at)


def _reviews(rules: Rules, near: datetime) -> list[datetime]:
    """The reviews of the local year of `near` and of the next one, in UTC, ascending.

    Where clocks are put forward at midnight there is no 00:00: fold 0 reads it by the offset before the jump, which is
    the very instant the new day begins. Where an hour comes twice, fold 0 is its first.
    """
    zone = ZoneInfo(rules.zone)
    year = near.astimezone(zone).year
    return [
        datetime(y, month, 1, tzinfo=zone).astimezone(UTC) for y in (year, year + 1) for month in rules.review_months
    ]
