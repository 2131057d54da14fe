"""The edge's own decisions, in the transaction that writes the events: whose each is, and what it comes to.

First people: an event's names lead to one person, and two people who turn out to be one are merged. Then things: a
whole cart becomes what was added and removed, payments become a paid order, and a fact of an order that is told again
is told once. What comes late is told, and marked as late in the order's row: domain/orders.py. Between the two, what
classes an event brings is told beside it where that is news of its person.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from common.db.engine import Connection
from ingest.classes import settling as classes
from ingest.domain.accept import Accepted
from ingest.people import belongings
from ingest.people.settling import Callings, People
from ingest.things import settling as things
from ingest.vault import Vault


class Decided(Struct, frozen=True):
    """New events, each under the id of its person, and what is told of them: both in their order. What is told of
    none of them is known all the same: its personal part belongs to the vault."""

    known: Sequence[Accepted]
    told: Sequence[Accepted]


async def settle(
    connection: Connection, vault: Vault, people: People, called: Callings, received_at: datetime
) -> Decided:
    """Whose the events are and what they come to."""
    found = await people.settle(connection, called, received_at)
    told = await classes.settle(connection, found.told, received_at)
    told = await things.settle(connection, told, received_at)
    await belongings.move(connection, vault, found.moves)  # last, as all that touches the vault
    return Decided(found.told, told)
