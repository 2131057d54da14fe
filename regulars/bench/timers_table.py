"""The table of `timers`: journeys' states, grown to a size, each with one timer; and when those that are due go off."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import asyncpg

from common.batch import Codec
from common.contracts.ingest import OrderPlaced
from common.decision import Aggregate
from common.ids import PARTITIONS
from common.shops import load_shops
from journeys import app, presets
from regulars.bench import timers_bare
from regulars.bench.as_received import ORDER, SHOP, event
from regulars.bench.bulk import without_indexes
from regulars.bench.stage import Database

ALL_DUE_WITHIN = timedelta(minutes=50)  # the next step of a reminder, 55 minutes later, is beyond it
WAIT = timedelta(minutes=5)  # the first step of a payment reminder
PLACED_AT = datetime(2030, 1, 1, tzinfo=UTC)  # in the pattern; each row then has a time of its own
ORDER_ID = "order-of-customer"
SPREAD = 7_919  # a prime that divides no size: walks over the whole table

# Each row is a state as journeys saves it, with its own customer, order and times; partitions as ids.partition_of.
GROW = f"""
INSERT INTO journeys.states (shop_id, customer_id, part, body, wake_at)
SELECT '{SHOP}', customer,
    CASE WHEN due AND place % 2 = 1 THEN {timers_bare.PART} ELSE crc32(('{SHOP}/' || customer)::bytea) % {PARTITIONS}
    END,
    replace(replace(replace($1, '{ORDER_ID}', 'o-' || customer), $2, to_char(wake_at - $4::interval, $5)), $3,
            to_char(wake_at, $5))::json, wake_at
FROM (SELECT substr(md5(n::text), 1, 16) AS customer, (n * {SPREAD}) % ($7::bigint - $6) AS place
      FROM generate_series($6::bigint + 1, $7::bigint) AS n) AS row,
LATERAL (SELECT place < 2 * $8::bigint AS due) AS d,
LATERAL (SELECT CASE WHEN due THEN $9::timestamptz + (place / 2 * $10::bigint) * interval '1 microsecond'
    ELSE $9 + interval '60 days' + (place % 5184000) * interval '1 second' END AS wake_at) AS w
"""
TIME_IN_SQL = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'


@dataclass(frozen=True)
class Plan:
    """When the due timers of one size go off: a batch of them after the other, `turns` of so many."""

    opens: datetime
    turns: tuple[int, ...]

    @property
    def step_us(self) -> int:
        """Between two due times."""
        return int(ALL_DUE_WITHIN / timedelta(microseconds=1)) // sum(self.turns)

    def watermarks(self) -> list[datetime]:
        """Each turn's timers are due before its watermark, and not before that of the turn before."""
        return [self.opens + timedelta(microseconds=self.step_us * due) for due in accumulate(self.turns)]


async def grow(database: Database, plan: Plan, before: int, after: int) -> None:
    """The table with so many more rows; loaded without its indexes, which are then made again as they were."""
    body, since, due = _state()
    step = plan.step_us
    admin = await asyncpg.connect(database.dsn)
    try:
        async with without_indexes(admin, "journeys.states"):
            arguments = (body, since, due, WAIT, TIME_IN_SQL, before, after, sum(plan.turns), plan.opens, step)
            await admin.execute(GROW, *arguments)
        assert await admin.fetchval("SELECT count(*) FROM journeys.states") == after
    finally:
        await admin.close()


def _state() -> tuple[str, str, str]:
    """What journeys stores of somebody who has placed an order; and the two times in it, as they stand there."""
    service = app.service(presets.load(load_shops()))
    aggregate = Aggregate(service.name, service.decide, SHOP, "c", None)
    aggregate.take(event("placed", "c", PLACED_AT, OrderPlaced(ORDER_ID, ORDER)))
    assert aggregate.stored is not None
    assert aggregate.stored.wake_at == PLACED_AT + WAIT
    text = Codec(service).encoder.encode(aggregate.stored).decode()
    since, due = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (PLACED_AT, PLACED_AT + WAIT))
    assert since in text
    assert due in text
    return text, since, due
