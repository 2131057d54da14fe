"""The rows of enrollments, as batch after batch of facts writes them."""

from datetime import UTC, datetime, timedelta

import asyncpg

from common.contracts.envelope import Data, Event
from common.contracts.journeys import JourneyEntered, JourneyLeft
from common.decision import Stored
from common.service import Saved
from journeys.domain.enrollment import State
from journeys.store import project
from tests.laws.streams import event

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def fact(customer: str, data: Data, after: timedelta = timedelta(0)) -> Event[Data]:
    return event(0, customer, data, NOON + after)


async def write(pool: asyncpg.Pool, *facts: Event[Data]) -> list[tuple[object, ...]]:
    """Writes one batch, and gives all rows."""
    names = dict.fromkeys(one.customer_id for one in facts)
    saved = [
        Saved("shop", name, Stored(State(), NOON), tuple(one for one in facts if one.customer_id == name))
        for name in names
    ]
    async with pool.acquire() as connection, connection.transaction():
        await project(connection, saved)
        rows = await connection.fetch("SELECT * FROM enrollments ORDER BY customer_id, journey, enrollment")
    return [tuple(row) for row in rows]


async def test_no_facts_no_rows(pool: asyncpg.Pool) -> None:
    assert await write(pool) == []


async def test_entering_and_leaving_in_one_batch_or_in_two(pool: asyncpg.Pool) -> None:
    first = await write(
        pool,
        fact("c2", JourneyEntered("gift", "o1")),
        fact("c1", JourneyEntered("gift", "o1")),
        fact("c1", JourneyLeft("gift", "o1", "finished"), HOUR),
        fact("c1", JourneyEntered("gift", "o2"), HOUR),
    )
    assert first == [
        ("shop", "c1", "gift", "o1", NOON, NOON + HOUR, "finished"),
        ("shop", "c1", "gift", "o2", NOON + HOUR, None, None),
        ("shop", "c2", "gift", "o1", NOON, None, None),
    ]
    second = await write(
        pool,
        fact("c1", JourneyLeft("gift", "o2", "order.paid"), 2 * HOUR),
        fact("c2", JourneyLeft("gift", "o1", "order.paid"), 2 * HOUR),
        fact("c1", JourneyEntered("gift", "o3"), 2 * HOUR),
    )
    assert second == [
        ("shop", "c1", "gift", "o1", NOON, NOON + HOUR, "finished"),
        ("shop", "c1", "gift", "o2", NOON + HOUR, NOON + 2 * HOUR, "order.paid"),
        ("shop", "c1", "gift", "o3", NOON + 2 * HOUR, None, None),
        ("shop", "c2", "gift", "o1", NOON, NOON + 2 * HOUR, "order.paid"),
    ]


async def test_who_enters_again_after_being_forgotten_is_on_again(pool: asyncpg.Pool) -> None:
    await write(pool, fact("c1", JourneyEntered("gift", "o1")))
    rows = await write(
        pool,
        fact("c1", JourneyLeft("gift", "o1", "forgotten"), HOUR),
        fact("c1", JourneyEntered("gift", "o1"), 2 * HOUR),
    )
    assert rows == [("shop", "c1", "gift", "o1", NOON + 2 * HOUR, None, None)]
