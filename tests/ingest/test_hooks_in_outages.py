"""Webhooks while Kafka or PostgreSQL is away: without a broker they are taken, and drain once it is back; without the
database they are answered 503, and the platform's next try counts once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from common.bus.kafka import make_topics
from common.contracts.envelope import Decoder, Event
from common.contracts.topics import INGEST_EVENTS
from common.db.migrate import migrate
from common.settings import Settings
from common.telemetry import metrics
from tests.contract.waiting import until
from tests.ingest.conftest import Ingest, Keys, make_keys, open_ingest, rows_of, settings_for
from tests.ingest.test_hooks import QUERY, TRACK, call, source, track
from tests.ingest.test_outage import folder, server_on  # noqa: F401 - a fixture
from tests.kafka_fixture import StartKafka

STEPS = len(TRACK)
PARCELS = 40
WAITED_S = 2.0
BACK_WITHIN_S = 60.0

_DECODER = Decoder(INGEST_EVENTS.events)


async def delivered(here: Ingest, source_id: str, parcel: int) -> int:
    """A parcel's whole track, in one call."""
    told = track(TRACK)
    told["lastResult"]["nu"] = f"SF{parcel}"
    answer = await call(here, source_id, "kuaidi100", told, query=QUERY | {"order": f"o{parcel}"})
    return answer.status_code


async def test_without_a_broker_webhooks_are_taken_and_drain_when_it_is_back(
    settings: Settings, keys: Keys, start_kafka: StartKafka
) -> None:
    cluster = await start_kafka()
    await make_topics(cluster.bootstrap, [INGEST_EVENTS.name, INGEST_EVENTS.dead])
    async with open_ingest(settings.model_copy(update={"kafka": cluster.bootstrap})) as here:
        source_id = await source(here, keys, "kuaidi100")
        assert await delivered(here, source_id, 0) == 200
        async with reading(cluster.bootstrap) as seen:
            await until(lambda: is_now(len(seen) >= STEPS), "the first parcel is in Kafka")
        await until(lambda: is_now(oldest() < WAITED_S), "nothing waits long")
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(delivered(here, source_id, number)) for number in range(1, PARCELS // 2)]
            tasks.create_task(cluster.kill(1))
        sent_later = [await delivered(here, source_id, number) for number in range(PARCELS // 2, PARCELS)]
        assert {*(task.result() for task in sent), *sent_later} == {200}
        stored = [row.event.id for row in await rows_of(here.pool)]
        assert len(stored) == len(set(stored)) == PARCELS * STEPS
        await until(lambda: is_now(oldest() > WAITED_S), "it is seen that rows wait", BACK_WITHIN_S)
        await cluster.restart(1)
        async with reading(cluster.bootstrap) as seen:
            await until(lambda: is_now(set(stored) <= set(seen)), "all of it is in Kafka", BACK_WITHIN_S)
        await until(lambda: is_now(oldest() < WAITED_S), "nothing waits any more", BACK_WITHIN_S)


def oldest() -> float:
    """For how long the oldest row has been waiting, as it is shown."""
    (family,) = metrics.RELAY_OLDEST.labels("ingest").collect()
    return float(family.samples[0].value)


async def is_now(value: bool) -> bool:
    return value


@asynccontextmanager
async def reading(bootstrap: str) -> AsyncIterator[list[str]]:
    """The ids of all events in Kafka, from the beginning, as they come."""
    seen: list[str] = []
    consumer = AIOKafkaConsumer(INGEST_EVENTS.name, bootstrap_servers=bootstrap, auto_offset_reset="earliest")

    async def read() -> None:
        async for record in consumer:
            event = _DECODER.decode(record.value)
            if isinstance(event, Event) and event.type != "tick":
                seen.append(event.id)

    await consumer.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(read())
            yield seen
            reader.cancel()
    finally:
        await consumer.stop()


async def test_without_the_database_a_webhook_is_asked_to_come_again(folder: Path) -> None:  # noqa: F811
    async with server_on(folder) as server:
        settings = settings_for(server.dsn())
        await migrate(settings, ("ingest",))
        keys = await make_keys(server.dsn())
        async with open_ingest(settings) as here:
            source_id = await source(here, keys, "kuaidi100")
            assert await delivered(here, source_id, 0) == 200
            await server.kill()
            answer = await call(here, source_id, "kuaidi100", track(TRACK), query=QUERY)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.headers["content-type"] == "application/problem+json"
            async with server_on(folder):

                async def is_taken() -> bool:
                    return await delivered(here, source_id, 1) == 200

                await until(is_taken, "the platform's next try is taken", BACK_WITHIN_S)
                assert await delivered(here, source_id, 0) == 200
                ids = [row.event.id for row in await rows_of(here.pool)]
                assert len(ids) == len(set(ids)) == 2 * STEPS
