"""What a try to send a message comes to: its row, whether it is tried again and when, and the event that tells of it.

Pure. What no database can make exactly once is decided here, by the guarantee of each message.
"""

from dataclasses import dataclass
from datetime import datetime

from common.contracts.envelope import Data, Event
from common.contracts.notifier import DeliveryAttempted
from common.ids import derived_id
from common.retry import Retry
from notifier import store
from notifier.channels.port import Away, Deferred, Outcome, Refused, Sent
from notifier.store import Claimed, Key, Recovered, Settled

# Of one message: after 1 s, 4 s, 16 s ... at most 5 min apart, together about half an hour.
TRIES = Retry(first_ms=1_000, factor=4.0, max_ms=300_000, max_tries=10, jitter=0.2)


@dataclass(frozen=True, slots=True)
class Unaddressed:
    """There is nothing to send the message to."""

    reason: str


Attempt = Outcome | Unaddressed


def settled(message: Claimed, attempt: Attempt, at: datetime, away_s: float) -> Settled:
    """The message's row after the attempt; `away_s` is the pause of one that found its way closed."""
    if isinstance(attempt, Away):  # the claim is given back, and was no try
        return Settled(*message.key, message.claims, message.tries - 1, "pending", attempt.reason, None, away_s)
    status, reason, pause_s = _verdict(message, attempt)
    sent_at = at if status == "sent" else None
    return Settled(*message.key, message.claims, message.tries, status, reason, sent_at, pause_s)


def report(row: Settled | Recovered, at: datetime) -> Event[Data]:
    """Tells of the claim: the same claim never gives two."""
    key: Key = (row.shop_id, row.customer_id, row.message_key)
    assert row.status in {"sent", "failed", "suppressed"}
    data = DeliveryAttempted(row.message_key, row.status, row.reason)  # type: ignore[arg-type]  # just looked at
    return Event(
        specversion="1.0",
        id=derived_id(DeliveryAttempted.TYPE, *key, str(row.claims)),
        source="regulars/notifier",
        type=data.TYPE,
        shop_id=row.shop_id,
        customer_id=row.customer_id,
        occurred_at=at,
        received_at=at,
        data=data,
    )


def _verdict(message: Claimed, attempt: Sent | Refused | Deferred | Unaddressed) -> tuple[str, str | None, float]:
    """Status, reason, and for a message that is tried again the pause before it, in seconds."""
    match attempt:
        case Sent():
            return "sent", None, 0.0
        case Refused(reason):
            return "failed", reason, 0.0
        case Unaddressed(reason):
            return "suppressed", reason, 0.0
        case Deferred(reason, in_doubt):
            said = store.IN_DOUBT + reason if in_doubt else reason
            if in_doubt and message.guarantee == store.AT_MOST_ONCE:
                return "failed", said, 0.0
            pause_s = TRIES.next(message.tries, "/".join(message.key))
            if pause_s is None:
                return "failed", f"{said} (given up after {message.tries} tries)", 0.0
            return "pending", said, pause_s
