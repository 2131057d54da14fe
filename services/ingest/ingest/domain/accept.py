"""One sender's event: checked to the last field, its personal part split off, or a Rejection with the path."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct, field, structs

from common.contracts import ingest
from common.contracts.envelope import Data, Event, Rejection, Time, strict
from common.ids import Id
from common.money import Money
from ingest.domain.refusal import control_character, refusal
from ingest.domain.review_topics import NO_KEYWORDS, Table, topics_of

MAX_AGE = timedelta(days=3653)  # ten years: older is a unit mistake (seconds for milliseconds), not history
MAX_AHEAD = timedelta(days=1)  # a sender's clock may be wrong by a time zone, not by more
MAX_EVENT_BYTES = 500_000  # of one: so that, written down as a dead letter, a bus still takes it
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# E.164 after + or 00, or a mainland China mobile number; in any script's digits, however grouped.
PHONE = re.compile(r"(\+|00)\d{7,15}|(86)?1[3-9]\d{9}")
GROUPING = str.maketrans("", "", "-.()")
TYPE_NAME = re.compile(r"[a-z_.]{1,40}")  # a type is repeated in a reason only if it looks like one
ESCAPED_CONTROL = re.compile(rb"\\(u00[01]|[bfnrt])")
LINES_AT = ("$.personal.address", "$.personal.review_text")

Text = Annotated[str, Meta(min_length=1, max_length=200)]


class Personal(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must never leave the vault."""

    phone: Text | None = None
    email: Text | None = None
    name: Text | None = None
    address: Text | None = None
    review_text: Annotated[str, Meta(max_length=10_000)] | None = None
    consent_proof: Annotated[str, Meta(max_length=2_000)] | None = None


class Identities(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Other names the same person goes by. Phone and e-mail are taken from `personal`, the order from `data`."""

    buyer: Id | None = None  # of a platform's, with the platform's name before its number: "taobao:12"
    card: Id | None = None  # a member card
    open_id: Id | None = None
    anonymous: Id | None = None  # a browser, a cart: whoever is behind it
    previous: Id | None = None  # what the sender called the same person before, as `subject`


class Identity(Struct, frozen=True, order=True):
    """One name of a person, of a kind: one of Identities, phone, email, order."""

    kind: str
    value: str


class Inbound(Struct, frozen=True, forbid_unknown_fields=True):
    """An event as a sender gives it: CloudEvents attributes, and `personal` beside `data`."""

    id: Id
    type: str
    customer_id: Id | None = field(name="subject", default=None)
    source: Id = "api"
    specversion: Annotated[str, Meta(pattern="^1\\.0$")] = "1.0"
    datacontenttype: Annotated[str, Meta(pattern="^application/json")] = "application/json"
    occurred_at: Time | None = field(name="time", default=None)
    shop_id: Id | None = field(name="shopid", default=None)
    trace_parent: Annotated[str, Meta(max_length=64)] = field(name="traceparent", default="")
    data: Raw = Raw(b"{}")
    personal: Personal | None = None
    identities: Identities = Identities()


class Accepted(Struct, frozen=True):
    """An event as it will travel, and what goes to the vault. When it is received is stamped as it is written; an
    event without a time of its own (not `timed`) happened then. Whose it is, is found out by `identities` as it is
    written: until then `customer_id` is what the sender said, empty where it said nothing. `classes` are what its
    personal part tells that may travel."""

    event: Event[Data]
    personal: Personal | None
    timed: bool = True
    identities: tuple[Identity, ...] = ()
    classes: Mapping[str, str | None] = {}


_INBOUND = msgspec.json.Decoder(Inbound)
_DATA = {data.TYPE: msgspec.json.Decoder(strict(data)) for data in ingest.FROM_SENDERS}


def accept(
    body: bytes | Raw, shop_id: str, currency: str, now: datetime, historic: bool, keywords: Table = NO_KEYWORDS
) -> Accepted | Rejection:
    """Decides on one event that came with a key of `shop_id`. `historic`: an import, at its own times; `keywords`: what
    the shop sorts its reviews by."""
    path = "$"
    if len(bytes(body)) > MAX_EVENT_BYTES:
        return Rejection("$", f"larger than {MAX_EVENT_BYTES} bytes")
    try:
        inbound = _INBOUND.decode(body)
        if (decoder := _DATA.get(inbound.type)) is None:
            named = f" {inbound.type!r}" if TYPE_NAME.fullmatch(inbound.type) else ""
            return Rejection("$.type", f"unknown event type{named}")
        path = "$.data"
        data = decoder.decode(inbound.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return refusal(error, under=path)
    fault = _control_character(body, inbound, data) or _fault(inbound, data, shop_id, currency, now, historic)
    if fault is not None:
        return fault
    if isinstance(data, ingest.ReviewSubmitted):
        data = _sorted(data, inbound.personal, keywords)
    occurred_at = (inbound.occurred_at or now).astimezone(UTC)
    is_historic = historic and not isinstance(data, ingest.HistoryEnded)
    event = Event(
        specversion="1.0",
        id=inbound.id,
        source=inbound.source,
        type=inbound.type,
        shop_id=shop_id,
        customer_id=inbound.customer_id or "",
        occurred_at=occurred_at,
        received_at=occurred_at,
        trace_parent=inbound.trace_parent,
        historic=is_historic,
        data=data,
    )
    names = identities_of(inbound, data)
    if inbound.customer_id is None and not names:
        reason = "missing: say whose it is, by `subject`, `identities`, `personal.phone`, `personal.email` or an order"
        return Rejection("$.subject", reason)
    return Accepted(event, inbound.personal, inbound.occurred_at is not None, names)


def identities_of(inbound: Inbound, data: Data) -> tuple[Identity, ...]:
    """All names that an event gives its person, but the subject."""
    told = msgspec.structs.asdict(inbound.identities)
    if inbound.personal is not None:
        told |= {"phone": inbound.personal.phone, "email": inbound.personal.email}
    told["order"] = getattr(data, "order_id", None)
    return tuple(Identity(kind, value) for kind, value in told.items() if value is not None)


def _sorted(review: ingest.ReviewSubmitted, personal: Personal | None, keywords: Table) -> ingest.ReviewSubmitted:
    """With what its text tells that may travel: how long it is, and what it is about unless its sender said that."""
    if personal is None or personal.review_text is None:
        return review
    topics = review.topics or topics_of(personal.review_text, keywords)
    return structs.replace(review, topics=topics, length=len(personal.review_text))


def _control_character(body: bytes | Raw, inbound: Inbound, data: Data) -> Rejection | None:
    """JSON holds control characters escaped only, so most bodies need no look."""
    if not ESCAPED_CONTROL.search(bytes(body)):
        return None
    said = msgspec.to_builtins(structs.replace(inbound, data=None)) | {"data": msgspec.to_builtins(data)}
    return control_character(said, "$", LINES_AT)


def _fault(
    inbound: Inbound, data: Data, shop_id: str, currency: str, now: datetime, historic: bool
) -> Rejection | None:
    """What types alone cannot say."""
    if inbound.shop_id not in (None, shop_id):
        return Rejection("$.shopid", f"unknown shop: the key is for {shop_id!r}")
    for path, given in (("$.subject", inbound.customer_id), ("$.identities.previous", inbound.identities.previous)):
        if given is not None and is_phone_or_email(given):
            what = "looks like a phone number or an e-mail address"
            reason = f"{what}: send your own id, and contact data under `personal`"
            return Rejection(path, reason)
    if isinstance(data, ingest.HistoryEnded) and not historic:
        return Rejection("$.type", "history.ended belongs to an import: send it with ?historic=true")
    if inbound.occurred_at is None:
        if historic and not isinstance(data, ingest.HistoryEnded):
            return Rejection("$.time", "missing: an import tells events at their own times")
    else:
        earliest, latest = (EPOCH, now) if historic else (now - MAX_AGE, now + MAX_AHEAD)
        if not earliest <= inbound.occurred_at <= latest:
            return Rejection("$.time", f"out of range: {earliest.isoformat()} to {latest.isoformat()}")
    if isinstance(data, ingest.CustomerRegistered | ingest.CustomerUpdated):
        return _contact_data(data) or _both_ways(data)
    return _foreign_money(data, currency)


def is_phone_or_email(customer_id: str) -> bool:
    """Whether the id is contact data, which must not travel: ids are on every event, in every service and in logs."""
    plain = unicodedata.normalize("NFKC", customer_id).translate(GROUPING)
    return "@" in plain or PHONE.fullmatch(plain) is not None


def _contact_data(data: ingest.CustomerRegistered | ingest.CustomerUpdated) -> Rejection | None:
    """Attributes and tags travel. The path names no attribute: its name may be what must not be told."""
    reason = "looks like a phone number or an e-mail address: send contact data under `personal`"
    if any(is_phone_or_email(text) for told in data.attributes.items() for text in told if text is not None):
        return Rejection("$.data.attributes[...]", reason)
    for name, tags in (("tags_added", data.tags_added), ("tags_removed", data.tags_removed)):
        for number, tag in enumerate(tags):
            if is_phone_or_email(tag):
                return Rejection(f"$.data.{name}[{number}]", reason)
    return None


def _both_ways(data: ingest.CustomerRegistered | ingest.CustomerUpdated) -> Rejection | None:
    both = (number for number, tag in enumerate(data.tags_removed) if tag in data.tags_added)
    number = next(both, None)
    return None if number is None else Rejection(f"$.data.tags_removed[{number}]", "is among tags_added too")


def _foreign_money(data: Data, currency: str) -> Rejection | None:
    """Amounts of one shop are added up, so they are all in its currency."""
    for path, money in _amounts(data):
        if money.currency != currency:
            return Rejection(
                f"$.data.{path}.currency", f"expected {currency}, the shop's currency, got {money.currency}"
            )
    return None


def _amounts(data: Data) -> list[tuple[str, Money]]:
    found: list[tuple[str, Money]] = []
    if isinstance(money := getattr(data, "amount", None), Money):
        found.append(("amount", money))
    if isinstance(item := getattr(data, "item", None), ingest.Item) and item.unit_price:
        found.append(("item.unit_price", item.unit_price))
    for number, item in enumerate(getattr(data, "items", ())):
        if item.unit_price:
            found.append((f"items[{number}].unit_price", item.unit_price))
    return found
