"""What an operator says of people: that two are one, or that they were merged by mistake. On the one road, as events
that no sender can tell, so that they stand in the order of all others."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import structs

from common.contracts.envelope import Data, Event
from common.contracts.ingest import CustomerMerged, CustomerSplit
from common.db.engine import Connection
from common.telemetry import metrics
from ingest.domain.accept import Accepted
from ingest.domain.linking import Name
from ingest.people import store as people_store
from ingest.people.belongings import Carried, Move, Returned
from ingest.people.settled import Settled
from ingest.people.store import Cause, Merged
from ingest.store import Overtaken

OPERATOR = "operator"  # as a source, and in place of a name's kind


def is_operated(event: Event[Data]) -> bool:
    """Whether it is said by an operator."""
    return isinstance(event.data, CustomerMerged | CustomerSplit)


async def settle(connection: Connection, taken: Sequence[Accepted], now: datetime) -> Settled:
    """Does what operators say; what is so already, or was never so, is not told. Raises Overtaken."""
    settled = Settled([], [])
    for each in taken:
        match each.event.data:
            case CustomerMerged(into=into):
                move: Move | None = await _merge(connection, each.event, into, now)
            case CustomerSplit():
                move = await _split(connection, each.event, now)
            case _:
                continue
        if move is not None:
            settled.moves.append(move)
            settled.told.append(_told(each, move))
    return settled


async def _merge(connection: Connection, event: Event[Data], into: str, now: datetime) -> Carried | None:
    shop_id = event.shop_id
    going = await people_store.family_to_change(connection, shop_id, event.customer_id)
    staying = await people_store.family_to_change(connection, shop_id, into)
    gone, stays = next(iter(going)), next(iter(staying))
    if gone == stays:
        return None
    await people_store.hold(connection, shop_id, (gone, stays))
    await people_store.bring_together(connection, shop_id, list(going), list(staying))
    cause = Cause(event.source, event.id)
    await people_store.merge(connection, shop_id, [Merged(gone, stays, stays, Name(OPERATOR, ""), cause)], now)
    metrics.INGEST_MERGES.inc()
    return Carried(shop_id, gone, stays)


async def _split(connection: Connection, event: Event[Data], now: datetime) -> Returned | None:
    shop_id, gone = event.shop_id, event.customer_id
    family = await people_store.family_to_change(connection, shop_id, gone)
    out_of = next(iter(family))
    if gone == out_of or gone not in family:
        return None
    await people_store.hold(connection, shop_id, (out_of,))
    if await people_store.family_to_change(connection, shop_id, gone) != family:
        raise Overtaken
    parent = family[gone]
    assert parent is not None
    of = below(family, gone)
    await people_store.split(connection, shop_id, gone, [each for each in of if each != gone], parent, now)
    return Returned(shop_id, gone, out_of, of, tuple(each for each in family if each not in of))


def below(family: Mapping[str, str | None], customer_id: str) -> tuple[str, ...]:
    """The id, and all that were merged into it, one way or another."""
    found = [customer_id]
    for each in found:  # grows while it is gone through
        found.extend(child for child, parent in family.items() if parent == each)
    return tuple(found)


def _told(said: Accepted, move: Move) -> Accepted:
    """What was done: of whom it was true in the end."""
    data: Data = CustomerMerged(move.into) if isinstance(move, Carried) else CustomerSplit(move.out_of)
    return structs.replace(said, event=structs.replace(said.event, customer_id=move.gone, data=data))
