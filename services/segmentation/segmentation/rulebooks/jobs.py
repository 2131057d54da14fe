"""SQL of back-fills: which there are, how far each has come, and whom it looks at next.

A back-fill passes all customers of a shop in order of their ids, or all of a list whom an edit put on it or took off.
Passes follow each other until one finds nobody who is behind, PASSES_MAX at most.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from common.db.engine import Connection
from common.decision import AN_INSTANT

ONE_AT_A_TIME = 7_246_003  # advisory lock key
LEAD = "SELECT pg_try_advisory_xact_lock($1)"

BEGIN = """
INSERT INTO backfills (shop_id, revision, at, list, reason, customers, not_before)
VALUES ($1, $2, $3, $4, $5,
    CASE WHEN $4::text IS NULL THEN (SELECT count(*) FROM states WHERE shop_id = $1)
    ELSE (SELECT count(*) FROM list_members WHERE (shop_id, list) = ($1, $4)) END,
    clock_timestamp() + $6::interval)
"""
# Where another begins, those go that ended long ago: by then nobody asks how far they came.
FORGET = "DELETE FROM backfills WHERE shop_id = $1 AND ended_at < clock_timestamp() - $2::interval"
KEPT = timedelta(days=35)
# The one whose turn it is, unless what the last step told still keeps others waiting. By backfills_open.
NEXT = """
SELECT id, shop_id, revision, at, list, pass, cursor, passed, told,
    (SELECT edition FROM rulebooks r WHERE r.shop_id = backfills.shop_id) AS edition FROM backfills
WHERE ended_at IS NULL AND not_before <= clock_timestamp()
    AND NOT EXISTS (SELECT 1 FROM backfills WHERE ended_at IS NULL AND paced_until > clock_timestamp())
ORDER BY paced_until NULLS FIRST, id LIMIT 1
"""
LAST_SENT = "SELECT max(sent_xid)::text FROM backfills WHERE ended_at IS NULL"
# Whether anything that one transaction told is not decided yet. By the outbox's primary key, partition by partition.
UNDECIDED = """
SELECT EXISTS (
    SELECT 1 FROM generate_series(0, $3 - 1) AS p (part)
    CROSS JOIN LATERAL (SELECT o.xid, o.id FROM outbox o WHERE o.topic = $1 AND o.part = p.part
        AND o.xid = $2::text::xid8 ORDER BY o.id DESC LIMIT 1) AS last
    LEFT JOIN marks m ON m.topic = $1 AND m.part = p.part
    WHERE m.xid IS NULL OR (last.xid, last.id) > (m.xid, m.id))
"""
STEP = """
UPDATE backfills SET cursor = $2, passed = passed + $3, told = told + $4,
    asked = asked + $4,
    sent_xid = CASE WHEN $4::bigint > 0 THEN pg_current_xact_id() ELSE sent_xid END,
    paced_until = clock_timestamp() + $5::interval
WHERE id = $1
"""
AGAIN = """
UPDATE backfills SET pass = pass + 1, cursor = '', passed = 0, told = 0,
    not_before = clock_timestamp() + $2::interval WHERE id = $1
"""
END = "UPDATE backfills SET ended_at = clock_timestamp(), passed = GREATEST(passed, customers) WHERE id = $1"
# Whom that edit took off its list, and all that were told so.
FORGET_OFF = """
DELETE FROM list_members WHERE (shop_id, list, revision) = ($1, $2, $3) AND NOT is_in
"""
# How many are left to look at in all that has not ended.
LEFT = "SELECT coalesce(sum(GREATEST(customers - passed, 0)), 0)::bigint FROM backfills WHERE ended_at IS NULL"
NEWEST = """
SELECT revision, reason, pass, customers, passed, asked, at, ended_at, told AS behind FROM backfills
WHERE shop_id = $1 AND revision >= $2 ORDER BY revision LIMIT 1
"""

# Primary key. Who was merged is asked under another id, and who was erased is in no segment until heard of again. A
# profile without a revision was never asked about any segment.
CUSTOMERS = """
SELECT customer_id, body->>'into' IS NOT NULL OR coalesce((body->'state'->>'resting')::boolean, false) AS aside,
    coalesce((body->'state'->>'revision')::bigint, -1) AS revision,
    coalesce(body->'state'->>'edition', '') AS edition, coalesce((body->>'historic')::boolean, false) AS is_imported
FROM states WHERE shop_id = $1 AND customer_id > $2 ORDER BY customer_id LIMIT $3
"""
# Those of them of whom anything was ever heard.
THESE = CUSTOMERS.replace("customer_id > $2 ORDER BY customer_id LIMIT $3", "customer_id = ANY($2::text[])")


class Job(Struct, frozen=True):
    """A back-fill under way. `at` is when the edit was made: nobody is asked for a time before that."""

    id: int
    shop_id: str
    revision: int
    at: datetime
    list: str | None
    pass_: int
    cursor: str
    passed: int
    told: int
    edition: str  # of the presets that everybody is to be asked by: an older process may still ask by its own


class Progress(Struct, frozen=True):
    """How far a back-fill has come. `asked` counts whom it told to look again, in all passes; `behind`
    those of the last one: with `ended_at`, who still had not been asked when it was given up."""

    revision: int
    reason: str
    pass_: int
    customers: int
    passed: int
    asked: int
    at: datetime
    ended_at: datetime | None
    behind: int


class LastAsked(Struct, frozen=True):
    """What of a customer decides whether there is anything to ask."""

    customer_id: str
    aside: bool
    revision: int
    edition: str
    is_imported: bool  # an import of what was before has not ended yet


async def begin(
    connection: Connection,
    shop_id: str,
    revision: int,
    at: datetime,
    reason: str,
    wait: timedelta,
    list_: str | None = None,
) -> None:
    """In the transaction of the edit made at `at`. `wait`: until every process can have heard of it. Everybody is asked
    for the instant before, since where the clock stands still no watermark ever passes the present."""
    await connection.execute(FORGET, shop_id, KEPT)
    await connection.execute(BEGIN, shop_id, revision, at - AN_INSTANT, list_, reason, wait)


async def lead(connection: Connection) -> bool:
    """Whether this transaction is the only one that takes a step, until it ends."""
    leads: bool = await connection.fetchval(LEAD, ONE_AT_A_TIME)
    return leads


async def next_job(connection: Connection) -> Job | None:
    """Whose turn it is, if anybody's."""
    row = await connection.fetchrow(NEXT)
    return None if row is None else Job(*row)


async def is_undecided(connection: Connection, topic: str, partitions: int) -> bool:
    """Whether the road has still to decide what the last step told."""
    xid = await connection.fetchval(LAST_SENT)
    return xid is not None and bool(await connection.fetchval(UNDECIDED, topic, xid, partitions))


async def customers(connection: Connection, shop_id: str, after: str, limit: int) -> list[LastAsked]:
    """The shop's customers by id, from just after one; "" is before all."""
    return [LastAsked(*row) for row in await connection.fetch(CUSTOMERS, shop_id, after, limit)]


async def these(connection: Connection, shop_id: str, names: Sequence[str]) -> dict[str, LastAsked]:
    """Those of them of whom anything was ever heard."""
    return {row["customer_id"]: LastAsked(*row) for row in await connection.fetch(THESE, shop_id, names)}


async def step(connection: Connection, job: Job, cursor: str, passed: int, told: int, pause: timedelta) -> None:
    """The pass has come so far."""
    await connection.execute(STEP, job.id, cursor, passed, told, pause)


async def again(connection: Connection, job: Job, pause: timedelta) -> None:
    """One more pass."""
    await connection.execute(AGAIN, job.id, pause)


async def end(connection: Connection, job: Job) -> None:
    """Nobody is behind, or whoever is was told as often as may be."""
    await connection.execute(END, job.id)
    if job.list:
        await connection.execute(FORGET_OFF, job.shop_id, job.list, job.revision)


async def left(connection: Connection) -> int:
    """Customers that back-fills have yet to look at."""
    count: int = await connection.fetchval(LEFT)
    return count


async def progress(connection: Connection, shop_id: str, revision: int) -> Progress | None:
    """Of the first back-fill that asks about this revision, or a later one."""
    row = await connection.fetchrow(NEWEST, shop_id, revision)
    return None if row is None else Progress(*row)
