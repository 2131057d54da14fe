"""One customer's loyalty account: balance, tier, and the orders that both come from."""

from datetime import datetime, timedelta
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from common.contracts.loyalty import PointsMoved, Tier
from common.decision import Occasion
from loyalty.domain.order import Order
from loyalty.domain.posting import CUSTOMER, posting, posting_id

# The newest orders heard of. One beyond is forgotten: what it earned stays, but it counts as spend no more, a refund
# of it takes nothing back, and its completion told once more would earn anew.
MAX_ORDERS = 1_000


class Account(Struct, frozen=True, omit_defaults=True):
    """What loyalty knows of a customer; an account for others only once an order was completed (`opened_at`)."""

    tier: Tier
    balance: int = 0  # points
    postings: int = 0  # made so far
    opened_at: datetime | None = None
    next_review_at: datetime | None = None  # of the tier; None while there is nowhere to fall
    orders: dict[str, Order] = {}  # by order id, oldest first; never changed in place
    handed_over: int = 0  # points, to the customer that this one was merged into

    def order(self, order_id: str) -> Order:
        """What is known of the order: nothing yet, if it was never heard of."""
        return self.orders.get(order_id, Order())


def remember(account: Account, order_id: str, order: Order) -> Account:
    """The account with the order as it is now."""
    return with_orders(account, {**account.orders, order_id: order})


def with_orders(account: Account, orders: dict[str, Order]) -> Account:
    """The account that knows these orders, the newest of them if they are too many."""
    for order_id in list(islice(orders, max(0, len(orders) - MAX_ORDERS))):
        del orders[order_id]
    return replace(account, orders=orders)


def spend_minor(account: Account, at: datetime, window: timedelta) -> int:
    """The net amount of the orders completed in the window `(at - window, at]`."""
    since = at - window
    return sum(
        order.net_minor
        for order in account.orders.values()
        if order.completed_at is not None and since < order.completed_at <= at
    )


def post(
    account: Account, kind: type[PointsMoved], points: int, occasion: Occasion, **about: str
) -> tuple[Account, PointsMoved]:
    """The account after one more posting, and the fact that says so; `about` is what else it names."""
    number = account.postings + 1
    moved = posting(kind, posting_id(number), points, occasion.at, occasion.cause)
    balance = account.balance + moved.change(CUSTOMER)
    fact = kind(posting_id=moved.posting_id, points=points, balance=balance, **about)
    return replace(account, balance=balance, postings=number), fact
