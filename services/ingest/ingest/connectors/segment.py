"""Segment's tracking API, RudderStack's too: messages of their clients, as the events that they tell of.

Sources: Segment's HTTP tracking API and its e-commerce spec v2. What is made of which message stands in
docs/platforms/segment.md, for shops.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw, Struct

from common.contracts import ingest
from common.contracts.envelope import Rejection
from common.ids import MAX_ID_CHARS, derived_id
from ingest.connectors.values import UNPRINTABLE, identifier, label, minor_units, moment, number, quantity
from ingest.domain.accept import MAX_EVENT_BYTES
from ingest.domain.refusal import refusal
from ingest.domain.split import BYTE_ORDER_MARK, Unreadable

SOURCE = "segment"
BATCH = "batch"
SHARED = ("sentAt", "context")  # what a batch says for all its messages
KINDS = ("track", "identify", "page", "screen", "group", "alias")
# These say who belongs to whom; no event of ours says that.
IGNORED_KINDS = ("group", "alias")
NEW_FOR = timedelta(days=1)  # so long after `createdAt` an identify tells of a new customer
MAX_RATING = 5
AMOUNTS = ("total", "revenue", "value")  # what is to be paid, by the first of them that is there
ITEM_IDS = ("product_id", "sku", "id")

Json = Mapping[str, Any]
Made = list[dict[str, Any]]  # events as senders write them, but for what all of a message have in common


class Parcel(Struct, frozen=True):
    """What one request brought: whole messages, each with what it shares with its batch; the key, if it is inside."""

    write_key: str
    messages: Sequence[bytes]


class Ignored(Struct, frozen=True):
    """A sound message that no event of ours tells of."""

    kind: str


class Message(Struct, frozen=True):
    """What mapping needs to know of a message."""

    id: str
    customer_id: str
    at: datetime
    currency: str  # the message's, else the shop's
    body: Json
    properties: Json


def _exact(literal: str) -> Decimal:
    try:
        return Decimal(literal)
    except ArithmeticError:  # an exponent beyond all reason
        return Decimal("NaN")


_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_ARRAY = msgspec.json.Decoder(list[Raw])
_TEXT = msgspec.json.Decoder(str)
_MESSAGE = msgspec.json.Decoder(float_hook=_exact)
_ENCODER = msgspec.json.Encoder()
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_TYPES = frozenset(data.TYPE for data in ingest.FROM_SENDERS)


def opened(body: bytes, kind: str, now: datetime, max_messages: int) -> Parcel | Unreadable:
    """The messages of a request's body; `kind` is the last part of its path. A batch may also be one message alone."""
    try:
        whole = _FIELDS.decode(body.removeprefix(BYTE_ORDER_MARK))
        key = whole.pop("writeKey", None)
        write_key = _TEXT.decode(key) if key is not None and bytes(key).strip() != b"null" else ""
        if kind == BATCH and BATCH in whole:
            items = _ARRAY.decode(whole[BATCH])
            shared = {name: raw for name, raw in whole.items() if name in SHARED}
        else:
            own = {} if kind == BATCH else {"type": _raw(kind)}
            items, shared = [Raw(_ENCODER.encode(whole | own))], {}
    except _FAULTS as error:
        return Unreadable("malformed", refusal(error).reason)
    if len(items) > max_messages:
        return Unreadable("too_large", f"more than {max_messages} messages in a batch")
    return Parcel(write_key, [_whole(bytes(item), shared, now) for item in items])


def events(message: bytes, currency: str) -> Sequence[bytes] | Rejection | Ignored:
    """What a message of a parcel tells of, as events for `accept`. `currency` is the shop's."""
    if len(message) > MAX_EVENT_BYTES:
        return Rejection("$", f"larger than {MAX_EVENT_BYTES} bytes")
    try:
        said = _MESSAGE.decode(message)
    except _FAULTS as error:
        return refusal(error)
    if not isinstance(said, dict):
        return Rejection("$", "expected an object")
    kind = said.get("type")
    if kind not in KINDS:
        return Rejection("$.type", f"expected one of {', '.join(KINDS)}")
    if kind in IGNORED_KINDS:
        return Ignored(str(kind))
    read = _read(said, currency)
    if isinstance(read, Rejection):
        return read
    made = _made(str(kind), read, message)
    if isinstance(made, Rejection | Ignored):
        return made
    common = {"id": read.id, "source": SOURCE, "subject": read.customer_id, "time": read.at}
    return [_ENCODER.encode(common | event) for event in made]


def _whole(item: bytes, shared: Mapping[str, Raw], now: datetime) -> bytes:
    """A message that stands alone, sent again however late: with an id, and when it was first received.

    Without an id of its own its content is it, so that what is sent again counts once; and where it has no time either,
    when it came is part of that, since a repeat may then be news.
    """
    try:
        fields = _FIELDS.decode(item)
    except _FAULTS:
        return item  # no object: refused as what it is
    fields.pop("writeKey", None)
    if _null(fields.get("messageId")):
        timed = not (_null(fields.get("timestamp")) and _null(fields.get("originalTimestamp")))
        fields["messageId"] = _raw(derived_id(item.decode("utf-8", "replace"), "" if timed else now.isoformat()))
    if moment(_text(fields.get("receivedAt"))) is None:  # Segment and RudderStack say it of what they forward
        fields["receivedAt"] = _raw(now)
    return _ENCODER.encode({**shared, **fields})


def _null(raw: Raw | None) -> bool:
    return raw is None or bytes(raw).strip() in (b"null", b'""')


def _text(raw: Raw | None) -> str | None:
    try:
        return None if raw is None else _TEXT.decode(raw)
    except _FAULTS:
        return None


def _raw(value: object) -> Raw:
    return Raw(_ENCODER.encode(value))


def _read(said: Json, shop_currency: str) -> Message | Rejection:
    customer_id = identifier(said.get("userId")) or identifier(said.get("anonymousId"))
    if customer_id is None:
        return Rejection("$.userId", "missing, and no anonymousId either")
    received_at = moment(said.get("receivedAt"))
    told = said.get("originalTimestamp") or said.get("timestamp")
    at = moment(told) if told else received_at
    if at is None or received_at is None:
        return Rejection("$.timestamp", "expected an ISO 8601 time, such as 2026-05-01T12:00:00.000Z")
    properties = _object(said.get("properties"))
    currency = properties.get("currency")
    return Message(
        id=_event_id(said.get("messageId")),
        customer_id=customer_id,
        at=_by_our_clock(at, moment(said.get("sentAt")), received_at) if told else at,
        currency=currency.strip().upper() if isinstance(currency, str) and currency.strip() else shop_currency,
        body=said,
        properties=properties,
    )


def _event_id(message_id: Any) -> str:
    said = identifier(message_id) or ""
    plain = 0 < len(said) <= MAX_ID_CHARS and UNPRINTABLE.search(said) is None
    return said if plain else derived_id(SOURCE, said)


def _by_our_clock(at: datetime, sent_at: datetime | None, received_at: datetime) -> datetime:
    """The sender's clock may be wrong: what has just come it has just sent, whatever it says (Segment's own rule)."""
    try:
        return at if sent_at is None else received_at - (sent_at - at)
    except OverflowError:
        return at


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _made(kind: str, message: Message, body: bytes) -> Made | Rejection | Ignored:
    if kind in ("page", "screen"):
        return [_event("visit", {})]
    if kind == "identify":
        return _identified(message)
    name = message.body.get("event")
    if not isinstance(name, str) or not name.strip():
        return Rejection("$.event", "missing: the name of what happened")
    if name in _TYPES:  # one of ours, its properties our data word for word
        return [_event(name, _FIELDS.decode(body).get("properties", Raw(b"{}")))]
    made = _SPEC.get(" ".join(name.replace("_", " ").split()).casefold())
    return Ignored(kind) if made is None else made(message)


def _event(type_: str, data: Mapping[str, Any] | Raw, **more: Any) -> dict[str, Any]:
    if not isinstance(data, Raw):
        data = {name: value for name, value in data.items() if value is not None}
    return {"type": type_, "data": data} | more


# ------------------------------------------------------------------------------------------------------- people


def _identified(message: Message) -> Made:
    """Told at every login; a customer whose account is new is registered, once."""
    changed = _facts("customer.updated", message)
    created = _object(message.body.get("traits")).get("createdAt")
    created_at = moment(created)
    if created_at is None or abs(message.at - created_at) > NEW_FOR:
        return [changed]
    return [*_registered(message), changed]


def _registered(message: Message) -> Made:
    return [_facts("customer.registered", message) | {"id": derived_id("customer.registered", message.customer_id)}]


def _facts(type_: str, message: Message) -> dict[str, Any]:
    """Traits, parted into what stays in the vault and the coarse facts that travel."""
    context = _object(message.body.get("context"))
    traits = {**_object(context.get("traits")), **_object(message.body.get("traits"))}
    address = traits.get("address")
    place = _object(address)
    facts = {
        "locale": _locale(traits.get("locale") or traits.get("language") or context.get("locale")),
        "country": label(place.get("country")) or label(traits.get("country")),
        "city": label(place.get("city")) or label(traits.get("city")),
    }
    given = (traits.get("firstName") or traits.get("first_name"), traits.get("lastName") or traits.get("last_name"))
    lines = ("street", "city", "state", "postalCode", "postal_code", "country")
    personal = {
        "phone": identifier(traits.get("phone")),
        "email": identifier(traits.get("email")),
        "name": label(traits.get("name")) or " ".join(filter(None, map(label, given))) or None,
        "address": identifier(address) or ", ".join(filter(None, (label(place.get(line)) for line in lines))) or None,
    }
    known = {name: value for name, value in personal.items() if value is not None}
    return _event(type_, facts, **({"personal": known} if known else {}))


def _locale(said: Any) -> str | None:
    language = said[:2].lower() if isinstance(said, str) else ""
    return {"zh": "zh-CN", "en": "en"}.get(language)


# ------------------------------------------------------------------------------------------------ carts and visits


def _item(product: Any, currency: str) -> dict[str, Any] | None:
    """A product as an item; None for one without an id. A price that cannot be read is left out."""
    product = _object(product)
    item_id = next(filter(None, (identifier(product.get(name)) for name in ITEM_IDS)), None)
    if item_id is None:
        return None
    price = minor_units(product.get("price"), currency)
    item = {
        "item_id": UNPRINTABLE.sub("_", item_id),
        "quantity": quantity(product.get("quantity")),
        "name": label(product.get("name")),
        "category": label(product.get("category")),
        "unit_price": None if price is None else _money(price, currency),
    }
    return {name: value for name, value in item.items() if value is not None}


def _money(amount_minor: int, currency: str) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": currency}


def _cart(type_: str) -> Callable[[Message], Made | Rejection]:
    def made(message: Message) -> Made | Rejection:
        item = _item(message.properties, message.currency)
        if item is None:
            return Rejection("$.properties.product_id", "missing, and no sku either")
        return [_event(type_, {"item": item, "cart_id": identifier(message.properties.get("cart_id"))})]

    return made


def _visit(message: Message) -> Made:
    item = _item(message.properties, message.currency) or {}
    category = item.get("category") or label(message.properties.get("category"))
    return [_event("visit", {"item_id": item.get("item_id"), "category": category})]


def _shared(message: Message) -> Made:
    return [_event("share", {"item_id": (_item(message.properties, message.currency) or {}).get("item_id")})]


# ------------------------------------------------------------------------------------------------ orders, reviews


def _ordered(message: Message) -> Made | Rejection:
    """Placed and paid, once per order however often it is told; `paid: false` says that the payment is to come.

    An order that names no amount at all is an order of 0: that it happened is true, what it came to is not known.
    """
    said = message.properties
    order_id = identifier(said.get("order_id"))
    if order_id is None:
        return Rejection("$.properties.order_id", "missing")
    amount = _amount(message)
    if isinstance(amount, Rejection):
        return amount
    data = {"order_id": order_id, "amount": amount or _money(0, message.currency)}
    products = said.get("products")
    lines = [_item(product, message.currency) for product in products] if isinstance(products, list) else []
    items = [line for line in lines if line is not None][: ingest.MAX_ITEMS]
    placed = _event("order.placed", data | ({"items": items} if items else {}))
    paid = [] if said.get("paid") is False else [_event("order.paid", data)]
    return [event | {"id": derived_id(event["type"], order_id)} for event in (placed, *paid)]


def _amount(message: Message) -> dict[str, Any] | Rejection | None:
    """What the message says that it is about in money; None where it says nothing."""
    for name in AMOUNTS:
        if (said := message.properties.get(name)) is not None and said != "":
            minor = minor_units(said, message.currency)
            if minor is None:
                return Rejection(f"$.properties.{name}", "expected an amount such as 12.50, without signs or commas")
            return _money(minor, message.currency)
    return None


def _refunded(message: Message) -> Made | Rejection:
    order_id, amount = identifier(message.properties.get("order_id")), _amount(message)
    if order_id is None:
        return Rejection("$.properties.order_id", "missing")
    if amount is None:
        return Rejection("$.properties.total", "missing: what was paid back")
    if isinstance(amount, Rejection):
        return amount
    refund_id = identifier(message.properties.get("refund_id")) or message.id
    return [_event("order.refunded", {"order_id": order_id, "refund_id": refund_id, "amount": amount})]


def _cancelled(message: Message) -> Made | Rejection:
    order_id = identifier(message.properties.get("order_id"))
    if order_id is None:
        return Rejection("$.properties.order_id", "missing")
    return [_event("order.cancelled", {"order_id": order_id, "reason": label(message.properties.get("reason"))})]


def _reviewed(message: Message) -> Made | Rejection:
    said = message.properties
    stars = number(said.get("rating"))
    if stars is None or not 1 <= stars <= MAX_RATING:
        return Rejection("$.properties.rating", f"expected 1 to {MAX_RATING}")
    text = said.get("review_body")
    facts = {
        "rating": int(stars + Decimal("0.5")),
        "order_id": identifier(said.get("order_id")),
        "item_id": (_item(said, message.currency) or {}).get("item_id"),
    }
    personal = {"personal": {"review_text": text}} if isinstance(text, str) and text.strip() else {}
    return [_event("review.submitted", facts, **personal)]


# By name in lower case: the spec's, and those it had in its first version.
_BROWSED = (
    *("products searched", "product list viewed", "product list filtered", "product clicked", "product viewed"),
    *("cart viewed", "checkout started", "checkout step viewed", "checkout step completed", "payment info entered"),
    *("product added to wishlist", "product removed from wishlist"),
    *("viewed product", "clicked product", "viewed product category", "started order"),
)
_SPEC: Mapping[str, Callable[[Message], Made | Rejection]] = {
    **dict.fromkeys(_BROWSED, _visit),
    **dict.fromkeys(("product added", "added product", "wishlist product added to cart"), _cart("cart.item_added")),
    **dict.fromkeys(("product removed", "removed product"), _cart("cart.item_removed")),
    **dict.fromkeys(("order completed", "completed order"), _ordered),
    "order refunded": _refunded,
    "order cancelled": _cancelled,
    "product reviewed": _reviewed,
    **dict.fromkeys(("product shared", "cart shared"), _shared),
    "signed up": _registered,
}
