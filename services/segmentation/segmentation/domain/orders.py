"""From payments and cancellations, in whatever order they come, to purchases.

Of each customer the orders heard of last are remembered one by one, the ones before only as a sum. Purchases stay exact
with one exception: news of an order so old that it is forgotten is taken for news of an unknown one, so its
cancellation no longer takes it back and a second payment of it counts again.
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from segmentation.domain.state import KnownOrder, Profile, Purchases

MAX_ORDERS = 50  # remembered one by one: who cancels does so before another fifty orders


def pay(profile: Profile, order_id: str, paid_at: datetime, amount_minor: int) -> Profile:
    """The order is a purchase from its first payment on, unless it was cancelled, even before that payment."""
    if any(order.order_id == order_id for order in profile.orders):
        return profile
    order = KnownOrder(order_id, paid_at, amount_minor)
    return _remember(profile, order, _added(profile.purchases, order))


def cancel(profile: Profile, order_id: str) -> Profile:
    """The order is no purchase, and no later payment makes it one."""
    for index, order in enumerate(profile.orders):
        if order.order_id == order_id:
            if order.paid_at is None:
                return profile
            orders = (*profile.orders[:index], KnownOrder(order_id), *profile.orders[index + 1 :])
            return replace(profile, orders=orders, purchases=total(profile.forgotten, orders))
    return _remember(profile, KnownOrder(order_id), profile.purchases)


def known(profile: Profile, orders: tuple[KnownOrder, ...], forgotten: Purchases | None) -> Profile:
    """The profile that knows these orders, besides those forgotten."""
    purchases, excess = total(forgotten, orders), len(orders) - MAX_ORDERS
    if excess > 0:
        orders, forgotten = orders[excess:], total(forgotten, orders[:excess])
    return replace(profile, orders=orders, purchases=purchases, forgotten=forgotten)


def _remember(profile: Profile, order: KnownOrder, purchases: Purchases | None) -> Profile:
    orders = (*profile.orders, order)
    excess = len(orders) - MAX_ORDERS
    if excess <= 0:
        return replace(profile, orders=orders, purchases=purchases)
    forgotten = total(profile.forgotten, orders[:excess])
    return replace(profile, orders=orders[excess:], purchases=purchases, forgotten=forgotten)


def total(start: Purchases | None, orders: Iterable[KnownOrder]) -> Purchases | None:
    """The purchases at the start, and those among the orders."""
    for order in orders:
        start = _added(start, order)
    return start


def _added(purchases: Purchases | None, order: KnownOrder) -> Purchases | None:
    paid_at = order.paid_at
    if paid_at is None:
        return purchases
    if purchases is None:
        return Purchases(1, paid_at, paid_at, order.amount_minor)
    return Purchases(
        purchases.count + 1,
        min(purchases.first_at, paid_at),
        max(purchases.last_at, paid_at),
        purchases.amount_minor + order.amount_minor,
    )
