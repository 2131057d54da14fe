"""Douyin shop (抖店): an array of messages, each a tag and its data; amounts in fen, times in seconds.

Most messages hold no amount and none names the buyer: orders are known by the payment's message, and whose they are by
what else is told of them.
"""

import hmac
from datetime import datetime, timedelta
from hashlib import md5

import msgspec
from msgspec import Raw, Struct

from common.contracts import ingest
from common.contracts.envelope import Data
from ingest.connectors.batches import each, several
from ingest.connectors.chinese import Amount, Key, fen, key, since_epoch
from ingest.connectors.port import (
    UNREADABLE,
    Answer,
    Connector,
    Converted,
    Delivery,
    Fault,
    Ignored,
    Origin,
    decode,
    event,
)
from ingest.connectors.reading import required
from ingest.connectors.values import label
from ingest.domain.accept import Identities, Personal

SIGNATURE, APP = "event-sign", "app-id"
PROBE = "0"
SECOND = timedelta(seconds=1)
ON_DELIVERY = "0"  # pay_type: the shop has accepted the order, nobody has paid it
SEALED = ("#", "$", "~")  # how what Douyin has encrypted begins
# Tags, by what they say has happened.
PLACED, PAID, SHIPPED, PARTLY, COMPLETED, CANCELLED, REFUNDED = "100", ("101", "110"), "102", "108", "103", "106", "206"

_ANSWER = Answer(b'{"code":0,"msg":"success"}')


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`shop_id`: take only this shop's messages, where an app has several."""

    shop_id: str = ""


class Logistics(Struct, frozen=True):
    """The parcel. The company is a code."""

    logistics_code: Key = None


class Receiver(Struct, frozen=True):
    """To whom it goes; masked or encrypted more often than not. The address may be an object."""

    name: str | None = None
    tel: Key = None
    addr: Raw = Raw(b"null")


class Said(Struct, frozen=True):
    """What `data` may hold."""

    p_id: Key = None
    shop_id: Key = None
    create_time: Key = None
    pay_time: Key = None
    update_time: Key = None
    complete_time: Key = None
    cancel_time: Key = None
    success_time: Key = None
    pay_type: Key = None
    pay_amount: Amount = None
    aftersale_id: Key = None
    refund_amount: Amount = None
    doudian_open_id: Key = None
    logistics_msg: Logistics | None = None
    receiver_msg: Receiver | None = None


class Message(Struct, frozen=True):
    """One message; `data` is JSON, as a text or not."""

    tag: Key = None
    data: Raw = Raw(b"{}")


_MESSAGE = msgspec.json.Decoder(Message)
_SAID = msgspec.json.Decoder(Said)
_TEXT = msgspec.json.Decoder(str)

Fact = tuple[tuple[str, ...], datetime | None, Data]  # what makes its id, when, what


def is_signed(delivery: Delivery, secret: str) -> bool:
    """Hex(MD5(app key + body + app secret)); the app key is the one that the call names."""
    signed = delivery.headers.get(APP, "").encode() + delivery.body + secret.encode()
    expected = md5(signed, usedforsecurity=False).hexdigest()
    return hmac.compare_digest(expected.encode(), delivery.headers.get(SIGNATURE, "").strip().lower().encode())


def is_probe(delivery: Delivery) -> bool:
    """A call with nothing but the tag of a probe in it."""
    try:
        tags = [_MESSAGE.decode(body).tag for body, _ in several(delivery.body)]
    except (Fault, *UNREADABLE):
        return False
    return bool(tags) and all(str(tag) == PROBE for tag in tags)


def convert(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """What all messages of the call tell."""
    return each(several(delivery.body), lambda message: _told(origin, *message))


def _told(origin: Origin[Options], body: bytes, path: str) -> Converted | Ignored:
    message = decode(_MESSAGE, body, path)
    tag, where = str(message.tag), f"{path}.data"
    if tag == PROBE:
        return Ignored("a probe")
    if tag not in (PLACED, *PAID, SHIPPED, PARTLY, COMPLETED, CANCELLED, REFUNDED):
        return Ignored("a tag that leads to no event")
    said = decode(_SAID, _data(message), where)
    if origin.options.shop_id and key(said.shop_id) != origin.options.shop_id:
        return Ignored("another shop's")
    fact = _fact(tag, said, required(key(said.p_id), f"{where}.p_id"), where)
    if isinstance(fact, Ignored):
        return fact
    open_id = key(said.doudian_open_id)
    names = Identities(open_id=f"douyin:{open_id}") if open_id else None
    cause, at, data = fact
    return Converted((event(origin, cause, None, at, data, _personal(said.receiver_msg), names),))


def _data(message: Message) -> bytes:
    try:
        return _TEXT.decode(message.data).encode()
    except UNREADABLE:
        return bytes(message.data)


def _fact(tag: str, said: Said, order: str, where: str) -> Fact | Ignored:
    if tag in (PLACED, *PAID, REFUNDED):
        return _of_money(tag, said, order, where)
    match tag:
        case "103":
            at = since_epoch(said.complete_time, SECOND, f"{where}.complete_time")
            return ("order", order, "completed"), at, ingest.OrderFinished(order)
        case "106":
            at = since_epoch(said.cancel_time, SECOND, f"{where}.cancel_time")
            return ("order", order, "cancelled"), at, ingest.OrderCancelled(order)
        case _:
            at = since_epoch(said.update_time, SECOND, f"{where}.update_time")
            parcel = key(said.logistics_msg.logistics_code) if said.logistics_msg is not None else None
            return ("order", order, "dispatched", parcel or ""), at, ingest.ShipmentDispatched(order, parcel)


def _of_money(tag: str, said: Said, order: str, where: str) -> Fact | Ignored:
    if tag == REFUNDED:
        refund = required(key(said.aftersale_id), f"{where}.aftersale_id")
        amount = fen(said.refund_amount, f"{where}.refund_amount")
        at = since_epoch(said.success_time, SECOND, f"{where}.success_time")
        return ("order", order, "refunded", refund), at, ingest.OrderRefunded(order, refund, amount)
    if tag in PAID and str(said.pay_type) == ON_DELIVERY:
        return Ignored("an order that is paid on delivery")
    if tag != PAID[0] and said.pay_amount is None:
        return Ignored("an order without its amount: tag 101 tells it")
    amount = fen(said.pay_amount, f"{where}.pay_amount")
    if tag == PLACED:
        at = since_epoch(said.create_time, SECOND, f"{where}.create_time")
        return ("order", order, "placed"), at, ingest.OrderPlaced(order, amount)
    at = since_epoch(said.pay_time, SECOND, f"{where}.pay_time")
    return ("order", order, "paid"), at, ingest.OrderPaid(order, amount)


def _personal(receiver: Receiver | None) -> Personal | None:
    if receiver is None:
        return None
    try:
        address = _TEXT.decode(receiver.addr)
    except UNREADABLE:
        address = None
    told = Personal(phone=_open(key(receiver.tel)), name=_open(receiver.name), address=_open(address))
    return told if told != Personal() else None


def _open(text: str | None) -> str | None:
    """What anybody can read."""
    found = label(text)
    return None if found is None or found.startswith(SEALED) else found


def answer(_delivery: Delivery, _now: datetime) -> Answer:
    """The words they wait for."""
    return _ANSWER


CONNECTOR = Connector(
    "douyin", "platform", Options, (SIGNATURE, APP), is_signed, convert, is_probe=is_probe, answer=answer
)
