"""What carts and orders make of their events: all that a flush needs is read at once, decided in turn, written at once.

A whole cart becomes what was added and removed, payments become a paid order, and a fact that another event has told
already is not told again. Nothing is refused here.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from common.contracts.envelope import Data, Event
from common.contracts.ingest import CartUpdated
from common.db.engine import Connection
from common.ids import derived_id
from ingest.domain import carts, orders
from ingest.domain.accept import Accepted
from ingest.things import store

ORDER_TYPES = frozenset(data.TYPE for data in orders.OF_ORDERS)


async def settle(connection: Connection, known: Sequence[Accepted], received_at: datetime) -> list[Accepted]:
    """What is told of the events, in their order. Raises Overtaken."""
    things = Things(received_at)
    await things.load(connection, [accepted.event for accepted in known])
    told = [each for accepted in known for each in things.hear(accepted)]
    await things.save(connection)
    return told


class Things:
    """The carts and orders that the events of one flush are about."""

    def __init__(self, received_at: datetime) -> None:
        self._received_at = received_at
        self._carts: dict[store.CartKey, store.KnownCart] = {}
        self._orders: dict[store.OrderKey, store.KnownOrder] = {}
        self._carts_now: dict[store.CartKey, store.KnownCart] = {}  # only those that have changed
        self._orders_now: dict[store.OrderKey, store.KnownOrder] = {}

    async def load(self, connection: Connection, events: Sequence[Event[Any]]) -> None:
        """Locks what is known of them; asks for nothing where no event is about a cart or an order."""
        if cart_keys := {_cart_key(event) for event in events if event.type == CartUpdated.TYPE}:
            self._carts = await store.lock_carts(connection, list(cart_keys))
        if order_keys := {_order_key(event) for event in events if event.type in ORDER_TYPES}:
            self._orders = await store.lock_orders(connection, list(order_keys))

    def hear(self, accepted: Accepted) -> Iterable[Accepted]:
        """What is told instead of the event: mostly the event itself."""
        if isinstance(whole := accepted.event.data, CartUpdated):
            return self._of_cart(accepted, whole)
        if accepted.event.type in ORDER_TYPES:
            return self._of_order(accepted)
        return (accepted,)

    async def save(self, connection: Connection) -> None:
        """Writes what has changed."""
        await store.save_carts(connection, self._carts_now, self._received_at.date())
        await store.save_orders(connection, self._orders_now)

    def _of_cart(self, accepted: Accepted, whole: CartUpdated) -> Iterable[Accepted]:
        key = _cart_key(accepted.event)
        known = self._carts_now.get(key) or self._carts.get(key) or store.KnownCart()
        at, timed = self._moment(accepted)
        cart, changes = carts.update(known.cart, whole, at, timed=timed)
        if cart is not known.cart:
            self._carts_now[key] = store.KnownCart(cart, known.revision)
        return [_told(accepted, data, data.item.item_id) for data in changes]

    def _of_order(self, accepted: Accepted) -> Iterable[Accepted]:
        key = _order_key(accepted.event)
        known = self._orders_now.get(key) or self._orders.get(key) or store.KnownOrder()
        at, timed = self._moment(accepted)
        order, facts = orders.hear(known.order, accepted.event.data, orders.Moment(at, self._received_at), timed=timed)
        if order != known.order:
            self._orders_now[key] = store.KnownOrder(order, known.revision)
        return [_told(accepted, data) for data in facts]

    def _moment(self, accepted: Accepted) -> tuple[datetime, bool]:
        """When it happened, and whether the sender said so."""
        if accepted.timed or accepted.event.historic:
            return accepted.event.occurred_at, True
        return self._received_at, False


def _told(accepted: Accepted, data: Data, *which: str) -> Accepted:
    """The event itself, or what follows from it: of the same person and time, under an id that its cause makes."""
    event = accepted.event
    if data is event.data:
        return accepted
    if event.type == data.TYPE:
        return replace(accepted, event=replace(event, data=data))
    made = derived_id(data.TYPE, event.source, event.id, *which)
    return Accepted(replace(event, id=made, type=data.TYPE, data=data, causation_id=event.id), None, accepted.timed)


def _cart_key(event: Event[Any]) -> store.CartKey:
    return event.shop_id, event.source, event.data.cart_id


def _order_key(event: Event[Any]) -> store.OrderKey:
    return event.shop_id, event.data.order_id
