"""A request body as its events: one object, a JSON array, or NDJSON."""

import gzip
import zlib
from io import BytesIO

import msgspec
from msgspec import Raw

from common.contracts.envelope import Rejection

NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_ARRAY = msgspec.json.Decoder(list[Raw])


def gunzip(body: bytes, max_bytes: int) -> bytes | Rejection:
    """The body unpacked, as long as it stays within `max_bytes`: a small bomb unpacks to anything."""
    try:
        with gzip.GzipFile(fileobj=BytesIO(body)) as packed:
            unpacked = packed.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        return Rejection("$", f"not gzip: {error}")
    if len(unpacked) > max_bytes:
        return Rejection("$", f"larger than {max_bytes} bytes unpacked")
    return unpacked


def split(body: bytes, content_type: str, max_events: int) -> list[bytes | Raw] | Rejection:
    """The events of a batch, not yet looked at; a single event is a batch of one."""
    media_type = content_type.partition(";")[0].strip().lower()
    events: list[bytes | Raw]
    if media_type in NDJSON:
        events = [line for line in body.split(b"\n") if line.strip()]
    elif is_array(body):
        try:
            events = list(_ARRAY.decode(body))
        except msgspec.MsgspecError as error:
            return Rejection("$", str(error))
    else:
        events = [body]
    if len(events) > max_events:
        return Rejection("$", f"{len(events)} events, at most {max_events} in a request")
    return events


def is_array(body: bytes) -> bool:
    """Whether the body is a JSON array, as its first character says."""
    return body[:64].lstrip()[:1] == b"["
