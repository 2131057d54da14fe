"""Keeps the numbers of members: folds what came and went into one row per segment, samples them for the charts, and
shows them to Prometheus.

The triggers of memberships leave a row of what each statement brought (migration 0004). One process at a time folds
these; who reads in between adds them up. Samples are kept finely for a month and one a day for years.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import asyncpg

from common.beside import repeat
from common.clock import Clock
from common.db.engine import Connection
from common.telemetry import metrics

FOLD_EVERY_S = 2.0
SAMPLE_EVERY = timedelta(minutes=15)
FINE_FOR = timedelta(days=35)
DAILY_FOR = timedelta(days=1_100)  # three years
ONE_FOLDS_AT_A_TIME = 7_246_004  # advisory lock key
MOST_SHOWN = 150  # segments of one shop that have series of their own in Prometheus; all others are one, OTHERS
OTHERS = "(others)"

# Rows of transactions that are still open stay for the next time. The whole table, which is small.
FOLD = """
WITH moves AS (DELETE FROM segment_moves RETURNING *),
summed AS (SELECT shop_id, segment, sum(entries) AS entries, sum(exits) AS exits FROM moves GROUP BY shop_id, segment),
kept AS (
    INSERT INTO segment_counts AS c (shop_id, segment, members, entries, exits)
    SELECT shop_id, segment, entries - exits, entries, exits FROM summed
    ON CONFLICT (shop_id, segment) DO UPDATE SET members = c.members + EXCLUDED.members,
        entries = c.entries + EXCLUDED.entries, exits = c.exits + EXCLUDED.exits)
SELECT shop_id, segment, entries::bigint, exits::bigint FROM summed ORDER BY shop_id, segment
"""

# $1 now, $2 since when a sample is fresh enough. The first one of a day (UTC) is kept for longer.
SAMPLE = """
WITH due AS (SELECT * FROM segment_counts WHERE sampled_at < $2 FOR UPDATE),
marked AS (
    UPDATE segment_counts c SET sampled_at = $1 FROM due WHERE (c.shop_id, c.segment) = (due.shop_id, due.segment))
INSERT INTO segment_samples (shop_id, segment, at, members, entries, exits, daily)
SELECT shop_id, segment, $1, members, entries, exits,
    date_trunc('day', sampled_at AT TIME ZONE 'UTC') < date_trunc('day', $1 AT TIME ZONE 'UTC')
FROM due ON CONFLICT DO NOTHING
"""

# Served by segment_samples_by_age.
FORGET = "DELETE FROM segment_samples WHERE at < $1 AND (NOT daily OR at < $2)"

# Of segments archived before $1 that nobody is in, numbers and chart; the smallest of tables.
FORGET_ARCHIVED = """
WITH newest AS (SELECT DISTINCT ON (shop_id, segment) shop_id, segment, state, edited_at FROM segments
    ORDER BY shop_id, segment, version DESC),
gone AS (DELETE FROM segment_counts c USING newest n WHERE (c.shop_id, c.segment) = (n.shop_id, n.segment)
    AND n.state = 'archived' AND n.edited_at < $1 AND c.members = 0 RETURNING c.shop_id, c.segment)
DELETE FROM segment_samples s USING gone WHERE (s.shop_id, s.segment) = (gone.shop_id, gone.segment)
"""

ALL_COUNTS = "SELECT shop_id, segment, members FROM segment_counts ORDER BY shop_id, segment"


class Counting:
    """The loop that keeps the numbers."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock
        self._shown: dict[str, set[str]] = {}  # by shop: the segments with series of their own, for good

    async def run(self) -> None:
        """Until cancelled."""
        await repeat(self.step, FOLD_EVERY_S, "counting of segments waits")

    async def step(self) -> bool:
        """Folds and samples what there is."""
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                if await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", ONE_FOLDS_AT_A_TIME):
                    moves = await connection.fetch(FOLD)
                    await _sample(connection, self._clock.now())
                else:
                    moves = []
            counts = await connection.fetch(ALL_COUNTS)
        for shop_id, segment, entries, exits in moves:
            shown = self._as_shown(shop_id, segment)
            metrics.SEGMENT_MOVES.labels(shop_id, shown, "entered").inc(entries)
            metrics.SEGMENT_MOVES.labels(shop_id, shown, "left").inc(exits)
        self._show(counts)
        return False

    def _show(self, counts: Iterable[asyncpg.Record]) -> None:
        members: dict[tuple[str, str], int] = {}
        for shop_id, segment, count in counts:
            place = shop_id, self._as_shown(shop_id, segment)
            members[place] = members.get(place, 0) + count
        for place, count in members.items():
            metrics.SEGMENT_MEMBERS.labels(*place).set(count)

    def _as_shown(self, shop_id: str, segment: str) -> str:
        shown = self._shown.setdefault(shop_id, set())
        if len(shown) < MOST_SHOWN:
            shown.add(segment)
        return segment if segment in shown else OTHERS


async def _sample(connection: Connection, now: datetime) -> None:
    """At most once in every quarter of an hour by the clock."""
    since = now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % SAMPLE_EVERY
    if await connection.execute(SAMPLE, now, since) != "INSERT 0 0":
        await connection.execute(FORGET, now - FINE_FOR, now - DAILY_FOR)
        await connection.execute(FORGET_ARCHIVED, now - FINE_FOR)
