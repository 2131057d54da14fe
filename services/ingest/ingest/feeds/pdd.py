"""Pinduoduo's message service: signed in by the address, JSON to and fro, each message acknowledged by its id."""

from base64 import b64encode
from datetime import datetime
from hashlib import md5
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ingest.connectors.chinese import Key
from ingest.connectors.pinduoduo import Options
from ingest.connectors.port import UNREADABLE
from ingest.feeds.port import Handed, Malformed, Wire, millis

COMMON = "Common"


class Named(Struct, frozen=True):
    """What of a message is said again when it is acknowledged."""

    type: str | None = None
    mall_id: Key = msgspec.field(name="mallID", default=None)


class Frame(Struct, frozen=True):
    """One frame; only common ones hold a message."""

    command: str = msgspec.field(name="commandType", default="")
    id: Key = None
    sent: Key = msgspec.field(name="sendTime", default=None)
    message: Named | None = None


_FRAME = msgspec.json.Decoder(Frame)


class Pinduoduo:
    """See port.Conversation."""

    beat_s = 5.0  # as the public clients do: every 5 to 10 s
    is_open = True  # who comes to this address is let in

    def __init__(self, options: Options, secret: str) -> None:
        self._options, self._secret = options, secret

    def address(self, now: datetime) -> str:
        return self._options.address.rstrip("/") + path(self._options.client_id, self._secret, millis(now))

    def hello(self, _now: datetime) -> Wire | None:
        return None

    def heard(self, frame: Wire) -> Handed | None:
        raw = frame if isinstance(frame, bytes) else frame.encode()
        try:
            said = _FRAME.decode(raw)
        except UNREADABLE:
            raise Malformed("no frame in JSON") from None
        return Handed(raw, said if said.id is not None else None) if said.command == COMMON else None

    def beat(self, now: datetime) -> Wire:
        return _text({"commandType": "HeartBeat", "time": millis(now)})

    def confirm(self, receipt: Any, now: datetime) -> Wire:
        named = receipt.message or Named()
        told = {"commandType": "Ack", "time": millis(now), "id": receipt.id, "sendTime": receipt.sent}
        return _text(told | {"type": named.type, "mallID": named.mall_id})


def path(client_id: str, secret: str, at_ms: int) -> str:
    """Who we are, when, and base64(hex(MD5(client id + when + secret)))."""
    digest = md5(f"{client_id}{at_ms}{secret}".encode(), usedforsecurity=False).hexdigest()
    return f"/message/{client_id}/{at_ms}/{quote(b64encode(digest.encode()), safe='')}"


def _text(told: dict[str, Any]) -> str:
    return msgspec.json.encode(told).decode()
