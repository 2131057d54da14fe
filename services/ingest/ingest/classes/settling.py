"""How classes are told as events are written: domain/telling_classes.py decides, on what was told last of the customers
of the flush (store.py)."""

from collections.abc import Sequence
from datetime import datetime

from common.db.engine import Connection
from ingest.classes import store
from ingest.domain.accept import Accepted
from ingest.domain.telling_classes import MergedMeanwhile, ToldOf, concerned
from ingest.store import Overtaken


async def settle(connection: Connection, known: Sequence[Accepted], received_at: datetime) -> list[Accepted]:
    """The events, and what is told beside them, in their order. Raises Overtaken."""
    keys = {key for each in known for key in concerned(each)}
    if not keys:
        return list(known)
    before = await store.lock(connection, keys)
    told = ToldOf({key: each.told for key, each in before.items()}, received_at)
    try:
        events = [event for each in known for event in told.hear(each)]
    except MergedMeanwhile:
        raise Overtaken from None
    unknown = store.KnownTold()
    changed = told.changed.items()
    await store.save(connection, {k: store.KnownTold(each, before.get(k, unknown).revision) for k, each in changed})
    return events
