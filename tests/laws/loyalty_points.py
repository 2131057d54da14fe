"""A shop's programme, and what its customers' points come to, for the laws of loyalty."""

from collections import Counter
from collections.abc import Sequence

from common.contracts.loyalty import PointsMoved
from common.decision import Aggregate
from loyalty.domain.account import Account
from loyalty.domain.posting import Posting
from loyalty.domain.rules import Rules, TierStep
from tests.laws.streams import SHOP

RULES = {
    SHOP: Rules(
        zone="America/Sao_Paulo",
        currency="CNY",
        minor_per_point=100,
        window_days=365,
        review_months=(1, 4, 7, 10),
        tiers=(
            TierStep("ordinary", 0),
            TierStep("silver", 50_000),
            TierStep("gold", 200_000),
            TierStep("diamond", 500_000),
        ),
    )
}


def movements(aggregate: Aggregate[Account]) -> list[PointsMoved]:
    return [fact.data for fact in aggregate.facts if isinstance(fact.data, PointsMoved)]


def balances(postings: Sequence[Posting]) -> Counter[str]:
    """What every account holds after the postings."""
    held: Counter[str] = Counter()
    for moved in postings:
        held[moved.source] -= moved.points
        held[moved.destination] += moved.points
    return held
