"""Journeys that the laws are asked of, the preset's and odd ones, and the events they hear, as strategies."""

from hypothesis import strategies as st

from common.contracts.envelope import Data
from common.contracts.ingest import CartItemAdded, Item, OrderCancelled, OrderPaid, OrderPlaced, ShipmentDispatched
from common.money import Money
from common.shops import Shop
from journeys.domain.graph import Definition
from journeys.domain.parse import parse
from journeys.presets import load
from tests.laws.streams import AMOUNTS, CURRENCY, ORDER_IDS, SHOP, any_events

# Everything that the preset has not: two steps at one moment, one at once and one later, a where, another kind of key
# (with the values of the first), an end by other carts, two journeys entered by one event.
ODD_FILES = (
    """
    journey: big_order
    purpose: marketing
    enter: {on: order.placed, key: order_id, where: {field: amount.amount_minor, op: gte, value: 50000}}
    leave: [{on: shipment.dispatched, key: same}, {on: order.cancelled, key: other}]
    steps:
      - {step: thanks, after: 0, send: in_app, template: thanks}
      - {step: mail, after: 1h, send: email, template: big}
      - {step: text, after: 1h, send: sms, template: big}
    """,
    """
    journey: cart_care
    purpose: marketing
    enter: {on: cart.item_added, key: cart_id}
    leave: [{on: cart.item_added, key: other}]
    steps: [{step: left, after: 1d, send: sms, template: cart}]
    """,
    """
    journey: placed_thanks
    purpose: transactional
    enter: {on: order.placed, key: order_id}
    steps: [{step: thanks, after: 0s, send: in_app, template: thanks}]
    """,
)


def odd_definitions() -> tuple[Definition, ...]:
    parsed = [parse(text) for text in ODD_FILES]
    return tuple(one for one in parsed if isinstance(one, Definition))


PRESET_FILES = load({SHOP: Shop(SHOP, "Asia/Shanghai", CURRENCY, "zh-CN", "default")})
ODD_ONES = {SHOP: odd_definitions()}

# Only what the journeys listen to, so that their events meet; carts are named like orders.
HEARD: st.SearchStrategy[Data] = st.one_of(
    st.builds(OrderPlaced, ORDER_IDS, AMOUNTS),
    st.builds(OrderPlaced, ORDER_IDS, st.just(Money(50_000, CURRENCY))),
    st.builds(OrderPaid, ORDER_IDS, AMOUNTS),
    st.builds(OrderPaid, ORDER_IDS, AMOUNTS),
    st.builds(OrderCancelled, ORDER_IDS),
    st.builds(ShipmentDispatched, ORDER_IDS),
    st.builds(CartItemAdded, st.just(Item("i1")), st.one_of(ORDER_IDS, st.none())),
)
ANY = st.one_of(HEARD, any_events())
