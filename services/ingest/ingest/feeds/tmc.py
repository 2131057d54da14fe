"""Taobao's message channel (TMC): signed in once, then asked for messages again and again, each confirmed by its id."""

from datetime import datetime, timedelta
from hashlib import md5
from typing import Any

import msgspec

from ingest.connectors.chinese import BEIJING, EPOCH, WRITTEN
from ingest.connectors.taobao.connector import Options
from ingest.feeds.port import Handed, Malformed, Refused, Wire, millis
from ingest.feeds.tmc_frames import (
    CONFIRM,
    CONNECT,
    CONNECTACK,
    DATA,
    KIND,
    PULL,
    SEND,
    Date,
    Frame,
    Value,
    decode,
    encode,
)

SDK = "regulars"
# What a message's fields are called here and by those who pass messages on.
FIELDS = {"topic": "topic", "content": "content", "id": "id", "userid": "user_id", "nick": "user_nick"}
PUBLISHED = "time"


class Tmc:
    """See port.Conversation."""

    beat_s = 5.0  # as the public clients do

    def __init__(self, options: Options, secret: str) -> None:
        self._options, self._secret = options, secret
        self._token: str | None = None

    @property
    def is_open(self) -> bool:
        return self._token is not None

    def address(self, _now: datetime) -> str:
        return self._options.address

    def hello(self, now: datetime) -> Wire:
        signed = {
            "app_key": self._options.app_key,
            "group_name": self._options.group,
            "timestamp": str(millis(now)),
        }
        return encode(Frame(CONNECT, {**signed, "sign": signature(signed, self._secret), "sdk": SDK}))

    def heard(self, frame: Wire) -> Handed | None:
        if isinstance(frame, str):
            raise Malformed("a text")
        said = decode(frame)
        if said.type == CONNECTACK:
            if said.code or not said.token:
                raise Refused(said.phrase or f"status {said.code}, no token")
            self._token = said.token
            return None
        if said.type != SEND or said.values.get(KIND) != DATA:
            return None
        return Handed(_body(said), said.values.get("id"))

    def beat(self, _now: datetime) -> Wire:
        return encode(Frame(SEND, {KIND: PULL}, token=self._token))

    def confirm(self, receipt: Any, _now: datetime) -> Wire:
        return encode(Frame(SEND, {KIND: CONFIRM, "id": receipt}, token=self._token))


def signature(signed: dict[str, str], secret: str) -> str:
    """UPPER(MD5(secret, each name and value in order, secret))."""
    text = secret + "".join(name + value for name, value in signed.items()) + secret
    return md5(text.encode(), usedforsecurity=False).hexdigest().upper()


def _body(said: Frame) -> bytes:
    """The message as those write it who pass messages on."""
    told: dict[str, object] = {ours: _plain(said.values[name]) for name, ours in FIELDS.items() if name in said.values}
    if published := _published(said.values.get(PUBLISHED)):
        told["pub_time"] = published
    return msgspec.json.encode(told)


def _plain(value: Value) -> object:
    match value:
        case bytes():
            return value.decode(errors="replace")
        case Date(ms):
            return ms
        case _:
            return value


def _published(value: Value) -> str | None:
    """When it was published, as Taobao writes times."""
    ms = value.ms if isinstance(value, Date) else value
    if not isinstance(ms, int):
        return ms if isinstance(ms, str) else None
    try:
        return (EPOCH + timedelta(milliseconds=ms)).astimezone(BEIJING).strftime(WRITTEN)
    except OverflowError:
        return None
