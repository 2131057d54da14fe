"""The least that does a road's durable work: decode, read and write one row per customer, facts, marks, one commit.

It decides nothing: it counts. But it reads from the same source in the same batches, passes over what the service
passes over, writes the same number of rows of about the same size into the same tables, and they are as durable.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from zlib import crc32

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from common.contracts.envelope import Event
from common.contracts.topics import Topic
from common.db.engine import Connection
from common.db.tables import view_of
from common.ids import PARTITIONS, partition_of
from regulars.bench.road_stage import Sample, now
from regulars.bench.road_work import Work

READ = """
SELECT m.part, o.xid::text::bigint, o.id, o.body
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS m (part, xid, id)
CROSS JOIN LATERAL (SELECT * FROM {view} AS o WHERE o.part = m.part AND (o.xid, o.id) > (m.xid::text::xid8, m.id)
    ORDER BY o.xid, o.id LIMIT $4) AS o
"""
MARK = """
INSERT INTO marks (topic, part, xid, id) SELECT $1, part, xid::text::xid8, id
FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) AS m (part, xid, id)
ON CONFLICT (topic, part) DO UPDATE SET xid = EXCLUDED.xid, id = EXCLUDED.id
"""
LOAD = """
SELECT s.customer_id, s.body FROM unnest($1::text[], $2::text[]) AS k (shop_id, customer_id)
JOIN states s USING (shop_id, customer_id) FOR UPDATE OF s
"""
SAVE = """
INSERT INTO states (shop_id, customer_id, part, body, wake_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::json[], $5::timestamptz[])
ON CONFLICT (shop_id, customer_id) DO UPDATE SET body = EXCLUDED.body, wake_at = EXCLUDED.wake_at
"""
SAY = """
INSERT INTO outbox (topic, part, key, body) SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[], $4::bytea[])
"""

Rows = Sequence[tuple[int, int, int, bytes]]  # part, xid, id, body


class Bare(Struct):
    """All that is kept of a customer."""

    count: int
    at: datetime
    wake_at: datetime | None
    padding: str = ""


class BareRoad:
    """On one connection of the service's role, whose tables are empty."""

    def __init__(self, connection: Connection, topic: Topic, work: Work) -> None:
        self._connection, self._topic, self._work = connection, topic, work
        self._wire = msgspec.json.Decoder(Event[msgspec.Raw])  # type: ignore[type-var]  # its data is decoded apart
        self._data = {data.TYPE: msgspec.json.Decoder(data) for data in work.heeded.values()}
        self._state, self._encoder = msgspec.json.Decoder(Bare), msgspec.json.Encoder()
        self.done = 0
        self._changes = 0.0

    async def run(self, batches: AsyncIterator[Rows]) -> list[Sample]:
        """Applies the batches of (part, xid, id, body) until all events are done."""
        samples = [now(0)]
        async for batch in batches:
            async with self._connection.transaction():
                await self._apply(batch)
            samples.append(now(self.done))
            if self.done >= self._work.events:
                break
        return samples

    async def from_postgres(self, batch_max: int) -> AsyncGenerator[Rows, None]:
        """The owner's outbox, a few rows of every partition at a time, as the PostgreSQL bus reads it."""
        read, marks = READ.format(view=view_of(self._topic.name)), dict.fromkeys(range(PARTITIONS), (0, 0))
        while True:
            xids, ids = [mark[0] for mark in marks.values()], [mark[1] for mark in marks.values()]
            rows = await self._connection.fetch(read, list(marks), xids, ids, batch_max // PARTITIONS)
            marks |= {part: (xid, id_) for part, xid, id_, _ in rows}
            yield [tuple(row) for row in rows]

    async def from_kafka(self, bootstrap: str, batch_max: int) -> AsyncGenerator[Rows, None]:
        """The topic from its beginning; the offset is the mark."""
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([TopicPartition(self._topic.name, part) for part in range(PARTITIONS)])
            while True:
                records = await consumer.getmany(timeout_ms=100, max_records=batch_max)
                yield [(tp.partition, 0, r.offset, r.value) for tp, batch in records.items() for r in batch]
        finally:
            await consumer.stop()

    async def _apply(self, batch: Rows) -> None:
        marks: dict[int, tuple[int, int]] = {}
        events: defaultdict[tuple[str, str], list[Event[Any]]] = defaultdict(list)
        for part, xid, id_, body in batch:
            wire = self._wire.decode(body)
            marks[part] = xid, id_
            if (data := self._data.get(wire.type)) is not None:
                data.decode(wire.data)
                events[wire.shop_id, wire.customer_id].append(wire)
        xids, ids = [mark[0] for mark in marks.values()], [mark[1] for mark in marks.values()]
        await self._connection.execute(MARK, self._topic.name, list(marks), xids, ids)
        shops, customers = [key[0] for key in events], [key[1] for key in events]
        stored = {row[0]: row[1] for row in await self._connection.fetch(LOAD, shops, customers)}
        rows = [self._row(*key, stored.get(key[1]), of_key) for key, of_key in sorted(events.items())]
        if rows:
            await self._connection.execute(SAVE, *zip(*rows, strict=True))
        before, self.done = self.done, self.done + len(batch)
        for own in self._work.own:
            added = own.rows[self._share(before, len(own.rows)) : self._share(self.done, len(own.rows))]
            first, last = self._share(before, own.changed), self._share(self.done, own.changed)
            old = self._share(before, len(own.rows))
            changed = [own.rows[n % old] for n in range(first, min(last, first + old))] if old else []
            if written := added + changed:
                await self._connection.execute(own.upsert, *zip(*sorted(written, key=_by_text), strict=True))
        said = self._work.said
        if say := said[self._share(before, len(said)) : self._share(self.done, len(said))]:
            await self._connection.execute(SAY, *zip(*say, strict=True))

    def _share(self, done: int, total: int) -> int:
        return total * done // self._work.events

    def _row(self, shop: str, customer: str, body: str | None, events: list[Event[Any]]) -> tuple[Any, ...]:
        part = partition_of(shop, customer)
        last = events[-1].received_at
        if body is None:
            state = Bare(0, last, last if (crc32(customer.encode()) % 1_000) < self._work.wake_share * 1_000 else None)
        else:
            state = self._state.decode(body)
            if state.wake_at is not None:
                self._changes += self._work.wake_changes
                if self._changes >= 1:
                    self._changes -= 1
                    state.wake_at = last
        state.count += len(events)
        state.at = last
        state.padding = "x" * max(0, int(state.count * self._work.state_bytes_each) - 80)
        return shop, customer, part, self._encoder.encode(state).decode(), state.wake_at


def _by_text(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return row[:2]
