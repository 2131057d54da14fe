"""What a connector is: pure functions from a platform's delivery to events as senders give them.

A delivery that brings nothing for us is Ignored; one that cannot be converted is a Rejection, and is kept sealed. Ids
are derived from the source and from what happened, never from the delivery: platforms repeat themselves, and the same
delivery converted again, after a repair, gives the same ids.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from common.contracts.envelope import Data, Rejection
from common.ids import derived_id
from ingest.domain.accept import Identities, Identity, Personal
from ingest.domain.refusal import refusal

NO_CUSTOMER = "names no customer"  # how the reason begins when nobody can tell whose it is
SIGNED_TIME_WITHIN = timedelta(minutes=5)  # as Standard Webhooks have it: for clocks that differ
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

Opts = TypeVar("Opts", bound=Struct)
T = TypeVar("T")


class Delivery(Struct, frozen=True):
    """One call of a platform: the raw body, the headers that its connector heeds (names in lower case), the query."""

    body: bytes
    headers: Mapping[str, str] = {}
    query: Mapping[str, str] = {}


class Origin(Struct, Generic[Opts], frozen=True):
    """Whose delivery it is. `pseudonym` makes an id of personal data that tells nobody anything about it."""

    source_id: str
    options: Opts
    pseudonym: Callable[[str], str]


class PrivacyRequest(Struct, frozen=True):
    """What a platform passes on of a person's rights: show all that is kept, forget it, or forget the whole source.
    `reference` is the same at every try of one request, and another for the next one."""

    kind: Literal["export", "erase", "erase_shop"]
    names: tuple[Identity, ...]
    reference: str


class Converted(Struct, frozen=True):
    """Events as senders give them, oldest first, what of the delivery could not be converted, and what it asks for
    beside events."""

    events: tuple[bytes, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    requests: tuple[PrivacyRequest, ...] = ()


class Ignored(Struct, frozen=True):
    """Genuine, and nothing that we tell anybody about."""

    reason: str


class Answer(Struct, frozen=True):
    """What the platform takes as success."""

    body: bytes = b"{}"
    status: int = 200
    media_type: str = "application/json"


class Fault(Exception):
    """Raised inside of a connector; comes out of it as a Rejection."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.reason)
        self.rejection = rejection


Outcome = Converted | Ignored | Rejection


def _never(_delivery: Delivery) -> bool:
    return False


def _unsaid(_delivery: Delivery) -> datetime | None:
    return None


def _plainly(_delivery: Delivery, _now: datetime) -> Answer:
    return Answer()


class Connector(Struct, Generic[Opts], frozen=True):
    """One platform. `secrets_by` says who makes the secret: we, or the platform, which then tells it to the shop."""

    kind: str
    secrets_by: Literal["us", "platform"]
    options: type[Opts]
    heeds: tuple[str, ...]  # headers, in lower case
    is_signed: Callable[[Delivery, str], bool]
    convert: Callable[[Delivery, Origin[Opts]], Converted | Ignored]  # may raise Fault
    is_probe: Callable[[Delivery], bool] = _never  # an unsigned call that only asks whether anybody is there
    may_be_unsigned: Callable[[Delivery, Opts], bool] = lambda _delivery, _options: False
    answer: Callable[[Delivery, datetime], Answer] = _plainly
    # When the platform says that it sent this, where it does; a delivery further than `within` from now is not taken,
    # so that a call that somebody overheard cannot be sent again later. A signed time of each try may be held to
    # minutes; a time that stays the same while the platform tries again must allow for all of its tries.
    sent_at: Callable[[Delivery], datetime | None] = _unsaid
    within: timedelta = SIGNED_TIME_WITHIN

    def read(self, delivery: Delivery, origin: Origin[Opts]) -> Outcome:
        """What the delivery says; never raises for what is in it."""
        try:
            return self.convert(delivery, origin)
        except Fault as fault:
            return fault.rejection


def decode(decoder: "msgspec.json.Decoder[T]", body: bytes, under: str = "$") -> T:
    """The body as the decoder's type. Raises Fault, in words that repeat nothing of it."""
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise Fault(refusal(error, under)) from None


def event(
    origin: Origin[Any],
    cause: tuple[str, ...],
    customer_id: str | None,
    at: datetime | None,
    data: Data,
    personal: Personal | None = None,
    identities: Identities | None = None,
) -> bytes:
    """One event as a sender gives it; what caused it makes its id. Without a time of its own it happens now. A
    platform's buyer is named under `identities`; `customer_id` is for the shop's own ids alone."""
    told: dict[str, object] = {
        "id": derived_id(origin.source_id, *cause),
        "source": origin.source_id,
        "type": data.TYPE,
        "data": data,
    }
    told |= {"time": at} if at is not None else {}
    told |= {"subject": customer_id} if customer_id is not None else {}
    told |= {"personal": personal} if personal is not None else {}
    told |= {"identities": identities} if identities is not None else {}
    return msgspec.json.encode(told)
