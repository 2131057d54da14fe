"""A request body as its events: one object, a JSON array, or NDJSON; packed with gzip or not."""

import gzip
import re
import zlib
from collections.abc import Sequence
from io import BytesIO
from itertools import islice
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from common.contracts.envelope import Rejection
from ingest.domain.refusal import refusal

NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
# None named, one that says JSON, or the one that curl names by itself whatever it sends.
JSON = re.compile(r"|(application|text)/([\w.-]+\+)?json|application/x-www-form-urlencoded")
GZIP = ("gzip", "x-gzip")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some tools begin UTF-8 with it

_ARRAY = msgspec.json.Decoder(list[Raw])
_FIRST = re.compile(rb"\S")


class Body(Struct, frozen=True):
    """A request's events, not yet looked at. `single`: one was sent as itself, and is answered as itself."""

    events: Sequence[bytes | Raw]
    single: bool


class Unreadable(Struct, frozen=True):
    """Why nothing can be taken from a request."""

    kind: Literal["malformed", "too_large", "unsupported"]
    reason: str


def unpack(body: bytes, encoding: str, max_bytes: int) -> bytes | Unreadable:
    """The body without its content-encoding, as long as it stays within `max_bytes`: a bomb unpacks to anything."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in GZIP:
        return Unreadable("unsupported", f"content-encoding {encoding!r}: expected gzip, or none")
    try:
        with gzip.GzipFile(fileobj=BytesIO(body)) as packed:
            unpacked = packed.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        return Unreadable("malformed", f"not gzip: {error}")
    if len(unpacked) > max_bytes:
        return Unreadable("too_large", f"larger than {max_bytes} bytes unpacked")
    return unpacked


def split(body: bytes, content_type: str, max_events: int) -> Body | Unreadable:
    """At least one event and at most `max_events`. Nothing is taken of an array that is cut off or malformed."""
    media_type = content_type.partition(";")[0].strip().lower()
    body = body.removeprefix(BYTE_ORDER_MARK)
    events: Sequence[bytes | Raw] | Rejection
    if media_type in NDJSON:
        lines = (line for line in BytesIO(body) if not line.isspace())
        single, events = False, list(islice(lines, max_events + 1))
    elif not JSON.fullmatch(media_type):
        return Unreadable("unsupported", f"content-type {media_type!r}: expected application/json or {NDJSON[0]}")
    else:
        first = _FIRST.search(body)
        single = first is None or first[0] != b"["
        events = ([body] if first else []) if single else _elements(body)
    if isinstance(events, Rejection):
        return Unreadable("malformed", events.reason)
    if not events:
        return Unreadable("malformed", "no events: expected one, a JSON array of them, or one on each line (NDJSON)")
    if len(events) > max_events:
        return Unreadable("too_large", f"more than {max_events} events in a request")
    return Body(events, single)


def _elements(body: bytes) -> list[Raw] | Rejection:
    try:
        return _ARRAY.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        return refusal(error)
