"""The laws of carts and orders: whatever order events come in, however often and in whatever parts, it adds up.

A flush ends where what is known is written down and read again; the laws put such ends anywhere.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.envelope import Data
from common.contracts.ingest import (
    CartItemAdded,
    CartUpdated,
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderPaid,
    OrderPaymentReceived,
    OrderPlaced,
    OrderRefunded,
    OrderUpdated,
    ShipmentArrivedInCity,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentOutForDelivery,
)
from common.money import Money
from ingest.domain.carts import Cart, update
from ingest.domain.orders import Moment, Order, hear

DAY = datetime(2026, 5, 1, tzinfo=UTC)
HEARD_AT = DAY + timedelta(days=30)
CNY = st.integers(0, 60).map(lambda amount: Money(amount, "CNY"))
SHIPPING = (ShipmentDispatched, ShipmentArrivedInCity, ShipmentOutForDelivery, ShipmentDelivered)
HOURS = st.integers(0, 9).map(lambda hour: DAY + timedelta(hours=hour))

Fact = tuple[datetime, Data]  # when it happened, what


@st.composite
def facts(draw: st.DrawFn, *, edits: bool) -> list[Fact]:
    """All that can be told of one order, each once."""
    said: list[Data] = []
    if draw(st.booleans()):
        said.append(OrderPlaced("o", draw(CNY)))
    if draw(st.integers(0, 3)) == 0:
        said.append(OrderPaid("o", draw(CNY)))
    if draw(st.booleans()):
        said.append(OrderCancelled("o"))
    if draw(st.booleans()):
        said.append(OrderCompleted("o", draw(CNY)))
    said += [OrderPaymentReceived("o", f"p{n}", draw(CNY)) for n in range(draw(st.integers(0, 4)))]
    said += [OrderRefunded("o", f"r{n}", draw(CNY)) for n in range(draw(st.integers(0, 3)))]
    for shipment_id in (None, "s1", "s2"):
        said += [step("o", shipment_id) for step in draw(st.lists(st.sampled_from(SHIPPING), unique=True))]
    # Edits of one moment are true in the order they are heard: so here each has its own.
    edited = draw(st.lists(HOURS, min_size=1, max_size=3, unique=True)) if edits else []
    return [*((draw(HOURS), data) for data in said), *((at, OrderUpdated("o", draw(CNY))) for at in edited)]


@st.composite
def heard_of(draw: st.DrawFn, told: Sequence[Fact]) -> list[Fact]:
    """The facts in any order, some of them more than once."""
    repeats = draw(st.lists(st.sampled_from(told), max_size=5)) if told else []
    return draw(st.permutations([*told, *repeats]))


def lived(said: Iterable[Fact], cuts: Sequence[bool]) -> tuple[Order, list[Data]]:
    """What is known in the end, and all that was told; after each event a flush may end."""
    order, told = Order(), list[Data]()
    for number, (at, data) in enumerate(said):
        order, news = hear(order, data, Moment(at, HEARD_AT + timedelta(seconds=number)))
        told += news
        if cuts[number % len(cuts)]:
            order = msgspec.json.decode(msgspec.json.encode(order), type=Order)
    return order, told


def known(order: Order) -> Any:
    """All but what depends on the order of hearing by its nature: remarks, when it was heard, and which of several
    events completed the payment."""
    return {
        "content": order.content,
        "stages": {stage: moment.at for stage, moment in order.stages.items() if stage != "paid"},
        "sums": (order.paid_minor, order.received_minor, order.refunded_minor, order.refunded_beyond_minor),
        "counted": order.counted_minor,
        "ids": (order.payments, order.refunds),
        "parcels": {id_: {s: m.at for s, m in steps.items()} for id_, steps in order.shipments.items()},
    }


CUTS = st.lists(st.booleans(), min_size=1, max_size=8)


@given(st.data(), CUTS, CUTS)
def test_what_is_known_depends_on_no_order(data: st.DataObject, cuts: list[bool], others: list[bool]) -> None:
    told = data.draw(facts(edits=True))
    one, _ = lived(data.draw(heard_of(told)), cuts)
    other, _ = lived(data.draw(heard_of(told)), others)
    assert known(one) == known(other)


@given(st.data(), CUTS, st.booleans())
def test_each_fact_is_told_once_and_sums_are_those_of_a_recount(
    data: st.DataObject, cuts: list[bool], edits: bool
) -> None:
    said = data.draw(facts(edits=edits))
    order, told = lived(data.draw(heard_of(said)), cuts)
    happened = [what for _, what in said]

    def all_of(kind: type[Data]) -> list[Any]:
        return [what for what in happened if isinstance(what, kind)]

    received = sum(each.amount.amount_minor for each in all_of(OrderPaymentReceived))
    whole = sum(each.amount.amount_minor for each in all_of(OrderPaid))
    refunded = sum(each.amount.amount_minor for each in all_of(OrderRefunded))
    assert (order.paid_minor, order.refunded_minor) == (max(whole, received), refunded)
    as_said = [what for what in happened if not isinstance(what, OrderPaymentReceived | OrderPaid | OrderUpdated)]
    as_told = [what for what in told if not isinstance(what, OrderPaid | OrderUpdated)]
    completions = [what for what in as_told if isinstance(what, OrderCompleted)]
    assert len(completions) == len(all_of(OrderCompleted))
    if not edits:
        assert Counter(map(repr, as_told)) == Counter(map(repr, as_said))
    assert Counter(type(what) for what in as_told) == Counter(type(what) for what in as_said)
    paid = [what for what in told if isinstance(what, OrderPaid)]
    amounts = [what.amount.amount_minor for what in (*all_of(OrderPlaced), *all_of(OrderUpdated))]
    assert len(paid) <= 1
    if all_of(OrderPaid) or (order.content and order.payments and received >= order.content.amount_minor):
        assert len(paid) == 1
    elif not amounts or not order.payments or received < min(amounts):
        assert paid == []
    assert ("paid" in order.stages) == bool(paid)


@given(st.data(), CUTS)
def test_the_furthest_state_only_goes_further(data: st.DataObject, cuts: list[bool]) -> None:
    states = ("", "placed", "paid", "dispatched", "delivered", "completed")
    order, reached = Order(), 0
    for at, what in data.draw(facts(edits=True).flatmap(heard_of)):
        order, _ = hear(order, what, Moment(at, HEARD_AT))
        now = states.index(order.furthest[0] if order.furthest else "")
        assert now >= reached
        reached = now


@given(st.data(), CUTS)
def test_the_last_edit_told_is_the_newest(data: st.DataObject, cuts: list[bool]) -> None:
    said = data.draw(facts(edits=True))
    order, told = lived(data.draw(heard_of(said)), cuts)
    edits = [(at, what) for at, what in said if isinstance(what, OrderUpdated)]
    newest = max(at for at, _ in edits)
    assert order.content is not None
    assert order.content.edited
    assert order.content.amount_minor in {what.amount.amount_minor for at, what in edits if at == newest}
    # Who goes by what was told, an edit before the placing whichever came first, knows the same.
    last = next((what for what in reversed(told) if isinstance(what, OrderUpdated)), None)
    placing = next((what for what in told if isinstance(what, OrderPlaced)), None)
    assert last is not None or placing is not None
    told_amount = (last or placing).amount.amount_minor  # type: ignore[union-attr]
    assert told_amount == order.content.amount_minor


ITEMS = st.lists(st.builds(Item, st.sampled_from(["mug", "lamp", "chair"]), st.integers(1, 4)), max_size=5)
CARTS = st.lists(st.tuples(HOURS, ITEMS), min_size=1, max_size=8)


def quantities(items: Iterable[Item]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for item in items:
        counted[item.item_id] += item.quantity
    return counted


@given(CARTS, CUTS)
def test_what_was_added_less_what_was_removed_is_the_latest_cart(
    updates: list[tuple[datetime, list[Item]]], cuts: list[bool]
) -> None:
    cart: Cart | None = None
    held: Counter[str] = Counter()
    for number, (at, items) in enumerate(updates):
        cart, told = update(cart, CartUpdated("k", tuple(items)), at)
        for change in told:
            held[change.item.item_id] += change.item.quantity * (1 if isinstance(change, CartItemAdded) else -1)
        assert all(quantity >= 0 for quantity in held.values())
        assert len({change.item.item_id for change in told}) == len(told)
        if cuts[number % len(cuts)]:
            cart = msgspec.json.decode(msgspec.json.encode(cart), type=Cart)
    latest = max(at for at, _ in updates)
    wanted = [items for at, items in updates if at == latest][-1]  # of the same moment the one that came last
    assert +held == quantities(wanted)


@given(CARTS)
def test_a_cart_told_again_changes_nothing(updates: list[tuple[datetime, list[Item]]]) -> None:
    cart: Cart | None = None
    for at, items in updates:
        cart, _ = update(cart, CartUpdated("k", tuple(items)), at)
        if at == cart.at:
            assert update(cart, CartUpdated("k", tuple(items)), at) == (cart, ())
