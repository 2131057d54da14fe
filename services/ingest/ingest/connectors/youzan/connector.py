"""Youzan (有赞): what a push says has happened, in the sets of types of 2018 and of today.

`msg` is JSON, URL-encoded in one of two ways, or an object. A message with the whole order tells all that has happened
to it up to then; an event's id is made of order and fact, so what was told before counts once, in whatever order
messages come. `version` is compared nowhere: it is in seconds for one type and in milliseconds for another.
"""

import hmac
from hashlib import md5
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Raw, Struct

from common.contracts.envelope import Rejection
from ingest.connectors.chinese import Key, key
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
from ingest.connectors.youzan.customers import CUSTOMERS, Customer, of_customer
from ingest.connectors.youzan.orders import TYPES, of_order
from ingest.connectors.youzan.shapes import Trade

SIGNATURE, CLIENT = "event-sign", "client-id"
POINTS = "POINTS"

_ANSWER = Answer(b'{"code":0,"msg":"success"}')


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """`client_id` and `kdt_id`: take only this app's pushes, of this shop. `body_sign`: take also pushes without the
    header, by the older signature in the body, which does not cover their type."""

    client_id: str = ""
    kdt_id: str = ""
    body_sign: bool = False


class Push(Struct, frozen=True):
    """The body."""

    type: str
    msg: Raw = Raw(b"null")
    status: str | None = None
    client_id: Key = None
    kdt_id: Key = None
    msg_id: Key = None
    version: Key = None
    sign: str | None = None
    test: bool | int | str | None = None


_PUSH = msgspec.json.Decoder(Push)
_TEXT = msgspec.json.Decoder(str)
_TRADE = msgspec.json.Decoder(Trade)
_CUSTOMER = msgspec.json.Decoder(Customer)


def is_signed(delivery: Delivery, secret: str) -> bool:
    """Hex(MD5(client id + body + secret)) in the header; only where there is no such header, the older one of `msg`.

    The client id is the one the push names: nobody who lacks the secret can sign for any.
    """
    client = delivery.headers.get(CLIENT)
    if SIGNATURE in delivery.headers:
        client = client if client is not None else _client(delivery.body)
        return _is(delivery.headers[SIGNATURE], client.encode() + delivery.body, secret)
    push = _read(delivery.body)
    text = _text(push.msg) if push is not None else None
    if push is None or text is None or not push.sign:
        return False
    return _is(push.sign, (key(push.client_id) or "").encode() + text.encode(), secret)


def convert(delivery: Delivery, origin: Origin[Options]) -> Converted | Ignored:
    """What the push tells."""
    push = decode(_PUSH, delivery.body)
    options = origin.options
    if SIGNATURE not in delivery.headers and push.sign and not options.body_sign:
        raise Fault(Rejection("$.sign", "signed the older way, without Event-Sign: allow it by the option body_sign"))
    if options.client_id and key(push.client_id) not in (None, options.client_id):
        raise Fault(Rejection("$.client_id", "another app's than the source's option client_id says"))
    if push.test in (True, 1, "true", "1"):
        return Ignored("a test push")
    if options.kdt_id and key(push.kdt_id) != options.kdt_id:
        return Ignored("another shop's")
    if push.type == POINTS:
        return Ignored("points are counted here")
    if push.type in CUSTOMERS:
        customer = decode(_CUSTOMER, _msg(push), "$.msg")
        return of_customer(origin, push.type, push.status, customer, key(push.version) or key(push.msg_id))
    if push.type not in TYPES:
        return Ignored("a type that leads to no event")
    facts, buyer, personal = of_order(push.type, push.status, decode(_TRADE, _msg(push), "$.msg"))
    if not facts:
        return Ignored("a state that leads to no event")
    return Converted(
        tuple(
            event(origin, cause, None, at, data, personal if number == 0 else None, buyer)
            for number, (cause, at, data) in enumerate(facts)
        )
    )


def _msg(push: Push) -> bytes:
    """`msg` as JSON. A space is `+` or `%20`: where it is `%20`, a plus is a plus."""
    text = _text(push.msg)
    if text is None:
        return bytes(push.msg)
    if text.lstrip().startswith("{"):
        return text.encode()
    return unquote_to_bytes(text if "%20" in text else text.replace("+", " "))


def _text(msg: Raw) -> str | None:
    try:
        return _TEXT.decode(msg)
    except UNREADABLE:
        return None


def _read(body: bytes) -> Push | None:
    try:
        return _PUSH.decode(body)
    except UNREADABLE:
        return None


def _client(body: bytes) -> str:
    push = _read(body)
    return (key(push.client_id) if push is not None else None) or ""


def _is(given: str, signed: bytes, secret: str) -> bool:
    expected = md5(signed + secret.encode(), usedforsecurity=False).hexdigest()
    return hmac.compare_digest(expected.encode(), given.strip().lower().encode())


def answer(_delivery: Delivery, _now: object) -> Answer:
    """The words they wait for."""
    return _ANSWER


CONNECTOR = Connector("youzan", "platform", Options, (SIGNATURE, CLIENT), is_signed, convert, answer=answer)
