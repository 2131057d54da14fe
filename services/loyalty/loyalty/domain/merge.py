"""Two accounts of one person: points move from one to the other, and what both know of an order becomes one.

Points move by two postings, out of the one and into the other, so that the ledger adds up at every moment. What one
brought is given back in full, even when some of it is gone since: the balance may then be below zero.
"""

from msgspec.structs import replace

from common.contracts.envelope import Data
from common.contracts.loyalty import (
    PointsEarned,
    PointsReversed,
    PointsTransferredIn,
    PointsTransferredOut,
)
from common.decision import Occasion
from loyalty.domain.account import Account, post, with_orders
from loyalty.domain.order import unite

Settled = tuple[Account, tuple[Data, ...]]  # the account after it, and what is said about it


def give(account: Account, points: int, occasion: Occasion, other: str) -> Settled:
    """The account that has given so many points to the other one; below zero it was given them."""
    if not points:
        return account, ()
    kind = PointsTransferredOut if points > 0 else PointsTransferredIn
    account, moved = post(account, kind, abs(points), occasion, other=other)
    return account, (moved,)


def join(ours: Account, theirs: Account, occasion: Occasion, of: str) -> Settled:
    """Ours with what theirs held. What both counted of an order is settled."""
    account, facts = give(ours, -theirs.balance, occasion, of)
    orders = dict(theirs.orders)
    for order_id, order in ours.orders.items():  # after theirs: those that are forgotten first hear no more news
        other = orders.pop(order_id, None)
        orders[order_id] = order if other is None else unite(order, other)
        if other is not None and (points := orders[order_id].points - order.points - other.points):
            kind = PointsEarned if points > 0 else PointsReversed
            account, moved = post(account, kind, abs(points), occasion, order_id=order_id)
            facts = (*facts, moved)
    opened = [moment for moment in (ours.opened_at, theirs.opened_at) if moment is not None]
    return with_orders(replace(account, opened_at=min(opened, default=None)), orders), facts


def part(ours: Account, theirs: Account, occasion: Occasion, of: str) -> Settled:
    """Ours without what theirs brought, orders and points. The tier stays until its review, like any other."""
    account, facts = give(ours, theirs.balance, occasion, of)
    orders = {order_id: order for order_id, order in ours.orders.items() if order_id not in theirs.orders}
    return with_orders(account, orders), facts
