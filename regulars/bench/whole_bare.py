"""The ceiling of the whole system: what five services make durable of each event, in the least code, in one pass.

Per batch of 1,000 events, decoded once: ids seen and the outbox in one transaction (ingest); then for each of three
services the states of the batch's customers read, changed and written, its rows and facts beside them, in one
transaction; and for the messages the same once more, with the mailbox. No HTTP, no bus, no rules; two connections,
each with half of the customers, so that Python and PostgreSQL use both cores.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from time import perf_counter
from zlib import crc32

import asyncpg
import msgspec
from msgspec import Struct, field

from common.ids import PARTITIONS

LANES = 2
BATCH_EVENTS = 1_000
ORDERS_KEPT = 50
READERS = ("segmentation", "journeys", "loyalty")
# Which events make each of them state a fact and write a row of its own: as often as with the default rules.
TELLING = {
    "segmentation": {"order.placed", "order.paid"},
    "journeys": {"order.placed", "order.paid", "shipment.dispatched"},
    "loyalty": {"order.completed", "order.refunded"},
}
MESSAGE = "shipment.dispatched"

TABLES = """
CREATE TABLE seen (id text PRIMARY KEY);
CREATE TABLE outbox (topic text, part smallint, xid xid8 DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY, key text, body bytea, PRIMARY KEY (topic, part, xid, id));
CREATE TABLE states (service text, customer text, body json, PRIMARY KEY (service, customer)) WITH (fillfactor = 80);
CREATE TABLE kept (service text, customer text, id text, at timestamptz DEFAULT now(), body json,
    PRIMARY KEY (service, customer, id));
CREATE TABLE marks (service text, lane int, at bigint, PRIMARY KEY (service, lane)) WITH (fillfactor = 50);
"""
SEEN = "INSERT INTO seen SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
PUBLISH = """
INSERT INTO outbox (topic, part, key, body) SELECT $1, * FROM unnest($2::smallint[], $3::text[], $4::bytea[])
"""
MOVE = """
INSERT INTO marks VALUES ($1, $2, 1) ON CONFLICT (service, lane) DO UPDATE SET at = marks.at + 1
"""
LOAD = "SELECT customer, body FROM states WHERE service = $1 AND customer = ANY($2) ORDER BY customer FOR UPDATE"
SAVE = """
INSERT INTO states SELECT $1, * FROM unnest($2::text[], $3::json[])
ON CONFLICT (service, customer) DO UPDATE SET body = EXCLUDED.body
"""
KEEP = "INSERT INTO kept (service, customer, id, body) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::json[])"
FACTS = "SELECT topic, count(*) FROM outbox GROUP BY topic"


class Sent(Struct):
    """An event as it was sent."""

    id: str
    type: str
    customer: str = field(name="subject")
    data: dict[str, object]


class State(Struct):
    """Of one customer: how many events, and what last happened to each order."""

    events: int = 0
    orders: dict[str, str] = {}


DECODE = msgspec.json.Decoder(Sent).decode
STATE = msgspec.json.Decoder(State).decode
ENCODE = msgspec.json.Encoder().encode

Happened = tuple[Sent, bytes]


async def run(dsn: str, bodies: Sequence[bytes]) -> float:
    """Events a second, from the first byte to the last commit; RuntimeError when not all was done."""
    pool = await asyncpg.create_pool(dsn, min_size=LANES, max_size=LANES, server_settings={"jit": "off"})
    async with pool:
        await pool.execute(TABLES)
        began = perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for lane in range(LANES):
                tasks.create_task(_lane(pool, lane, bodies))
        seconds = perf_counter() - began
        facts: dict[str, int] = dict(map(tuple, await pool.fetch(FACTS)))
    told = [DECODE(body).type for body in bodies]
    expected = {"ingest": len(told), "notifier": told.count(MESSAGE)}
    expected |= {reader: sum(type_ in TELLING[reader] for type_ in told) for reader in READERS}
    if facts != {topic: count for topic, count in expected.items() if count}:
        raise RuntimeError(f"the bare script stated {facts}, not {expected}")
    return len(bodies) / seconds


async def _lane(pool: asyncpg.Pool, lane: int, bodies: Sequence[bytes]) -> None:
    """The batches of the whole stream, of each what is this lane's."""
    async with pool.acquire() as connection:
        for at in range(0, len(bodies), LANES * BATCH_EVENTS):
            await _batch(connection, lane, bodies[at : at + LANES * BATCH_EVENTS])


async def _batch(connection: asyncpg.pool.PoolConnectionProxy, lane: int, bodies: Sequence[bytes]) -> None:
    batch = [(event, body) for body in bodies if _part((event := DECODE(body)).customer) % LANES == lane]
    async with connection.transaction():
        await connection.execute(SEEN, [event.id for event, _ in batch])
        await _publish(connection, "ingest", batch)
    for reader in READERS:
        await _read(connection, reader, lane, batch, [one for one in batch if one[0].type in TELLING[reader]])
    if messages := [one for one in batch if one[0].type == MESSAGE]:
        await _read(connection, "notifier", lane, messages, messages)


async def _read(
    connection: asyncpg.pool.PoolConnectionProxy,
    reader: str,
    lane: int,
    batch: Sequence[Happened],
    telling: Sequence[Happened],
) -> None:
    """One service's transaction."""
    of_customer: defaultdict[str, list[Sent]] = defaultdict(list)
    for event, _ in batch:
        of_customer[event.customer].append(event)
    async with connection.transaction():
        await connection.execute(MOVE, reader, lane)
        states = {customer: STATE(body) for customer, body in await connection.fetch(LOAD, reader, list(of_customer))}
        for customer, events in of_customer.items():
            state = states.setdefault(customer, State())
            for event in events:
                state.events += 1
                if isinstance(order_id := event.data.get("order_id"), str):
                    state.orders[order_id] = event.type
                    if len(state.orders) > ORDERS_KEPT:
                        del state.orders[next(iter(state.orders))]
        customers = sorted(states)
        await connection.execute(SAVE, reader, customers, [ENCODE(states[customer]).decode() for customer in customers])
        if telling:
            ids = [event.id for event, _ in telling]
            bodies = [body.decode() for _, body in telling]
            await connection.execute(KEEP, reader, [event.customer for event, _ in telling], ids, bodies)
            await _publish(connection, reader, telling)


async def _publish(connection: asyncpg.pool.PoolConnectionProxy, topic: str, batch: Sequence[Happened]) -> None:
    customers = [event.customer for event, _ in batch]
    parts = [_part(customer) for customer in customers]
    await connection.execute(PUBLISH, topic, parts, customers, [body for _, body in batch])


def _part(customer: str) -> int:
    return crc32(customer.encode()) % PARTITIONS
