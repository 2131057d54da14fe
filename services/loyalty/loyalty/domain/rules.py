"""A shop's loyalty programme: how points are earned, what the tiers ask for, and when they are reviewed."""

from datetime import timedelta
from typing import get_args

from msgspec import Struct

from common.contracts.loyalty import Tier

TIERS: tuple[Tier, ...] = get_args(Tier)  # ascending; a preset uses some of them, in this order


class TierStep(Struct, frozen=True):
    """Who has spent at least `from_minor` in the window is in the tier."""

    tier: Tier
    from_minor: int


class Rules(Struct, frozen=True, kw_only=True):
    """The programme of one shop. Amounts are minor units of `currency`."""

    zone: str  # IANA name; reviews are held at its midnights
    currency: str
    minor_per_point: int  # this much of an order's net amount is worth one point
    window_days: int  # spend counts for so many times 24 hours
    review_months: tuple[int, ...]  # ascending; tiers are reviewed at 00:00 of their first day
    tiers: tuple[TierStep, ...]  # ascending in tier and amount; the first one from 0

    @property
    def lowest(self) -> Tier:
        """The tier of everyone who has not spent enough for another."""
        return self.tiers[0].tier

    @property
    def window(self) -> timedelta:
        """How long spend counts."""
        return timedelta(days=self.window_days)
