"""What an event costs a shop with few segments, and one with many, when it touches nothing that they ask about.

All models of the preset are there in both; the segments ask about points and tags, which the events leave alone. Every
customer is in every second one of them, so its profile says more, the more there are.
"""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

import asyncpg
import msgspec
import psutil

from common.contracts.topics import INGEST_EVENTS
from common.shops import load_shops
from regulars.bench import figures, road_stage
from regulars.bench.as_received import SHOP, customers_of, shop_events
from regulars.bench.figures import Figure
from regulars.bench.road_cost import Cost, Meter, later, least
from regulars.bench.stage import Database, Stage
from segmentation import app, presets
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.rule import Fact, Group, Question, Segment

SEGMENTS = (10, 100)
EVENTS = 12_000
ROUNDS = 3  # in turn, each with events of its own; the best counts


async def measure(stage: Stage) -> list[Figure]:
    """Both on one server; what an event costs with few is the ceiling of what it costs with many."""
    events = shop_events(stage.amount(EVENTS))
    server = psutil.Process((await stage.server()).pid)
    costs: dict[int, list[Cost]] = {count: [] for count in SEGMENTS}
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(stage.database()) for _ in SEGMENTS]
        for number in range(-1, ROUNDS):  # once for every customer to be known
            for count, database in zip(SEGMENTS, databases, strict=True):
                again = [later(event, number) for event in events]
                await road_stage.fill(database, INGEST_EVENTS, again)
                service = app.service(books(count))
                with Meter(server) as meter:
                    samples = await road_stage.run_service(database.settings, service, len(again))
                if number >= 0:
                    costs[count].append(meter.cost(samples))
        for count, database in zip(SEGMENTS, databases, strict=True):
            await _check(database, count, customers_of(events))
    return _figures(costs)


def books(count: int) -> Mapping[str, Rulebook]:
    """The rulebooks of the shops, each with so many segments instead of those of its preset."""
    segments = tuple(_everybody(number) if number % 2 else _nobody(number) for number in range(count))
    loaded = presets.load(load_shops())
    return {shop: msgspec.structs.replace(book, segments=segments) for shop, book in loaded.items()}


def _everybody(number: int) -> Segment:
    tagged = Question("$.in.none[0]", Fact("tags"), "contains", f"tag-{number}")
    return Segment(f"without_{number}", Group("$.in", "none", (tagged,)), frozenset({"tags"}))


def _nobody(number: int) -> Segment:
    return Segment(f"points_{number}", Question("$.in", Fact("points"), "gte", number + 1), frozenset({"points"}))


async def _check(database: Database, count: int, customers: int) -> None:
    """That everybody is in just those."""
    question = "SELECT count(*) FROM segmentation.memberships WHERE segment LIKE 'without_%' AND shop_id = $1"
    admin = await asyncpg.connect(database.dsn)
    try:
        if (found := await admin.fetchval(question, SHOP)) != (wanted := customers * (count // 2)):
            raise AssertionError(f"{count} segments: {found} memberships, not {wanted}")
    finally:
        await admin.close()


def _figures(costs: Mapping[int, Sequence[Cost]]) -> list[Figure]:
    few = least(costs[SEGMENTS[0]])
    made: list[Figure] = []
    for count, each in costs.items():
        cost = least(each)
        what = f"an event of segmentation that touches none of {count} segments, on PostgreSQL; best of {ROUNDS}"
        against = f"; ceiling: none of {SEGMENTS[0]}" if count != SEGMENTS[0] else ""
        for kind, value in cost._asdict().items():
            ceiling = few._asdict()[kind] if against else None
            name = f"untouched.{count}.{kind.removesuffix('_ms')}"
            made.append(figures.time(name, value, "ms", what + against, ceiling))
    return made
