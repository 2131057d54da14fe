"""The decision of loyalty: what an order's completion, refund or cancellation and a tier's review do to an account."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from common.contracts.envelope import Data
from common.contracts.ingest import CustomerMerged, CustomerSplit, OrderCancelled, OrderCompleted, OrderRefunded
from common.contracts.loyalty import PointsEarned, PointsReversed, Tier, TierChanged
from common.contracts.work import StateMoved
from common.decision import Decide, Decision, Occasion, Timer
from common.money import Money, minor_digits
from loyalty.domain.account import Account, post, remember, spend_minor
from loyalty.domain.merge import give, join, part
from loyalty.domain.order import Order, cancel, complete, refund
from loyalty.domain.rules import Rules
from loyalty.domain.tier import higher, review_after, review_from, tier_of

REVIEW = "tier.review"  # kind of the only timer
# Not customer.erased: what is kept here are ids and numbers, and the ledger has to go on adding up.
HEEDS: frozenset[type[Data]] = frozenset(
    {OrderCompleted, OrderRefunded, OrderCancelled, CustomerMerged, CustomerSplit, StateMoved}
)


def decider(rules: Mapping[str, Rules]) -> Decide[Account]:
    """The decision for the shops whose rules these are."""

    def decide_for_shop(account: Account | None, occasion: Occasion) -> Decision[Account]:
        return decide(rules[occasion.shop_id], account, occasion)

    return decide_for_shop


def decide(rules: Rules, account: Account | None, occasion: Occasion) -> Decision[Account]:
    """What the occasion changes; an event that is not among those heeded changes nothing."""
    account = account or Account(tier=rules.lowest)
    match occasion.what:
        case OrderCompleted(order_id=order_id, amount=amount):
            amount_minor = _counted(rules, amount)
            order = complete(account.order(order_id), amount_minor, occasion.occurred_at, rules.minor_per_point)
            return _settle(rules, account, occasion, order_id, order)
        case OrderRefunded(order_id=order_id, refund_id=refund_id, amount=amount):
            order = refund(account.order(order_id), refund_id, _counted(rules, amount))
            return _settle(rules, account, occasion, order_id, order)
        case OrderCancelled(order_id=order_id):
            return _settle(rules, account, occasion, order_id, cancel(account.order(order_id)))
        case Timer(due=due, kind=kind) if kind == REVIEW and due == account.next_review_at:
            return _review(rules, account, occasion.at)
        case CustomerMerged(into=into):
            account, facts = give(replace(account, handed_over=account.balance), account.balance, occasion, into)
            return _decision(account, *facts)
        case CustomerSplit(out_of=out_of):
            account, facts = give(replace(account, handed_over=0), -account.handed_over, occasion, out_of)
            return _decision(account, *facts)
        case StateMoved() as moved:
            return _meet(rules, account, occasion, moved)
        case _:
            return _decision(account)


def _settle(rules: Rules, account: Account, occasion: Occasion, order_id: str, order: Order) -> Decision[Account]:
    """Posts what the order is worth more or less than before."""
    before = account.order(order_id)
    if order == before:
        return _decision(account)
    account = remember(account, order_id, order)
    if account.opened_at is None and order.completed_at is not None and not order.cancelled:
        account = replace(account, opened_at=occasion.at)
    facts: list[Data] = []
    if points := order.points - before.points:
        kind = PointsEarned if points > 0 else PointsReversed
        account, moved = post(account, kind, abs(points), occasion, order_id=order_id)
        facts.append(moved)
    return _rise(rules, account, occasion, *facts)


def _meet(rules: Rules, account: Account, occasion: Occasion, moved: StateMoved[Account]) -> Decision[Account]:
    """Another account joins this one, or leaves it again."""
    if moved.taken_back:
        account, facts = part(account, moved.state, occasion, moved.of)
        return _decision(account, *facts)
    account, facts = join(account, moved.state, occasion, moved.of)
    return _rise(rules, account, occasion, *facts, at_least=moved.state.tier)


def _rise(
    rules: Rules, account: Account, occasion: Occasion, *said: Data, at_least: Tier | None = None
) -> Decision[Account]:
    """Raises the tier, if the spend now gives a higher, or to the one that somebody has who is the same person."""
    facts = list(said)
    spend = spend_minor(account, occasion.at, rules.window)
    tier = higher(account.tier, higher(tier_of(rules, spend), at_least or rules.lowest))
    if tier != account.tier:
        reason = f"spend {_in_major(spend, rules.currency)} in {rules.window_days} days"
        facts.append(TierChanged(tier=tier, previous=account.tier, spend_minor=spend, reason=reason))
        review_at = account.next_review_at or review_from(rules, occasion.at)
        account = replace(account, tier=tier, next_review_at=review_at)
    return _decision(account, *facts)


def _review(rules: Rules, account: Account, at: datetime) -> Decision[Account]:
    """The only way down: the tier becomes what the spend gives."""
    spend = spend_minor(account, at, rules.window)
    tier = tier_of(rules, spend)
    reviewed = replace(account, tier=tier, next_review_at=review_after(rules, at) if tier != rules.lowest else None)
    if tier == account.tier:
        return _decision(reviewed)
    reason = f"review {at.astimezone(ZoneInfo(rules.zone)).date().isoformat()}"
    return _decision(reviewed, TierChanged(tier=tier, previous=account.tier, spend_minor=spend, reason=reason))


def _decision(account: Account, *facts: Data) -> Decision[Account]:
    timers = (Timer(account.next_review_at, REVIEW),) if account.next_review_at is not None else ()
    return Decision(account, facts, timers)


def _counted(rules: Rules, amount: Money) -> int:
    """The amount in minor units. The edge takes money in the shop's currency alone; here is no rate to turn it by."""
    assert amount.currency == rules.currency, f"{amount.currency} in a programme that counts {rules.currency}"
    return amount.amount_minor


def _in_major(amount_minor: int, currency: str) -> str:
    digits = minor_digits(currency)
    whole, rest = divmod(amount_minor, 10**digits)
    return f"{whole}.{rest:0{digits}d}" if digits else str(whole)
