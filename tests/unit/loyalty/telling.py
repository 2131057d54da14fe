"""One customer of a shop in Sao Paulo, told event by event."""

from datetime import UTC, datetime

from common.contracts.envelope import Data
from common.contracts.ingest import OrderCancelled, OrderCompleted, OrderRefunded
from common.decision import Aggregate
from common.money import Money
from loyalty.domain.account import Account
from loyalty.domain.decide import decider
from loyalty.domain.rules import Rules, TierStep
from tests.laws.streams import event

RULES = Rules(
    zone="America/Sao_Paulo",
    currency="BRL",
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


def day(text: str) -> datetime:
    """A UTC time as `2018-04-01T03:00`, or the midnight of a date."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def completed(order_id: str, amount_minor: int) -> OrderCompleted:
    return OrderCompleted(order_id, Money(amount_minor, "BRL"))


def refunded(order_id: str, refund_id: str, amount_minor: int) -> OrderRefunded:
    return OrderRefunded(order_id, refund_id, Money(amount_minor, "BRL"))


def cancelled(order_id: str) -> OrderCancelled:
    return OrderCancelled(order_id)


class Customer:
    """What became of the customer so far."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.aggregate: Aggregate[Account] = Aggregate("loyalty", decider({"shop": rules}), "shop", "c1", None)
        self.told = 0

    def hears(self, data: Data, at: datetime, occurred_at: datetime | None = None) -> list[Data]:
        """The facts that follow at once, those of timers due before among them."""
        before = len(self.aggregate.facts)
        self.aggregate.take(event(self.told, "c1", data, at, occurred_at))
        self.told += 1
        assert not self.aggregate.poison, self.aggregate.poison
        return [fact.data for fact in self.aggregate.facts[before:]]

    def sleeps_until(self, watermark: datetime) -> list[Data]:
        """The facts of the timers due before the watermark."""
        before = len(self.aggregate.facts)
        self.aggregate.wake(watermark)
        return [fact.data for fact in self.aggregate.facts[before:]]

    @property
    def account(self) -> Account:
        assert self.aggregate.stored is not None
        return self.aggregate.stored.state

    @property
    def wakes_at(self) -> datetime | None:
        assert self.aggregate.stored is not None
        return self.aggregate.stored.wake_at
