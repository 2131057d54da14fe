"""The CloudEvents 1.0 envelope (JSON structured mode) that every event of the house travels in.

Source: CloudEvents 1.0.2, sections 3.1 (attributes) and 3.2 (extensions). A sequence is known
only once a row is committed, so it travels beside the body, as a bus header.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, TypeVar, cast

import msgspec
from msgspec import Meta, Raw, Struct, field, structs

from common.ids import CheckedId

Time = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset.")]


class Data(Struct, frozen=True, omit_defaults=True):
    """What an event says. A reader ignores fields it does not know; the edge refuses them (see `strict`)."""

    TYPE: ClassVar[str]


class Envelope(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The attributes of an event, under our names; the wire names are those of CloudEvents."""

    specversion: Annotated[str, Meta(extra_json_schema={"pattern": "^1\\.0$"})]  # checked at the edge, as the ids are
    id: CheckedId
    source: CheckedId
    type: str
    shop_id: CheckedId = field(name="shopid")
    customer_id: CheckedId = field(name="subject")
    occurred_at: Time = field(name="time")  # what the sender claims
    received_at: Time = field(name="receivedat")  # stamped once, at the edge; the time everything is decided at
    causation_id: str = field(name="causationid", default="")
    trace_parent: str = field(name="traceparent", default="")
    historic: bool = False  # an import: states change, nobody is messaged
    passed_on: int = field(name="passedon", default=0)  # by so many customers, each merged into the next


D_co = TypeVar("D_co", bound=Data, covariant=True)


class Event(Envelope, Generic[D_co], frozen=True, kw_only=True):
    """A decoded event."""

    data: D_co


Skimmed = Event[Any]  # its data is still raw


class Rejection(Struct, frozen=True):
    """Why something was not taken: `path` is a JSON path to the fault, `reason` a sentence for the sender."""

    path: str
    reason: str


_SKIMMED = msgspec.json.Decoder(Event[Raw])  # type: ignore[type-var]
_ENVELOPE = msgspec.json.Decoder(Envelope)
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_ENCODER = msgspec.json.Encoder()


def encode(event: Event[Data]) -> bytes:
    """The event as its bytes on the bus."""
    return _ENCODER.encode(event)


def is_historic(body: bytes) -> bool:
    """Whether the bytes are an event out of an import; no, where they are no event."""
    try:
        return _ENVELOPE.decode(body).historic
    except _FAULTS:
        return False


class Decoder:
    """Decodes the events of the types it was made for."""

    def __init__(self, types: tuple[type[Data], ...]) -> None:
        self._data = {t.TYPE: msgspec.json.Decoder(t) for t in types}

    def decode(self, body: bytes) -> Event[Data] | Rejection:
        """Bytes to an event; what is not one comes back as a Rejection, never as an exception."""
        skimmed = self.skim(body)
        return skimmed if isinstance(skimmed, Rejection) else self.open(skimmed)

    def skim(self, body: bytes) -> Skimmed | Rejection:
        """The envelope alone: enough to pass over what nobody heeds, at a quarter of the cost."""
        try:
            event: Skimmed = _SKIMMED.decode(body)
        except _FAULTS as error:
            return rejection(error)
        return event if event.type in self._data else Rejection("$.type", f"unknown event type {event.type!r}")

    def open(self, skimmed: Skimmed) -> Event[Data] | Rejection:
        """Decodes the data in place, since a copy would cost as much again: what went in is what comes out."""
        try:
            structs.force_setattr(skimmed, "data", self._data[skimmed.type].decode(skimmed.data))
        except _FAULTS as error:
            return rejection(error, under="$.data")
        return skimmed


def rejection(error: Exception, under: str = "$") -> Rejection:
    """msgspec's `reason - at `$.path`` as a Rejection whose path starts at `under`."""
    reason, _, path = str(error).partition(" - at `")
    return Rejection(under + path.rstrip("`").removeprefix("$"), reason)


def strict(data_type: type[Data]) -> type[Data]:
    """The same type for the edge: it refuses fields it does not know, so that a typo is heard."""
    made = msgspec.defstruct(
        data_type.__name__, [], bases=(data_type,), frozen=True, forbid_unknown_fields=True, omit_defaults=True
    )
    return cast(type[Data], made)
