"""The job that `peers` compares: count and sum of orders per customer. Its messages, what they come to, and ours."""

import asyncio
import random
from collections.abc import Callable
from time import perf_counter

import asyncpg
from msgspec import Struct

from common.bus.kafka import make_topics
from common.bus.port import Mark, Message
from common.clock import RealClock
from common.contracts.envelope import encode
from common.contracts.ingest import OrderPaid
from common.contracts.topics import Topic
from common.db.tables import road_v1
from common.decision import Decision, Occasion
from common.house import House
from common.ids import partition_of
from common.money import Money
from common.service import Service
from common.shops import load_shops
from regulars.bench.as_received import OPENED_AT, SHOP, event
from regulars.bench.road_stage import decided, quiet
from regulars.bench.stage import Database
from regulars.demo.shop import CURRENCY

EVENTS = Topic("peers.events.v1", "peers", (OrderPaid,))
SEED = 6  # of the messages
JOB_DEADLINE_S = 180.0
LOOK_EVERY_S = 0.002

Totals = dict[str, tuple[int, int]]  # customer -> number of orders, their sum in minor units


class State(Struct, frozen=True):
    """The whole job."""

    count: int = 0
    total: int = 0


def make(count: int, keys: int) -> tuple[list[Message], Totals]:
    """Messages as the relay would write them, and what they come to; the same ones every time."""
    rng = random.Random(SEED)
    messages: list[Message] = []
    totals: Totals = {}
    for number in range(count):
        customer_id, amount = f"c{rng.randrange(keys):05d}", rng.randrange(1, 100_000)
        paid = OrderPaid(f"o{number:07d}", Money(amount, CURRENCY))
        body = encode(event(f"o{number:07d}:paid", customer_id, OPENED_AT, paid))
        part = partition_of(SHOP, customer_id)
        key = f"{SHOP}/{customer_id}"
        messages.append(Message(EVENTS.name, part, Mark(1, number + 1), key, body))
        orders, paid_before = totals.get(customer_id, (0, 0))
        totals[customer_id] = (orders + 1, paid_before + amount)
    return messages, totals


def counting(name: str, began: Callable[[], None]) -> Service[State]:
    """The job as a service; it says when it is first asked."""

    def decide(state: State | None, occasion: Occasion) -> Decision[State]:
        if state is None:
            began()
            state = State()
        assert isinstance(occasion.what, OrderPaid)
        return Decision(State(state.count + 1, state.total + occasion.what.amount.amount_minor))

    writes, work = Topic(f"{name}.totals.v1", name, ()), Topic(f"{name}.work.v1", name, (), work=True)
    return Service(name=name, reads=(EVENTS,), writes=writes, work=work, state=State, decide=decide)


async def measure_ours(database: Database, kafka: str, number: int, wanted: Totals) -> float:
    """In this process, in a schema and as a group of its own; gives the seconds."""
    begun: list[float] = []
    service = counting(f"counting{number}", lambda: None if begun else begun.append(perf_counter()))
    await _make_schema(database, service)
    await make_topics(kafka, [service.work.name])
    count = sum(count for count, _ in wanted.values())
    house = House(database.settings.model_copy(update={"kafka": kafka}), RealClock(), load_shops())
    quiet()
    async with house.pool(service.name) as pool:
        async with asyncio.timeout(JOB_DEADLINE_S), asyncio.TaskGroup() as tasks:
            road = tasks.create_task(house.road(service, pool).run())
            while decided(service.name) < count:  # noqa: ASYNC110 - the road tells nobody but the metric
                await asyncio.sleep(LOOK_EVERY_S)
            seconds = perf_counter() - begun[0]
            road.cancel()
        query = "SELECT customer_id, body->'state'->>'count', body->'state'->>'total' FROM states"
        found = {customer: (int(count), int(paid)) for customer, count, paid in await pool.fetch(query)}
    check("ours", found, wanted)
    return seconds


async def _make_schema(database: Database, service: Service[State]) -> None:
    admin = await asyncpg.connect(database.dsn)
    try:
        await admin.execute(f"CREATE ROLE {service.name} LOGIN")
        await admin.execute(f"ALTER ROLE {service.name} SET search_path = {service.name}")
        await admin.execute(f"CREATE SCHEMA {service.name} AUTHORIZATION {service.name}")
    finally:
        await admin.close()
    owner = await asyncpg.connect(database.dsn, user=service.name)
    try:
        for statement in road_v1((service.writes, service.work)):
            await owner.execute(statement)
    finally:
        await owner.close()


def check(name: str, found: Totals, wanted: Totals) -> None:
    """Raises when somebody has counted otherwise."""
    if found != wanted:
        different = sum(found.get(key) != wanted.get(key) for key in found.keys() | wanted.keys())
        raise AssertionError(f"{name}: {different} of {len(wanted)} keys are counted or summed otherwise")
