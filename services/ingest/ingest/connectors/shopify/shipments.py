"""Shopify's parcels: fulfillments, and the carrier's events about them."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from common.contracts import ingest
from common.contracts.envelope import Data
from ingest.connectors.port import Converted, Delivery, Ignored, Origin, decode, event
from ingest.connectors.reading import required, time_of
from ingest.connectors.shopify.form import Fact, Number, Options, id_of
from ingest.connectors.shopify.lines import Line
from ingest.connectors.values import label

# What a carrier's word says, of `shipment_status` and of events. Shopify has none for an arrival in a city.
STEPS = {
    "carrier_picked_up": "dispatched",
    "in_transit": "dispatched",
    "out_for_delivery": "out_for_delivery",
    "attempted_delivery": "out_for_delivery",
    "delivered": "delivered",
    "picked_up": "delivered",
}


class Shipment(Struct, frozen=True):
    """A fulfillment: what of an order goes out together."""

    id: Number = None
    order_id: Number = None
    status: str | None = None
    shipment_status: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    tracking_company: str | None = None
    line_items: tuple[Line, ...] = ()


class CarrierEvent(Struct, frozen=True):
    """One line of a parcel's track."""

    fulfillment_id: Number = None
    order_id: Number = None
    status: str | None = None
    happened_at: str | None = None
    created_at: str | None = None


_SHIPMENT, _CARRIER_EVENT = msgspec.json.Decoder(Shipment), msgspec.json.Decoder(CarrierEvent)


def shipment(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """A fulfillment; it names its order, and so its person."""
    told = decode(_SHIPMENT, delivery.body)
    order_id = required(id_of(told.order_id), "$.order_id")
    facts = tuple(shipment_facts(told, order_id))
    if not facts:
        return Ignored("a fulfillment of which nothing is on its way")
    return Converted(tuple(event(origin, ("order", order_id, *cause), None, at, data) for cause, at, data in facts))


def carrier_event(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """What the carrier reported."""
    told = decode(_CARRIER_EVENT, delivery.body)
    if (step := STEPS.get(told.status or "")) is None:
        return Ignored("no step of a parcel's way that is told")
    order_id = required(id_of(told.order_id), "$.order_id")
    shipment_id = required(id_of(told.fulfillment_id), "$.fulfillment_id")
    at = time_of(told.happened_at or told.created_at, "$.happened_at")
    cause = ("order", order_id, *_cause(shipment_id, step))
    return Converted((event(origin, cause, None, at, _data(step, order_id, shipment_id, None)),))


def is_sent(shipment: Shipment) -> bool:
    """Whether something is on its way to somebody: it was not called off, and not all of it is downloads and cards."""
    bodiless = shipment.line_items and all(line.requires_shipping is False for line in shipment.line_items)
    return shipment.status == "success" and not bodiless


def shipment_facts(shipment: Shipment, order_id: str) -> Iterator[Fact]:
    """A fulfillment's steps as far as they are known; the carrier's events about them give the same ids."""
    if not is_sent(shipment):
        return
    shipment_id = required(id_of(shipment.id), "$.id")
    carrier = label(shipment.tracking_company)
    created_at = time_of(shipment.created_at, "$.created_at")
    yield _cause(shipment_id, "dispatched"), created_at, _data("dispatched", order_id, shipment_id, carrier)
    step = STEPS.get(shipment.shipment_status or "", "dispatched")
    if step != "dispatched":
        at = time_of(shipment.updated_at, "$.updated_at")
        yield _cause(shipment_id, step), at, _data(step, order_id, shipment_id, carrier)


def _cause(shipment_id: str, step: str) -> tuple[str, ...]:
    return "shipment", shipment_id, step


def _data(step: str, order_id: str, shipment_id: str, carrier: str | None) -> Data:
    match step:
        case "out_for_delivery":
            return ingest.ShipmentOutForDelivery(order_id, shipment_id)
        case "delivered":
            return ingest.ShipmentDelivered(order_id, shipment_id)
        case _:
            return ingest.ShipmentDispatched(order_id, shipment_id, carrier)
