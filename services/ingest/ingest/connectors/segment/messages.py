"""Segment's tracking API, RudderStack's too: messages of their clients, as the events that they tell of.

Sources: Segment's HTTP tracking API and its e-commerce spec v2. What is made of which message stands in
docs/platforms/segment.md, for shops.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw, Struct

from common.contracts import ingest
from common.contracts.envelope import Rejection
from common.ids import derived_id
from ingest.connectors.segment.commerce import SPEC
from ingest.connectors.segment.people import Json, Made, Message, Who, aliased, event, identified, is_plain, object_of
from ingest.connectors.values import identifier, moment
from ingest.domain.accept import MAX_EVENT_BYTES
from ingest.domain.refusal import refusal
from ingest.domain.split import BYTE_ORDER_MARK, Unreadable

SOURCE = "segment"
BATCH = "batch"
SHARED = ("sentAt", "context")  # what a batch says for all its messages
KINDS = ("track", "identify", "page", "screen", "group", "alias")
IGNORED_KINDS = ("group",)  # no event of ours tells of them


class Parcel(Struct, frozen=True):
    """What one request brought: whole messages, each with what it shares with its batch; the key, if it is inside."""

    write_key: str
    messages: Sequence[bytes]


class Ignored(Struct, frozen=True):
    """A sound message that no event of ours tells of."""

    kind: str


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


def events(
    message: bytes, currency: str, traits: AbstractSet[str] = frozenset()
) -> Sequence[bytes] | Rejection | Ignored:
    """What a message of a parcel tells of, as events for `accept`. `currency` is the shop's; `traits` are those that
    become attributes."""
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
    read = _read(said, currency, traits)
    if isinstance(read, Rejection):
        return read
    made = _made(str(kind), read, message)
    if isinstance(made, Rejection | Ignored):
        return made
    common = {"id": read.id, "source": SOURCE, "time": read.at} | read.who.named
    return [_ENCODER.encode(common | each) for each in made]


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


def _read(said: Json, shop_currency: str, traits: AbstractSet[str]) -> Message | Rejection:
    who = Who(identifier(said.get("userId")), identifier(said.get("anonymousId")))
    if who.user_id is None and who.anonymous_id is None:
        return Rejection("$.userId", "missing, and no anonymousId either")
    received_at = moment(said.get("receivedAt"))
    told = said.get("originalTimestamp") or said.get("timestamp")
    at = moment(told) if told else received_at
    if at is None or received_at is None:
        return Rejection("$.timestamp", "expected an ISO 8601 time, such as 2026-05-01T12:00:00.000Z")
    properties = object_of(said.get("properties"))
    currency = properties.get("currency")
    return Message(
        id=_event_id(said.get("messageId")),
        who=who,
        at=_by_our_clock(at, moment(said.get("sentAt")), received_at) if told else at,
        currency=currency.strip().upper() if isinstance(currency, str) and currency.strip() else shop_currency,
        body=said,
        properties=properties,
        traits=traits,
    )


def _event_id(message_id: Any) -> str:
    said = identifier(message_id) or ""
    return said if is_plain(said) else derived_id(SOURCE, said)


def _by_our_clock(at: datetime, sent_at: datetime | None, received_at: datetime) -> datetime:
    """The sender's clock may be wrong: what has just come it has just sent, whatever it says (Segment's own rule)."""
    try:
        return at if sent_at is None else received_at - (sent_at - at)
    except OverflowError:
        return at


def _made(kind: str, message: Message, body: bytes) -> Made | Rejection | Ignored:
    if kind in ("page", "screen"):
        return [event("visit", {})]
    if kind == "identify":
        return identified(message)
    if kind == "alias":
        return aliased(message) or Ignored(kind)
    name = message.body.get("event")
    if not isinstance(name, str) or not name.strip():
        return Rejection("$.event", "missing: the name of what happened")
    if name in _TYPES:  # one of ours, its properties our data word for word
        return [event(name, _FIELDS.decode(body).get("properties", Raw(b"{}")))]
    made = SPEC.get(" ".join(name.replace("_", " ").split()).casefold())
    return Ignored(kind) if made is None else made(message)
