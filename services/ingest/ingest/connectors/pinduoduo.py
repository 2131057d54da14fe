"""Pinduoduo: messages of its message service, as the feed takes them or as another process of the shop's passes on.

They name no buyer, since Pinduoduo lets nobody pass buyers on, and trades without their amount.
"""

from datetime import datetime, timedelta

import msgspec
from msgspec import Raw, Struct

from common.contracts import ingest
from common.contracts.envelope import Data
from ingest.connectors import forwarded
from ingest.connectors.batches import each, several
from ingest.connectors.chinese import Amount, Key, fen, key, since_epoch
from ingest.connectors.port import UNREADABLE, Connector, Converted, Delivery, Ignored, Origin, decode, event
from ingest.connectors.reading import required

GATEWAY = "wss://message-api.pinduoduo.com"
MILLISECOND = timedelta(milliseconds=1)
MONEY_BACK = ("1", "2", None)  # bill_type: without and with return; others exchange, repair or send again
TYPES = (
    "pdd_trade_TradeConfirmed",
    "pdd_trade_TradeSellerShip",
    "pdd_trade_TradeSuccess",
    "pdd_refund_RefundAgreeAgreement",
)

Fact = tuple[tuple[str, ...], datetime | None, Data]  # what makes its id, when, what


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`connect`: take the messages of this app from Pinduoduo; else only what is passed on comes. `mall_id`: take
    only this shop's, where an app has several."""

    connect: bool = False
    client_id: str = ""
    mall_id: str = ""
    address: str = GATEWAY

    def __post_init__(self) -> None:
        if self.connect and not self.client_id:
            raise ValueError("to connect, the app's id is needed as the option client_id")
        if not self.address.startswith(("ws://", "wss://")):
            raise ValueError("expected an address that begins with ws:// or wss://")


class Content(Struct, frozen=True):
    """What `content` may hold. `pay_amount` is not Pinduoduo's: who passes the message on may know it, in fen."""

    mall_id: Key = None
    tid: Key = None
    order_sn: Key = None
    refund_id: Key = None
    refund_fee: Amount = None
    bill_type: Key = None
    modified: Key = None
    pay_amount: Amount = None


class Message(Struct, frozen=True):
    """One message; `content` is JSON, as a text or not."""

    type: str
    mall_id: Key = msgspec.field(name="mallID", default=None)
    content: Raw = Raw(b"{}")


class Frame(Struct, frozen=True):
    """What stands around a message on its way."""

    message: Raw = Raw()
    sent: Key = msgspec.field(name="sendTime", default=None)


_FRAME = msgspec.json.Decoder(Frame)
_MESSAGE = msgspec.json.Decoder(Message)
_CONTENT = msgspec.json.Decoder(Content)
_TEXT = msgspec.json.Decoder(str)


def convert(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """What all messages of the delivery tell."""
    return each(several(delivery.body), lambda message: _told(origin, *message))


def _told(origin: Origin[Options], body: bytes, path: str) -> Converted | Ignored:
    frame = decode(_FRAME, body, path)
    inner = bytes(frame.message)
    path = f"{path}.message" if inner else path
    message = decode(_MESSAGE, inner or body, path)
    if message.type not in TYPES:
        return Ignored("a type that leads to no event")
    content = decode(_CONTENT, _content(message), f"{path}.content")
    mall_id = key(message.mall_id) or key(content.mall_id)
    if origin.options.mall_id and mall_id != origin.options.mall_id:
        return Ignored("another shop's")
    sent = since_epoch(frame.sent, MILLISECOND, "$.sendTime")
    at = since_epoch(content.modified, MILLISECOND, f"{path}.content.modified") or sent
    fact = _fact(message.type, content, at, f"{path}.content")
    if isinstance(fact, Ignored):
        return fact
    cause, when, data = fact
    return Converted((event(origin, cause, None, when, data),))


def _content(message: Message) -> bytes:
    try:
        return _TEXT.decode(message.content).encode()
    except UNREADABLE:
        return bytes(message.content)


def _fact(kind: str, said: Content, at: datetime | None, where: str) -> Fact | Ignored:
    tid = required(key(said.tid) or key(said.order_sn), f"{where}.tid")
    match kind:
        case "pdd_trade_TradeConfirmed":
            if said.pay_amount is None:
                return Ignored("a payment without its amount")
            return ("order", tid, "paid"), at, ingest.OrderPaid(tid, fen(said.pay_amount, f"{where}.pay_amount"))
        case "pdd_trade_TradeSellerShip":
            return ("order", tid, "dispatched"), at, ingest.ShipmentDispatched(tid)
        case "pdd_trade_TradeSuccess":
            return ("order", tid, "completed"), at, ingest.OrderFinished(tid)
        case _:
            if key(said.bill_type) not in MONEY_BACK:
                return Ignored("nothing is paid back")
            refund_id = required(key(said.refund_id), f"{where}.refund_id")
            amount = fen(said.refund_fee, f"{where}.refund_fee")
            return ("order", tid, "refunded", refund_id), at, ingest.OrderRefunded(tid, refund_id, amount)


CONNECTOR = Connector("pinduoduo", "us", Options, (forwarded.SIGNATURE,), forwarded.is_signed, convert)
