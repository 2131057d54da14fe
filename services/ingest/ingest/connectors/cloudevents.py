"""CloudEvents over HTTP, in its binary, structured and batched form, as events in our own.

Source: CloudEvents 1.0.2, HTTP protocol binding and JSON format. Ours are CloudEvents too, so little is left to do:
headers become attributes, a type loses what the sender wrote before our name for it, other extensions are left out.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from common.contracts import ingest
from ingest.domain.refusal import refusal
from ingest.domain.split import BYTE_ORDER_MARK, Body, Unreadable

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
EVERY_FORM = "application/cloudevents"  # what all their media types begin with
HEADER = "ce-"
REQUIRED = ("id", "source", "type", "specversion")
# Attributes and extensions that we heed; those of people may also stand in the data, where every SDK can put them.
OF_PEOPLE = ("personal", "identities")
OURS = (*REQUIRED, "subject", "time", "datacontenttype", "shopid", "traceparent", "data", *OF_PEOPLE)
JSON = re.compile(r"(application|text)/([\w.-]+\+)?json\b.*", re.IGNORECASE)
PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
QUOTED = re.compile(r'"(.*)"', re.DOTALL)
VERSION = ".v1"  # as our schemas are named

_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_ARRAY = msgspec.json.Decoder(list[Raw])
_TEXT = msgspec.json.Decoder(str)
_ENCODER = msgspec.json.Encoder()
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_TYPES = frozenset(data.TYPE for data in ingest.FROM_SENDERS)


def is_cloud_event(headers: Mapping[str, str]) -> bool:
    """Whether a request says that it speaks CloudEvents, in any form."""
    return _media_type(headers).startswith(EVERY_FORM) or HEADER + "specversion" in headers


def read(body: bytes, headers: Mapping[str, str], max_events: int) -> Body | Unreadable:
    """The request's events, in our own form; what is wrong in one of them is left for `accept` to say."""
    body = body.removeprefix(BYTE_ORDER_MARK)
    match _media_type(headers):
        case media_type if media_type == STRUCTURED:
            try:
                _FIELDS.decode(body)
            except _FAULTS as error:
                return Unreadable("malformed", refusal(error).reason)
            return Body([ours(body)], single=True)
        case media_type if media_type == BATCHED:
            return _batch(body, max_events)
        case media_type if media_type.startswith(EVERY_FORM):
            return Unreadable("unsupported", f"content-type: expected {STRUCTURED} or {BATCHED}")
        case _:
            return _binary(body, headers)


def ours(event: bytes) -> bytes:
    """An event in CloudEvents' JSON format as one that our own door takes; what is no event comes back as it is."""
    try:
        said = _FIELDS.decode(event)
    except _FAULTS:
        return event
    fields = {name: said[name] for name in OURS if name in said and bytes(said[name]).strip() != b"null"}
    if "data" not in fields and "data_base64" in said:
        fields["data"] = _unpacked(said["data_base64"])
    for name, plain in (("type", our_type), ("datacontenttype", _content_type)):
        if (text := _text(fields.get(name))) is not None:
            fields[name] = Raw(_ENCODER.encode(plain(text)))
    for name in OF_PEOPLE:
        if name not in fields and "data" in fields:
            fields |= _parted(fields["data"], name)
    return _ENCODER.encode(fields)


def our_type(said: str) -> str:
    """com.example.order.placed and order.placed.v1 are our order.placed; what is none of ours comes back as it is."""
    parts = said.removesuffix(VERSION).rsplit(".", 2)
    for name in (".".join(parts[-2:]), parts[-1]):  # ours have one part or two
        if name in _TYPES:
            return name
    return said


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _batch(body: bytes, max_events: int) -> Body | Unreadable:
    try:
        events = _ARRAY.decode(body)
    except _FAULTS as error:
        return Unreadable("malformed", refusal(error).reason)
    if not events:
        return Unreadable("malformed", "no events")
    if len(events) > max_events:
        return Unreadable("too_large", f"more than {max_events} events in a request")
    return Body([ours(bytes(event)) for event in events], single=False)


def _binary(body: bytes, headers: Mapping[str, str]) -> Body | Unreadable:
    """Attributes from the headers; the body is the data, of the content-type's kind."""
    fields: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith(HEADER) and (attribute := name.removeprefix(HEADER)) in OURS:
            text = header_text(value)
            if text is None:
                return Unreadable("malformed", f"header {name}: not UTF-8 once its percent signs are read")
            fields[attribute] = text
    if "content-type" in headers:
        fields["datacontenttype"] = headers["content-type"]
    if body.strip():
        try:
            msgspec.json.decode(body)
        except _FAULTS as error:
            return Unreadable("malformed", refusal(error).reason)
        fields["data"] = Raw(body)
    return Body([ours(_ENCODER.encode(fields))], single=True)


def header_text(value: str) -> str | None:
    """What a header's value means: quotes taken off, percent signs read, as UTF-8; None where it is none.

    `value` is a header as the server gives it, each byte a character.
    """
    if quoted := QUOTED.fullmatch(value.strip()):
        value = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    try:
        packed = value.encode("latin-1")
        return PERCENT.sub(lambda match: bytes([int(match[1], 16)]), packed).decode()
    except UnicodeError:
        return None


def _text(raw: Raw | None) -> str | None:
    try:
        return None if raw is None else _TEXT.decode(raw)
    except _FAULTS:
        return None  # `accept` says what it should have been


def _content_type(said: str) -> str:
    """Any JSON is JSON to us, whatever a sender calls its dialect."""
    return "application/json" if JSON.fullmatch(said.strip()) else said


def _unpacked(packed: Raw) -> Raw:
    """The JSON in base64; where it is none, the text as it came, which no type takes for its data."""
    try:
        plain = b64decode(_TEXT.decode(packed), validate=True)
        msgspec.json.decode(plain)
    except (*_FAULTS, ValueError):
        return packed
    return Raw(plain)


def _parted(data: Raw, name: str) -> Mapping[str, Raw]:
    """Data without what it says of the person, which is no part of it."""
    try:
        fields = _FIELDS.decode(data)
    except _FAULTS:
        return {}
    part = fields.pop(name, None)
    return {} if part is None else {name: part, "data": Raw(_ENCODER.encode(fields))}
