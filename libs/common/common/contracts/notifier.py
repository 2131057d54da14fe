"""`notifier.deliveries.v1`: what became of each message; and notifier's own work: what its sender reports back."""

from typing import ClassVar, Literal

from common.contracts.envelope import Data
from common.contracts.ingest import Channel
from common.ids import Id


class MessageOutcome(Data, frozen=True):
    """The message the fact is about; `reason` says why where it went wrong or was held back."""

    message_key: Id
    channel: Channel
    journey: Id
    step: Id
    reason: str | None = None


class MessageSent(MessageOutcome, frozen=True):
    """Handed to the channel, once."""

    TYPE: ClassVar[str] = "message.sent"


class MessageDelivered(MessageOutcome, frozen=True):
    """The channel says it arrived."""

    TYPE: ClassVar[str] = "message.delivered"


class MessageOpened(MessageOutcome, frozen=True):
    """The person opened it."""

    TYPE: ClassVar[str] = "message.opened"


class MessageClicked(MessageOutcome, frozen=True):
    """The person followed its link."""

    TYPE: ClassVar[str] = "message.clicked"


class MessageFailed(MessageOutcome, frozen=True):
    """It was not sent, or nobody can say (`reason` begins with "in doubt")."""

    TYPE: ClassVar[str] = "message.failed"


class MessageSuppressed(MessageOutcome, frozen=True):
    """It was not to be sent: no consent, no address, too late."""

    TYPE: ClassVar[str] = "message.suppressed"


class ContactUnsubscribed(Data, frozen=True):
    """The person opted out by answering on a channel."""

    TYPE: ClassVar[str] = "contact.unsubscribed"
    channel: Channel


class DeliveryAttempted(Data, frozen=True):
    """Work for notifier itself: how its sender fared with one message."""

    TYPE: ClassVar[str] = "delivery.attempted"
    message_key: Id
    outcome: Literal["sent", "failed", "suppressed"]
    reason: str | None = None


EVENTS: tuple[type[Data], ...] = (
    MessageSent,
    MessageDelivered,
    MessageOpened,
    MessageClicked,
    MessageFailed,
    MessageSuppressed,
    ContactUnsubscribed,
)
WORK: tuple[type[Data], ...] = (DeliveryAttempted,)
