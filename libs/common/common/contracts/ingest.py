"""`ingest.events.v1`: what happened in the shop. Written by ingest alone; holds no personal data."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct, field

from common.contracts.envelope import Data, Time
from common.ids import Id
from common.money import Money

MAX_QUANTITY = 1_000_000
Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
Label = Annotated[str, Meta(min_length=1, max_length=200)]
Channel = Literal["sms", "email", "in_app", "social"]
Purpose = Literal["transactional", "marketing"]
ReviewTopic = Literal["service", "product", "package", "logistics", "price", "other"]
MAX_ITEMS = 500
MAX_ATTRIBUTES = 50  # told by one event; of tags too
# Of a shop's own, or a class that ingest made; rules ask for it as `attributes.<name>`.
Name = Annotated[str, Meta(pattern=r"^[^\s.\x00-\x1f\x7f]{1,40}$")]
Attributes = Annotated[dict[Name, Label | None], Meta(max_length=MAX_ATTRIBUTES)]
MAX_TAG_CHARS = 64
Tag = Annotated[str, Meta(min_length=1, max_length=MAX_TAG_CHARS)]
Tags = Annotated[tuple[Tag, ...], Meta(max_length=MAX_ATTRIBUTES)]


class Item(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of a cart or an order; `unit_price` is for one piece."""

    item_id: Id
    quantity: Quantity = 1
    name: Label | None = None
    category: Label | None = None
    unit_price: Money | None = None


class CartItemAdded(Data, frozen=True):
    """Somebody put something in a cart."""

    TYPE: ClassVar[str] = "cart.item_added"
    item: Item
    cart_id: Id | None = None


class CartItemRemoved(Data, frozen=True):
    """Somebody took something out of a cart."""

    TYPE: ClassVar[str] = "cart.item_removed"
    item: Item
    cart_id: Id | None = None


class OrderPlaced(Data, frozen=True):
    """An order exists; `amount` is what is to be paid for all of it."""

    TYPE: ClassVar[str] = "order.placed"
    order_id: Id
    amount: Money
    items: Annotated[tuple[Item, ...], Meta(max_length=MAX_ITEMS)] = ()


class OrderUpdated(Data, frozen=True):
    """The order was edited; `amount` and `items` are the whole of it from now on."""

    TYPE: ClassVar[str] = "order.updated"
    order_id: Id
    amount: Money
    items: Annotated[tuple[Item, ...], Meta(max_length=MAX_ITEMS)] = ()


class OrderPaid(Data, frozen=True):
    """The order is paid in full; `amount` is the whole payment."""

    TYPE: ClassVar[str] = "order.paid"
    order_id: Id
    amount: Money


class OrderCancelled(Data, frozen=True):
    """The order will not be fulfilled."""

    TYPE: ClassVar[str] = "order.cancelled"
    order_id: Id
    reason: Label | None = None


class OrderRefunded(Data, frozen=True):
    """Money went back; `amount` is this refund's alone, `refund_id` tells two refunds of one order apart."""

    TYPE: ClassVar[str] = "order.refunded"
    order_id: Id
    refund_id: Id
    amount: Money


class OrderCompleted(Data, frozen=True):
    """The order is fulfilled and final; `amount` is what points and tiers count."""

    TYPE: ClassVar[str] = "order.completed"
    order_id: Id
    amount: Money


class ShipmentDispatched(Data, frozen=True):
    """A parcel of the order is with the carrier."""

    TYPE: ClassVar[str] = "shipment.dispatched"
    order_id: Id
    shipment_id: Id | None = None
    carrier: Label | None = None


class ShipmentArrivedInCity(Data, frozen=True):
    """A parcel reached the receiver's city."""

    TYPE: ClassVar[str] = "shipment.arrived_in_city"
    order_id: Id
    shipment_id: Id | None = None
    city: Label | None = None


class ShipmentOutForDelivery(Data, frozen=True):
    """A parcel is on its last leg."""

    TYPE: ClassVar[str] = "shipment.out_for_delivery"
    order_id: Id
    shipment_id: Id | None = None


class ShipmentDelivered(Data, frozen=True):
    """A parcel was handed over."""

    TYPE: ClassVar[str] = "shipment.delivered"
    order_id: Id
    shipment_id: Id | None = None


class ReviewSubmitted(Data, frozen=True):
    """A review; its text stays in the vault, only coarse facts about it travel."""

    TYPE: ClassVar[str] = "review.submitted"
    rating: Annotated[int, Meta(ge=1, le=5)]
    order_id: Id | None = None
    item_id: Id | None = None
    has_photo: bool = False
    topics: Annotated[tuple[ReviewTopic, ...], Meta(max_length=6)] = ()
    length: Annotated[int, Meta(ge=0)] | None = None  # of the text, in characters


class CustomerRegistered(Data, frozen=True):
    """A person became known; name, phone, e-mail and address go to the vault, not here."""

    TYPE: ClassVar[str] = "customer.registered"
    locale: Literal["zh-CN", "en"] | None = None
    country: Label | None = None
    city: Label | None = None
    attributes: Attributes = field(default_factory=dict)  # null takes one away
    tags_added: Tags = ()
    tags_removed: Tags = ()


class CustomerUpdated(Data, frozen=True):
    """Coarse facts about a person changed; what is absent keeps its value, of `attributes` each name by itself."""

    TYPE: ClassVar[str] = "customer.updated"
    locale: Literal["zh-CN", "en"] | None = None
    country: Label | None = None
    city: Label | None = None
    attributes: Attributes = field(default_factory=dict)  # null takes one away
    tags_added: Tags = ()
    tags_removed: Tags = ()


class CustomerMerged(Data, frozen=True):
    """The subject is one person with `into`, which lives on. Decided by ingest, not taken from senders."""

    TYPE: ClassVar[str] = "customer.merged"
    into: Id


class CustomerSplit(Data, frozen=True):
    """The subject was merged into `out_of` by mistake and is a person of its own again. Decided by ingest alone."""

    TYPE: ClassVar[str] = "customer.split"
    out_of: Id


class CustomerErased(Data, frozen=True):
    """The person asked to be forgotten. Decided by ingest, not taken from senders."""

    TYPE: ClassVar[str] = "customer.erased"


class ConsentChanged(Data, frozen=True):
    """The person allowed or forbade messages of a purpose on a channel."""

    TYPE: ClassVar[str] = "consent.changed"
    channel: Channel
    purpose: Purpose
    granted: bool
    via: Label | None = None  # where it was said: a platform, a form, a channel


class Visit(Data, frozen=True):
    """The person looked at the shop."""

    TYPE: ClassVar[str] = "visit"
    item_id: Id | None = None
    category: Label | None = None


class CheckIn(Data, frozen=True):
    """The person checked in (a daily sign-in that earns points in many shops)."""

    TYPE: ClassVar[str] = "checkin"


class Share(Data, frozen=True):
    """The person shared an item or the shop."""

    TYPE: ClassVar[str] = "share"
    item_id: Id | None = None


class HistoryEnded(Data, frozen=True):
    """An import has told all it knows of this customer: what fell due up to now is played, alarms are armed."""

    TYPE: ClassVar[str] = "history.ended"


class CartUpdated(Data, frozen=True):
    """The whole cart as it is now. Stays at the edge, which tells what was added and what was removed."""

    TYPE: ClassVar[str] = "cart.updated"
    cart_id: Id
    items: Annotated[tuple[Item, ...], Meta(max_length=MAX_ITEMS)] = ()


class OrderPaymentReceived(Data, frozen=True):
    """Some of an order's money came in. Stays at the edge, which tells `order.paid` once when it is all there."""

    TYPE: ClassVar[str] = "order.payment_received"
    order_id: Id
    payment_id: Id
    amount: Money


class OrderFinished(Data, frozen=True):
    """The order is fulfilled and final; who says so does not say for how much. Stays at the edge, which tells
    `order.completed` with what was paid, as soon as it knows both."""

    TYPE: ClassVar[str] = "order.finished"
    order_id: Id


class Tick(Data, frozen=True):
    """To a partition, not a customer: every event received before `watermark` stands before this one."""

    TYPE: ClassVar[str] = "tick"
    watermark: Time


# What ingest turns into other events before it tells anybody.
OF_THE_EDGE: tuple[type[Data], ...] = (CartUpdated, OrderPaymentReceived, OrderFinished)

TRAVELLING: tuple[type[Data], ...] = (
    CartItemAdded,
    CartItemRemoved,
    OrderPlaced,
    OrderUpdated,
    OrderPaid,
    OrderCancelled,
    OrderRefunded,
    OrderCompleted,
    ShipmentDispatched,
    ShipmentArrivedInCity,
    ShipmentOutForDelivery,
    ShipmentDelivered,
    ReviewSubmitted,
    CustomerRegistered,
    CustomerUpdated,
    ConsentChanged,
    Visit,
    CheckIn,
    Share,
    HistoryEnded,
)
FROM_SENDERS: tuple[type[Data], ...] = (*TRAVELLING, *OF_THE_EDGE)
EVENTS: tuple[type[Data], ...] = (*TRAVELLING, CustomerMerged, CustomerSplit, CustomerErased, Tick)
