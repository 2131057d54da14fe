"""From what happened to a customer to its profile, and the names of what that touched: kinds of events and facts."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from common.contracts.envelope import Data
from common.contracts.ingest import (
    CartItemAdded,
    CartItemRemoved,
    CheckIn,
    ConsentChanged,
    CustomerRegistered,
    CustomerUpdated,
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderUpdated,
    ReviewSubmitted,
    Share,
    ShipmentDelivered,
    Visit,
)
from common.contracts.notifier import MessageClicked, MessageOpened
from common.contracts.segmentation import ListChanged
from common.decision import Occasion, Timer
from common.money import Money
from segmentation.domain.profile import orders
from segmentation.domain.profile.catalogue import ATTRIBUTE, OF_LIST
from segmentation.domain.profile.records import NOTHING, About, Record, remember
from segmentation.domain.profile.state import Carts, Consent, KnownOrder, Profile, Refund, Reviews, Visits

MAX_ATTRIBUTES = 100  # of one customer; tags too: those first in the alphabet are kept
CART_FACTS = ("cart.pieces", "cart.value", "cart.items", "cart.categories", "cart.changed_at")
NAME_CHARS = 16  # of the id of what happened: enough to tell one customer's events apart

# By type's name: what the edge has just checked is of a stricter class of its own.
# What a person does; all else is done to it or said of it.
DOINGS = frozenset(
    data.TYPE
    for data in (
        CartItemAdded,
        CartItemRemoved,
        OrderPlaced,
        OrderPaid,
        ReviewSubmitted,
        CustomerRegistered,
        ConsentChanged,
        Visit,
        CheckIn,
        Share,
        MessageOpened,
        MessageClicked,
    )
)
OF_ORDERS = frozenset(
    data.TYPE for data in (OrderPlaced, OrderUpdated, OrderPaid, OrderCancelled, OrderRefunded, OrderCompleted)
)

Changes = dict[str, Any]  # of a profile, by field
Touched = tuple[str, ...]
NONE: Touched = ()


def evolve(profile: Profile, occasion: Occasion, currency: str) -> tuple[Profile, Touched]:
    """The profile after what happened, and what of it became another."""
    what, when = occasion.what, occasion.occurred_at.astimezone(UTC)
    assert not isinstance(what, Timer)
    if isinstance(what, ListChanged) and not _is_news(profile, what, when):
        less, off = _unlisted(profile, what)
        return (replace(profile, **less) if less else profile), off
    changes: Changes = {}
    touched: Touched = NONE
    if profile.first_seen_at is None or when < profile.first_seen_at:
        changes["first_seen_at"] = when
        touched += ("first_seen_at",)
    if what.TYPE in DOINGS and (profile.last_seen_at is None or when > profile.last_seen_at):
        changes["last_seen_at"] = when
        touched += ("last_seen_at",)
    if profile.resting:
        changes["resting"] = False
    if what.TYPE in OF_ORDERS:
        profile, by_order = _of_order(profile, what, when, currency)
        touched += by_order
    elif (news := _OF_TYPE.get(what.TYPE)) is not None:
        further, by_news = news(profile, what, when, occasion.cause[:NAME_CHARS])
        changes |= further
        touched += by_news
    return (replace(profile, **changes) if changes else profile), touched


def _of_order(profile: Profile, what: Any, when: datetime, currency: str) -> tuple[Profile, Touched]:
    before = orders.order_of(profile, what.order_id)
    order = before or KnownOrder(what.order_id)
    match what:
        case OrderPlaced(_, amount, items) | OrderUpdated(_, amount, items):
            placed = isinstance(what, OrderPlaced)
            order = orders.told(order, when, _counted(amount, currency), items, placed=placed)
        case OrderPaid(_, amount):
            order = orders.paid(order, when, _counted(amount, currency))
        case OrderCancelled():
            order = orders.cancelled(order, when)
        case OrderRefunded(_, refund_id, amount):
            order = orders.refunded(order, Refund(when, refund_id, _counted(amount, currency)))
        case OrderCompleted(_, amount):
            order = orders.completed(order, when, _counted(amount, currency))
        case _:
            pass
    if order == before:
        return profile, NONE
    after = orders.with_order(profile, order)
    kinds = [*orders.MADE_OF.items()]
    if after.dropped == profile.dropped:  # else the oldest order is no longer known one by one
        kinds = [(kind, make) for kind, make in kinds if [*make(order)] != ([*make(before)] if before else [])]
    touched = tuple(kind for kind, _ in kinds)
    if isinstance(what, OrderPlaced | OrderUpdated):
        touched += CART_FACTS
    return after, touched


def _counted(amount: Money, currency: str) -> int:
    """The edge takes money in the shop's currency alone; here is no rate to turn it by."""
    assert amount.currency == currency, f"{amount.currency} in a shop that counts {currency}"
    return amount.amount_minor


def _remembered(profile: Profile, kind: str, when: datetime, name: str, **about: Any) -> Changes:
    """What is not known is not there."""
    known: About = {field: value for field, value in about.items() if value is not None}
    series = remember(profile.series.get(kind, NOTHING), Record(when, name, known))
    return {"series": {**profile.series, kind: series}}


def _carted(profile: Profile, what: Any, when: datetime, name: str) -> tuple[Changes, Touched]:
    item: Item = what.item
    changes = _remembered(
        profile,
        what.TYPE,
        when,
        name,
        item=item.item_id,
        quantity=item.quantity,
        category=item.category,
        price=item.unit_price.amount_minor if item.unit_price is not None else None,
    )
    if isinstance(what, CartItemAdded):
        changes["carts"] = _more_carts(profile.carts, item.category, when)
    return changes, (what.TYPE, *CART_FACTS)


def _more_carts(carts: Carts | None, category: str | None, when: datetime) -> Carts:
    if carts is None:
        return Carts(1, when, category)
    if when < carts.last_at:
        return Carts(carts.added + 1, carts.last_at, carts.category or category)
    return Carts(carts.added + 1, when, category or carts.category)


def _delivered(profile: Profile, what: Any, when: datetime, name: str) -> tuple[Changes, Touched]:
    return _remembered(profile, what.TYPE, when, name, order=what.order_id), (what.TYPE,)


def _reviewed(profile: Profile, what: Any, when: datetime, name: str) -> tuple[Changes, Touched]:
    about = {"rating": what.rating, "photo": what.has_photo, "topics": [*what.topics], "length": what.length}
    reviews = profile.reviews or Reviews()
    counted = Reviews(reviews.count + 1, reviews.with_photo + what.has_photo)
    return _remembered(profile, what.TYPE, when, name, **about) | {"reviews": counted}, (what.TYPE,)


def _visited(profile: Profile, what: Any, when: datetime, name: str) -> tuple[Changes, Touched]:
    visits = profile.visits
    counted = Visits(1, when) if visits is None else Visits(visits.count + 1, max(visits.last_at, when))
    changes = _remembered(profile, what.TYPE, when, name, item=what.item_id, category=what.category)
    return changes | {"visits": counted}, (what.TYPE,)


def _checked_in(profile: Profile, what: Any, when: datetime, name: str) -> tuple[Changes, Touched]:
    return _remembered(profile, what.TYPE, when, name), (what.TYPE,)


def _shared(profile: Profile, what: Any, when: datetime, name: str) -> tuple[Changes, Touched]:
    return _remembered(profile, what.TYPE, when, name, item=what.item_id), (what.TYPE,)


def _said_of(profile: Profile, what: Any, _: datetime, __: str) -> tuple[Changes, Touched]:
    """Coarse facts: what is absent keeps its value, an attribute that is null goes."""
    changes: Changes = {
        field: value
        for field in ("locale", "country", "city")
        if (value := getattr(what, field)) and value != getattr(profile, field)
    }
    touched = tuple(changes)
    if what.attributes:
        kept = {name: value for name, value in (profile.attributes | what.attributes).items() if value is not None}
        kept = dict(sorted(kept.items())[:MAX_ATTRIBUTES])
        names = kept.keys() | profile.attributes.keys()
        touched += tuple(sorted(f"{ATTRIBUTE}{n}" for n in names if kept.get(n) != profile.attributes.get(n)))
        changes["attributes"] = kept
    tags = tuple(sorted({*profile.tags, *what.tags_added} - set(what.tags_removed))[:MAX_ATTRIBUTES])
    if tags != profile.tags:
        changes["tags"] = tags
        touched += ("tags",)
    return changes, touched


def _consented(profile: Profile, what: Any, when: datetime, _: str) -> tuple[Changes, Touched]:
    name, said = f"{what.channel}.{what.purpose}", Consent(when, not what.granted)
    known = profile.consents.get(name)
    if known is not None and said <= known:
        return {}, NONE
    return {"consents": {**profile.consents, name: said}}, ("refused", "allowed")


def _listed(profile: Profile, what: Any, _: datetime, __: str) -> tuple[Changes, Touched]:
    if not what.is_in:
        return _unlisted(profile, what)
    lent = tuple(name for name in profile.lists_lent if name != what.list)
    changes: Changes = {} if lent == profile.lists_lent else {"lists_lent": lent}
    if what.list in profile.lists:
        return changes, NONE
    return changes | {"lists": tuple(sorted({*profile.lists, what.list}))}, (f"{OF_LIST}{what.list}",)


def _unlisted(profile: Profile, what: Any) -> tuple[Changes, Touched]:
    if what.is_in or what.list not in profile.lists:
        return {}, NONE
    fields = ("lists", "lists_lent")
    changes = {field: tuple(n for n in getattr(profile, field) if n != what.list) for field in fields}
    return changes, (f"{OF_LIST}{what.list}",)


def _is_news(profile: Profile, what: Any, when: datetime) -> bool:
    """Not of somebody erased, unless the shop itself put that id on a list after the erasure."""
    if profile.erased_at is None:
        return True
    return (what.at or when) > profile.erased_at if what.is_in else not profile.resting


_NEWS: Mapping[type[Data], Callable[[Profile, Any, datetime, str], tuple[Changes, Touched]]] = {
    CartItemAdded: _carted,
    CartItemRemoved: _carted,
    ShipmentDelivered: _delivered,
    ReviewSubmitted: _reviewed,
    Visit: _visited,
    CheckIn: _checked_in,
    Share: _shared,
    CustomerRegistered: _said_of,
    CustomerUpdated: _said_of,
    ConsentChanged: _consented,
    ListChanged: _listed,
}
_OF_TYPE = {data.TYPE: news for data, news in _NEWS.items()}


def phrase(what: Data) -> str:
    """What happened, in few words."""
    match what:
        case OrderPaid(order_id):
            return f"purchase {order_id}"
        case OrderCancelled(order_id):
            return f"cancelled {order_id}"
        case OrderPlaced(order_id):
            return f"order {order_id}"
        case OrderRefunded(order_id):
            return f"refund of {order_id}"
        case _:
            return what.TYPE
