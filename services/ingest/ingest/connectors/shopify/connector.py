"""Shopify: one address for all of its topics, signed with the secret that Shopify shows or the app's."""

import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256

from ingest.connectors.port import Connector, Converted, Delivery, Ignored, Origin
from ingest.connectors.shopify.carts import cart, checkout
from ingest.connectors.shopify.customers import consent, customer, privacy
from ingest.connectors.shopify.form import PREFIXES, Options, header
from ingest.connectors.shopify.orders import order, refund, transaction
from ingest.connectors.shopify.shipments import carrier_event, shipment

SIGNATURE, TOPIC = "hmac-sha256", "topic"
HEADERS = (SIGNATURE, TOPIC, "event-id", "webhook-id", "test")  # after either prefix

Reader = Callable[[Delivery, Origin[Options]], Converted | Ignored]

# orders/edited is not among them: it tells of what was changed alone, and comes with an orders/updated.
READERS: Mapping[str, Reader] = {
    "carts/create": cart,
    "carts/update": cart,
    "checkouts/create": checkout,
    "checkouts/update": checkout,
    "orders/create": order,
    "orders/updated": order,
    "orders/paid": order,
    "orders/cancelled": order,
    "orders/fulfilled": order,
    "orders/partially_fulfilled": order,
    "fulfillments/create": shipment,
    "fulfillments/update": shipment,
    "fulfillment_events/create": carrier_event,
    "refunds/create": refund,
    "order_transactions/create": transaction,
    "customers/create": customer,
    "customers/update": customer,
    "customers_marketing_consent/update": consent,
    "customers_email_marketing_consent/update": consent,
    "customers/data_request": privacy,
    "customers/redact": privacy,
    "shop/redact": privacy,
}


def is_signed(delivery: Delivery, secret: str) -> bool:
    """base64(HMAC-SHA256(secret, body))."""
    expected = b64encode(hmac.digest(secret.encode(), delivery.body, sha256))
    return hmac.compare_digest(expected, header(delivery, SIGNATURE).encode())


def convert(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """By its topic."""
    reader = READERS.get(header(delivery, TOPIC))
    if reader is None:
        return Ignored("a topic that nothing is told of")
    if header(delivery, "test") == "true" and not origin.options.test_orders:
        return Ignored("a notification that was sent to try the address")
    return reader(delivery, origin)


CONNECTOR = Connector(
    "shopify", "platform", Options, tuple(p + name for p in PREFIXES for name in HEADERS), is_signed, convert
)
