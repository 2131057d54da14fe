"""The relay: a service's outbox to Kafka, in order. Its position is kept beside the outbox, behind what Kafka has.

1. read the committed rows above the position, 2. publish, all acknowledged, 3. write the position down.
Killed between 2 and 3 it publishes again, and the readers' marks drop the repeats. One relay per service runs at a
time (advisory lock); a second one would do no harm.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from time import monotonic

import asyncpg
import structlog

from common.bus.bell import Bell, wait
from common.bus.kafka import KafkaPublisher, open_publisher
from common.bus.port import Mark, Message
from common.db import outbox
from common.db.engine import Connection
from common.ids import PARTITIONS
from common.retry import FAILED, RECONNECT, give_up_if_stopped
from common.settings import Settings
from common.telemetry import metrics

READER = "relay"
LEAD = "SELECT pg_try_advisory_lock(hashtext('regulars relay ' || current_user))"
STANDBY_S = 1.0  # how often one that does not lead asks whether it may
POSITIONS = "SELECT part, xid::text::bigint, id FROM readers WHERE reader = $1 AND topic = $2"
TOPIC_ROWS = "(SELECT * FROM outbox WHERE topic = '{topic}')"
TELL = """
INSERT INTO readers (reader, topic, part, xid, id)
SELECT $1, $2, part, xid::text::xid8, id FROM unnest($3::smallint[], $4::bigint[], $5::bigint[]) AS mark (part, xid, id)
ON CONFLICT (reader, topic, part) DO UPDATE SET xid = EXCLUDED.xid, id = EXCLUDED.id
"""

log = structlog.get_logger()


class Relay:
    """Publishes the given topics of one service's outbox."""

    def __init__(
        self, service: str, pool: asyncpg.Pool, bell: Bell, topics: tuple[str, ...], settings: Settings
    ) -> None:
        self._service, self._pool, self._bell, self._topics, self._settings = service, pool, bell, topics, settings
        metrics.RELAY_ROWS.labels(service)  # at zero from the start: an alert on its rate then sees a relay stand
        self._waiting_since_s: float | None = None  # the oldest row that is not in Kafka yet
        self._more_waits = False  # than one reading took
        metrics.RELAY_OLDEST.labels(service).set_function(self._waited_s)

    async def run(self) -> None:
        """Runs until cancelled. With the broker or database away it tries again; the outbox keeps everything."""
        assert self._settings.kafka is not None
        attempt = 0
        while True:
            try:
                async with self._pool.acquire() as connection:
                    while not await connection.fetchval(LEAD):  # noqa: ASYNC110 - another process leads
                        await asyncio.sleep(STANDBY_S)
                    if await self._finds_any(connection):
                        self._wait_begins()
                    async with open_publisher(self._settings.kafka) as publisher:
                        attempt = 0
                        await self.publish_all(connection, publisher)
            except FAILED as error:  # the one seam to broker and database
                give_up_if_stopped(error)
                attempt += 1
                log.warning("relay restarts", service=self._service, reason=f"{type(error).__name__}: {error}")
                await asyncio.sleep(RECONNECT.next(attempt) or 0)

    async def publish_all(self, connection: Connection, publisher: KafkaPublisher) -> None:
        """Publishes from the position on, until cancelled or an error."""
        positions = {topic: await self._load(connection, topic) for topic in self._topics}
        with self._bell.listen(self._topics) as bell:
            while True:
                self._more_waits = False
                counts = [await self._publish(connection, publisher, topic, positions[topic]) for topic in positions]
                if not self._more_waits:
                    self._waiting_since_s = None
                metrics.RELAY_ROWS.labels(self._service).inc(sum(counts))
                if not any(counts):
                    await wait(bell, self._settings.poll_ms / 1000)

    async def _publish(
        self, connection: Connection, publisher: KafkaPublisher, topic: str, positions: dict[int, Mark]
    ) -> int:
        source, limit = TOPIC_ROWS.format(topic=topic), self._settings.batch_max_messages
        messages: list[Message] = await outbox.read_after(connection, source, topic, positions, limit)
        if messages:
            self._wait_begins()
            fullest = max(Counter(message.part for message in messages).values())
            self._more_waits |= fullest >= max(1, limit // PARTITIONS)
            await publisher.publish(messages)
            reached = {message.part: message.mark for message in messages}
            await tell_reader(connection, READER, topic, reached)
            positions |= reached
        return len(messages)

    async def _finds_any(self, connection: Connection) -> bool:
        """Whether a row waits; asked before the broker is reached, which may take until it is back."""
        for topic in self._topics:
            positions = await self._load(connection, topic)
            if await outbox.read_after(connection, TOPIC_ROWS.format(topic=topic), topic, positions, limit=1):
                return True
        return False

    def _wait_begins(self) -> None:
        if self._waiting_since_s is None:
            self._waiting_since_s = monotonic()

    def _waited_s(self) -> float:
        return 0.0 if self._waiting_since_s is None else monotonic() - self._waiting_since_s

    @staticmethod
    async def _load(connection: Connection, topic: str) -> dict[int, Mark]:
        rows = await connection.fetch(POSITIONS, READER, topic)
        return dict.fromkeys(range(PARTITIONS), Mark(0, 0)) | {part: Mark(xid, id_) for part, xid, id_ in rows}


async def tell_reader(connection: Connection, reader: str, topic: str, marks: Mapping[int, Mark]) -> None:
    """Writes down, beside the outbox, how far a reader of it has come."""
    xids, ids = [m.xid for m in marks.values()], [m.id for m in marks.values()]
    await connection.execute(TELL, reader, topic, list(marks), xids, ids)
