"""How what is taken is counted: by the door it came by, what became of it, and why it was refused."""

from common.contracts.envelope import Rejection
from common.telemetry import metrics
from ingest.connectors.port import NO_CUSTOMER

OUTCOMES = ("accepted", "duplicate", "rejected")
# Paths of refusals that are a class of their own; all others lead into one of the fields.
REASONS = {
    "$": "malformed",
    "$.type": "unknown_type",
    "$.time": "bad_time",
    "$.shopid": "unknown_shop",
    "$.subject": "bad_customer",
}
NOBODY, FIELD = "no_customer", "invalid_field"


def start_counting(connector: str) -> None:
    """At 0 from the start: of a series that begins at 1 nobody sees the first."""
    for outcome in OUTCOMES:
        metrics.INGEST_EVENTS.labels(connector, outcome)
    for reason in (*REASONS.values(), NOBODY, FIELD):
        metrics.INGEST_REJECTIONS.labels(connector, reason)


def reason_of(rejection: Rejection) -> str:
    """The class that a refusal is counted in."""
    return NOBODY if rejection.reason.startswith(NO_CUSTOMER) else REASONS.get(rejection.path, FIELD)
