"""Taobao and Tmall: messages of TMC, as the feed takes them or as another process of the shop's passes them on.

A message is a topic and a content (JSON, as a text or not). None of them holds an address, a phone number or what was
bought; the buyer is a nick, which may be masked, and an id that stands for it.
"""

import msgspec
from msgspec import Raw, Struct

from common.contracts.envelope import Rejection
from ingest.connectors import forwarded
from ingest.connectors.batches import each, several
from ingest.connectors.chinese import Key, beijing_if_any, key
from ingest.connectors.port import (
    NO_CUSTOMER,
    UNREADABLE,
    Connector,
    Converted,
    Delivery,
    Fault,
    Ignored,
    Origin,
    decode,
    event,
)
from ingest.connectors.taobao.parcels import TRACE, Trace, of_trace
from ingest.connectors.taobao.topics import TOPICS, Content, of_topic
from ingest.connectors.values import label
from ingest.domain.accept import Identities

GATEWAY = "ws://mc.api.taobao.com/"
MASK = "*"
PRIVATE = "taobao_opencrm_MemberJoinPrivate"


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`connect`: take the messages of this app (and group) from TMC; else only what is passed on comes."""

    connect: bool = False
    app_key: str = ""
    group: str = "default"
    address: str = GATEWAY

    def __post_init__(self) -> None:
        if self.connect and not self.app_key:
            raise ValueError("to connect, the app's key is needed as the option app_key")
        if not self.address.startswith(("ws://", "wss://")):
            raise ValueError("expected an address that begins with ws:// or wss://")


class Message(Struct, frozen=True):
    """One message. `city` is the receiver's, where who passes it on knows it."""

    topic: str
    content: Raw = Raw(b"{}")
    pub_time: str | None = None
    id: Key = None
    city: str | None = None


class Messages(Struct, frozen=True):
    """What stands around several."""

    tmc_message: tuple[Raw, ...] = ()


class Consumed(Struct, frozen=True):
    """What `taobao.tmc.messages.consume` answers."""

    messages: Messages | None = None


class Answered(Struct, frozen=True):
    """The same with its name around it."""

    consumed: Consumed | None = msgspec.field(name="tmc_messages_consume_response", default=None)


_MESSAGE = msgspec.json.Decoder(Message)
_ANSWERED = msgspec.json.Decoder(Answered)
_CONTENT = msgspec.json.Decoder(Content)
_TRACE = msgspec.json.Decoder(Trace)
_TEXT = msgspec.json.Decoder(str)


def convert(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """What all messages of the delivery tell."""
    return each(_messages(delivery.body), lambda message: _told(origin, *message))


def _messages(body: bytes) -> tuple[tuple[bytes, str], ...]:
    """One, an array of them, or what the API answers, each with the path to it."""
    if b'"tmc_messages_consume_response"' not in body:
        return several(body)
    consumed = decode(_ANSWERED, body).consumed
    under = "$.tmc_messages_consume_response.messages.tmc_message"
    told = consumed.messages.tmc_message if consumed is not None and consumed.messages is not None else ()
    return tuple((bytes(raw), f"{under}[{number}]") for number, raw in enumerate(told))


def _told(origin: Origin[Options], body: bytes, path: str) -> Converted | Ignored:
    message = decode(_MESSAGE, body, path)
    published = beijing_if_any(message.pub_time, f"{path}.pub_time")
    where = f"{path}.content"
    if message.topic == TRACE:
        found = of_trace(decode(_TRACE, _content(message), where), message.city, where)
        if isinstance(found, Ignored):
            return found
        cause, at, data = found
        return Converted((event(origin, cause, None, at, data),))  # whose it is, is known by the order
    if message.topic not in TOPICS:
        return Ignored("a topic that leads to no event")
    content = decode(_CONTENT, _content(message), where)
    names = _names(origin, message.topic, content)
    if names is None and key(content.tid) is None:
        raise Fault(Rejection(where, f"{NO_CUSTOMER} and no order"))
    who = (names.open_id or names.buyer or "") if names is not None else ""
    found = of_topic(message.topic, content, who, published, where)
    if isinstance(found, Ignored):
        return found
    cause, at, data = found
    return Converted((event(origin, cause, None, at, data, None, names),))


def _content(message: Message) -> bytes:
    """JSON within a text, or by itself."""
    try:
        return _TEXT.decode(message.content).encode()
    except UNREADABLE:
        return bytes(message.content)


def _names(origin: Origin[Options], topic: str, content: Content) -> Identities | None:
    """A nick is personal, so what names the buyer is made of it; one that is masked is many people's."""
    user = key(content.user)  # the nick; of a private member the id that stands for it
    private = topic == PRIVATE
    nick = label(content.buyer_nick) or (label(user) if not private else None)
    open_uid = key(content.buyer_open_uid) or key(content.ouid) or (user if private else None)
    buyer = f"taobao:{origin.pseudonym(nick)}" if nick and MASK not in nick else None
    if buyer is None and open_uid is None:
        return None
    return Identities(buyer=buyer, open_id=f"taobao:{open_uid}" if open_uid else None)


CONNECTOR = Connector("taobao", "us", Options, (forwarded.SIGNATURE,), forwarded.is_signed, convert)
