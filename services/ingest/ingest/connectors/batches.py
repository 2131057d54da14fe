"""A delivery with several messages in it: one that cannot be told of does not keep back the others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import Raw

from common.contracts.envelope import Rejection
from ingest.connectors.port import Converted, Fault, Ignored, decode

Message = TypeVar("Message")

_ARRAY = msgspec.json.Decoder(list[Raw])


def several(body: bytes, under: str = "$") -> tuple[tuple[bytes, str], ...]:
    """The messages of a body that is an array of them, or one message, each with the path to it. Raises Fault."""
    if not body.lstrip().startswith(b"["):
        return ((body, under),)
    found = decode(_ARRAY, body, under)
    return tuple((bytes(raw), f"{under}[{number}]") for number, raw in enumerate(found))


def each(messages: Sequence[Message], tell: Callable[[Message], Converted | Ignored]) -> Converted | Ignored:
    """What all of them tell, in their order; Ignored where none tells anything."""
    events: list[bytes] = []
    rejections: list[Rejection] = []
    reason = "no message in it"
    for message in messages:
        try:
            outcome = tell(message)
        except Fault as fault:
            rejections.append(fault.rejection)
            continue
        if isinstance(outcome, Ignored):
            reason = outcome.reason
        else:
            events += outcome.events
            rejections += outcome.rejections
    return Converted(tuple(events), tuple(rejections)) if events or rejections else Ignored(reason)
