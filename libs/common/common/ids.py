"""Identifiers: what an id may look like, which partition a customer lives in, and ids made from causes."""

from hashlib import blake2b
from typing import Annotated
from zlib import crc32

from msgspec import Meta

PARTITIONS = 24  # of every topic; fixed for good, since a customer must never change partition
MAX_ID_CHARS = 128

_PATTERN = r"^[^\s\x00-\x1f\x7f]+$"
_SAID = "An opaque id of the sender's: 1 to 128 characters, no spaces."

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS, pattern=_PATTERN, description=_SAID)]
# The same where the edge has checked it: trying the pattern again took half of all decoding.
CheckedId = Annotated[
    str, Meta(min_length=1, max_length=MAX_ID_CHARS, description=_SAID, extra_json_schema={"pattern": _PATTERN})
]


def partition_of(shop_id: str, customer_id: str) -> int:
    """The partition (0 to 23) that holds the customer's whole story, the same on every bus."""
    return crc32(f"{shop_id}/{customer_id}".encode()) % PARTITIONS


def derived_id(*parts: str) -> str:
    """An id made from what caused it: the same cause gives the same id, so a replay gives the same bytes."""
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()
