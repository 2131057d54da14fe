"""The edge's own decisions, in the transaction that writes the events: whose each is, and what it comes to.

First people: an event's names lead to one person, and two people who turn out to be one are merged. Then things: a
whole cart becomes what was added and removed, payments become a paid order, and what comes late stays without effect.
"""

from collections.abc import Sequence
from datetime import datetime

from common.db.engine import Connection
from ingest import belongings, things
from ingest.domain.accept import Accepted
from ingest.people import People
from ingest.vault import Vault


async def settle(
    connection: Connection, vault: Vault, people: People, taken: Sequence[Accepted], received_at: datetime
) -> list[Accepted]:
    """What is told of the new events, in their order, each under the id of its person."""
    known = await people.settle(connection, taken, received_at)
    told = await things.settle(connection, known.told, received_at)
    await belongings.move(connection, vault, known.moves)  # last, as all that touches the vault
    return told
