"""Events decided and saved as the road does, without a bus: for tests of what is answered afterwards."""

import asyncpg

from common.batch import Batch, Codec
from common.bus.port import Mark, Message
from common.contracts.envelope import Data, Event, encode
from common.contracts.topics import INGEST_EVENTS
from common.db import outbox, states
from common.ids import partition_of
from common.service import Service
from segmentation.domain.profile.state import Profile


async def tell(service: Service[Profile], pool: asyncpg.Pool, *events: Event[Data]) -> None:
    """All of them in one batch, and in a further one what they sent to other customers."""
    messages = [
        Message(INGEST_EVENTS.name, partition_of(x.shop_id, x.customer_id), Mark(1, number), "", encode(x))
        for number, x in enumerate(events)
    ]
    batch = Batch(service, Codec(service), messages)
    async with pool.acquire() as connection, connection.transaction():
        bodies = await states.load(connection, list(batch.events))
        for key in batch.events:
            batch.decide(key, bodies.get(key))
        assert not batch.letters, batch.letters
        await states.save(connection, batch.state_rows())
        await service.project(connection, batch.saved)
        facts = [fact for saved in batch.saved for fact in saved.facts]
        await outbox.write(connection, [outbox.row(service.writes.name, fact) for fact in facts])
    if batch.sent:
        await tell(service, pool, *batch.sent)
