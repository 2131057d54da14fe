"""What carts and orders make of their events."""

from collections.abc import Sequence
from datetime import datetime

from common.db.engine import Connection
from ingest.domain.accept import Accepted


async def settle(connection: Connection, known: Sequence[Accepted], received_at: datetime) -> list[Accepted]:
    """What is told of the events, in their order."""
    return list(known)
