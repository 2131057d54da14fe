"""What is kept of a customer: which messages were asked for, which of them wait for the sender, which are settled."""

from datetime import datetime

from msgspec import Struct

from common.contracts.ingest import Channel, Purpose

MAX_KEYS = 500  # message keys remembered, the newest; a repeat of an older one is refused by the table of messages
MAX_PENDING = 50  # messages waiting for the sender; what comes on top is suppressed
MAX_SETTLED = 16  # of the messages settled last; more in one batch, and the batch is taken message by message


class Message(Struct, frozen=True, omit_defaults=True):
    """One message to the customer. `number` counts them from 1: it tells a row of its own from a namesake's."""

    number: int
    message_key: str
    channel: Channel
    purpose: Purpose
    journey: str
    step: str
    template: str
    params: dict[str, str | int]
    requested_at: datetime


class State(Struct, frozen=True, omit_defaults=True):
    """`settled` is kept for the rows of the batch that settled them. Who never said anything about a channel is told;
    `refused` stays after an erasure, so that a no is never forgotten."""

    accepted: int = 0
    keys: tuple[str, ...] = ()
    pending: tuple[Message, ...] = ()
    settled: tuple[Message, ...] = ()
    refused: tuple[tuple[Channel, Purpose], ...] = ()  # sorted; what the customer last said no to
    erased_up_to: int = 0  # the number of the last message before the person asked to be forgotten
