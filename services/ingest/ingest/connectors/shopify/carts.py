"""Shopify's carts and checkouts: what is in a cart, and who turned out to be behind it."""

from hashlib import blake2b

import msgspec
from msgspec import Struct

from common.contracts import ingest
from common.contracts.envelope import Rejection
from ingest.connectors.port import Converted, Delivery, Fault, Ignored, Origin, decode, event
from ingest.connectors.reading import time_of
from ingest.connectors.shopify.form import Number, Options
from ingest.connectors.shopify.lines import Line, items
from ingest.connectors.shopify.people import (
    Bought,
    cart_name,
    city_of,
    country_of,
    locale_of,
    names,
    names_in,
    personal_in,
)


class Cart(Struct, frozen=True):
    """A cart, whole. Its token is its only name, and says nothing of whose it is."""

    token: str | None = None
    id: Number = None
    updated_at: str | None = None
    line_items: tuple[Line, ...] = ()


class Checkout(Bought, frozen=True):
    """A checkout that was begun: the one place where a cart's token stands beside a person."""

    token: str | None = None
    updated_at: str | None = None


_CART, _CHECKOUT = msgspec.json.Decoder(Cart), msgspec.json.Decoder(Checkout)


def cart(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """The whole cart as it is now; the edge finds what was added and what was taken out."""
    told = decode(_CART, delivery.body)
    token = (told.token or (told.id if isinstance(told.id, str) else "")).strip()
    if not token:
        raise Fault(Rejection("$.token", "missing: a cart's token"))
    data = ingest.CartUpdated(token, items(told.line_items))
    cause = ("cart", token, told.updated_at or "", _digest(msgspec.json.encode(data)))
    at = time_of(told.updated_at, "$.updated_at")
    return Converted((event(origin, cause, None, at, data, None, names(None, cart_name(origin, token))),))


def checkout(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """Who is behind a cart, from the moment it is known, and again when more of it is."""
    told = decode(_CHECKOUT, delivery.body)
    identities, personal = names_in(told, origin), personal_in(told)
    known = personal is not None and (personal.email or personal.phone)
    if not known and (identities is None or identities.buyer is None):
        return Ignored("a checkout of nobody who is known yet")
    if told.token is None:
        raise Fault(Rejection("$.token", "missing: a checkout's token"))
    home = told.billing_address or told.shipping_address
    data = ingest.CustomerUpdated(locale_of(told.customer_locale), country_of(home), city_of(home))
    # Under a pseudonym, since an id travels: of a hash somebody could try out whose it is.
    who = origin.pseudonym(msgspec.json.encode((identities, personal, data)).decode())
    at = time_of(told.updated_at, "$.updated_at")
    return Converted((event(origin, ("checkout", told.token, who), None, at, data, personal, identities),))


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()
