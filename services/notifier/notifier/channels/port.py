"""What a channel promises. The sender knows no more of SMS, e-mail or a mailbox than this."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from common.contracts.ingest import Channel as ChannelName
from notifier.domain.render import Text


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message ready to leave. `text` may name the person, so it goes out and is kept nowhere; `kept` never does."""

    shop_id: str
    customer_id: str
    message_key: str  # with shop and customer the idempotency key
    channel: ChannelName
    to: str  # a phone number or an e-mail address
    name: str  # the person's, or empty
    text: Text
    kept: Text
    locale: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """The channel has taken the message over."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It will never take it, so nobody tries again. The reason names nobody: it travels on the bus."""

    reason: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not this time. Unless `in_doubt` it is certain that the person got nothing. The reason names nobody."""

    reason: str
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Away:
    """The channel itself cannot be used now, whatever the message: this one did not leave, and nothing is held against
    it. The reason names nobody."""

    reason: str


Outcome = Sent | Refused | Deferred | Away


class Channel(Protocol):
    """A way out."""

    async def send(self, messages: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Tries each message once and says of each, in their order, what became of it.

        Called outside any transaction, with messages of any shops, all for this channel; it is done within
        `sender.LEASE_S`. The same key may come again after a crash: a channel that can tell, tells nobody twice. What
        it raises says nothing about the messages: they are then in doubt.
        """
