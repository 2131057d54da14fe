"""What is compared: every table of every service, without what only says when and how often something was tried.

Left out because it is physical: transaction and row ids, `part` (it follows from the key), times of notifier's attempts
(`due_at`, `claimed_at`, `claims`, `tries`), and whatever is stamped with the moment at which a report of the sender
came in, since reports and requests reach a customer by two topics, whose order is nobody's to promise. For the same
reason nothing but who is in is compared of the segments that ask about points and tier, of which loyalty tells; and of
messages, that segmentation heard of each, but neither when nor what that decides: who is in the segments that ask about
them, and what was offered after a warning.
"""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from common.shops import load_shops
from notifier.domain.state import MAX_SETTLED
from notifier.store import IN_DOUBT
from regulars.services import NAMES
from segmentation.domain.decide import CHANGE
from segmentation.domain.profile.notes import HEARD
from segmentation.domain.profile.notes import OF_MESSAGES as OUTCOMES
from segmentation.presets.segment_files import segments as segments_of
from tests.chaos.compare import Differences, Row, compare

PREFETCH = 5_000
CONSUMERS = tuple(name for name in NAMES if name != "ingest")
OFFERS = "churn.offers"


def _asking(*names: str) -> frozenset[str]:
    """The packaged segments that read any of these."""
    of_shops = [segment for shop in load_shops().values() for segment in segments_of(shop)]
    return frozenset(segment.segment for segment in of_shops if not segment.reads.isdisjoint(names))


def _named(segments: frozenset[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(segments))


OF_LOYALTY = _asking("tier", "points")
OF_DELIVERIES = frozenset(data.TYPE for data in OUTCOMES)
OF_MESSAGES = _asking(*OF_DELIVERIES, OFFERS)
BY_KEY = 'ORDER BY key COLLATE "C", value COLLATE "C"'


@dataclass(frozen=True, slots=True)
class Table:
    """`sql` gives `key` (an array of text) and `value` (text); `plain` takes out of a value what is physical."""

    name: str
    sql: str
    plain: Callable[[str], str] = str


def _same(name: str, sql: str, plain: Callable[[str], str] = str) -> Table:
    return Table(name, f"SELECT key, value FROM ({sql}) AS rows {BY_KEY}", plain)


def _facts(owner: str) -> Table:
    """Ticks are told to partitions, not to customers. The body is all of the event, its id and its times."""
    return _same(
        f"{owner}: facts",
        "SELECT ARRAY[topic, key, coalesce(convert_from(body, 'UTF8')::json ->> 'id', '')] AS key,"
        f" convert_from(body, 'UTF8') AS value FROM {owner}.outbox WHERE key <> ''",
    )


def _facts_of_segmentation() -> Table:
    """Without their ids, which count the facts of one occasion. How often somebody was asked anew is no fact: it tells
    how far a back-fill had come when it was disturbed."""
    told = "convert_from(body, 'UTF8')::jsonb AS told FROM segmentation.outbox WHERE key <> ''"
    return _same(
        "segmentation: facts",
        "SELECT ARRAY[topic, key, told ->> 'type', coalesce(told ->> 'causationid', ''),"
        " coalesce(told #>> '{data,segment}', '')] AS key,"
        f" (told - 'id')::text AS value FROM (SELECT topic, key, {told}) AS facts"
        f" WHERE coalesce(told #>> '{{data,segment}}', '') NOT IN ({_named(OF_LOYALTY | OF_MESSAGES)})"
        " AND told ->> 'type' <> 'segment.recheck'",
    )


def _whole(name: str, table: str, *key: str) -> Table:
    return _same(name, f"SELECT ARRAY[{', '.join(key)}]::text[] AS key, row_to_json(t)::text AS value FROM {table} t")


def _of_segmentation(text: str) -> str:
    """A state of segmentation; of messages, which were heard of: one that waits for its time may be the first to, one
    that was heard has moved the customer's time. Timers are left out where they are what they must be: either may be
    for a message, or for a segment that asks about them."""
    stored: dict[str, Any] = json.loads(text)
    state = stored["state"]
    answers, places, series = (state.get(name, {}) for name in ("answers", "places", "series"))
    waiting = state.pop("waiting", [])
    ends = [datetime.fromisoformat(kept[1]) for kept in (*answers.values(), *places.values()) if kept[1]]
    wanted = {(min(ends), CHANGE, "")} if ends else set()
    for at, kind, name, _ in waiting[:1]:
        wanted.add((datetime.fromisoformat(at), HEARD, f"{kind} {name}"))
    timers = stored.pop("timers", ())
    armed = {(datetime.fromisoformat(each["due"]), each["kind"], each.get("key", "")) for each in timers}
    stored["timers"] = "as they must be" if armed == wanted else timers
    heard = [[kind, about] for kind in OF_DELIVERIES for _, _, about in series.pop(kind, [[]])[0]]
    heard += [[kind, about] for _, kind, _, about in waiting if kind in OF_DELIVERIES]
    if heard:
        del stored["at"]
    stored["messages"] = sorted(json.dumps(each, sort_keys=True) for each in heard)
    state["waiting"] = [note for note in waiting if note[1] not in OF_DELIVERIES]
    for name in places.keys() & OF_MESSAGES:
        del places[name]
    for facts, _ in answers.values():
        facts.pop(OFFERS, None)
    return json.dumps(stored, sort_keys=True)


def _of_notifier(text: str) -> str:
    """A state of notifier. The last ones settled stand in the order of the reports, and more than fit are forgotten."""
    stored: dict[str, Any] = json.loads(text)
    del stored["at"]
    state = stored["state"]
    for message in (*state.get("pending", ()), *state.get("settled", ())):
        del message["requested_at"]
    settled = sorted(state.pop("settled", ()), key=lambda message: message["number"])
    if len(settled) < MAX_SETTLED:
        state["settled"] = settled
    return json.dumps(stored, sort_keys=True)


def _of_report(text: str) -> str:
    """An event that tells what became of a message: its id names the attempt, its times are the attempt's."""
    event = json.loads(text)
    return json.dumps({name: event[name] for name in ("type", "subject", "shopid", "data")}, sort_keys=True)


TABLES: tuple[Table, ...] = (
    _whole("ingest: seen", "ingest.seen", "shop_id", "source", "id"),
    # What is sealed differs every time it is sealed, and every database has an index key of its own.
    _same(
        "ingest: vault",
        "SELECT ARRAY[shop_id, customer_id, field] AS key, '' AS value FROM ingest.vault",
    ),
    _same(
        "ingest: names of people",
        "SELECT ARRAY[shop_id, customer_id, kind] AS key, count(*) || ' links ' || sum(links) AS value"
        " FROM ingest.identities GROUP BY 1",
    ),
    # `revision` counts flushes, so it is left out.
    _same(
        "ingest: orders",
        "SELECT ARRAY[shop_id, order_id] AS key, customer_id || ' ' || body::text AS value FROM ingest.orders",
    ),
    *(_facts(name) for name in NAMES if name not in ("notifier", "segmentation")),
    _facts_of_segmentation(),
    *(
        _same(
            f"{name}: states and timers",
            "SELECT ARRAY[shop_id, customer_id] AS key,"
            f" body::jsonb::text || ' wakes ' || coalesce(wake_at::text, 'never') AS value FROM {name}.states",
        )
        for name in CONSUMERS
        if name not in ("notifier", "segmentation")
    ),
    *(
        _same(
            f"{name}: dead letters",
            "SELECT ARRAY[topic, key] AS key, convert_from(body, 'UTF8') || path || reason AS value"
            f" FROM {name}.dead_letters",
        )
        for name in NAMES
    ),
    _same(
        "segmentation: memberships",
        "SELECT ARRAY[shop_id, customer_id, segment] AS key,"
        f" CASE WHEN segment IN ({_named(OF_LOYALTY)}) THEN '' ELSE since || ' ' || reason END AS value"
        f" FROM segmentation.memberships WHERE segment NOT IN ({_named(OF_MESSAGES)})",
    ),
    # Who came and went within one batch is counted in neither, so only what is left of both can be the same.
    _same(
        "segmentation: numbers of members",
        "SELECT ARRAY[shop_id, segment] AS key, sum(members)::text AS value FROM ("
        " SELECT shop_id, segment, members FROM segmentation.segment_counts"
        " UNION ALL SELECT shop_id, segment, entries - exits FROM segmentation.segment_moves) AS parts"
        f" WHERE segment NOT IN ({_named(OF_MESSAGES)}) GROUP BY shop_id, segment HAVING sum(members) <> 0",
    ),
    _whole("journeys: enrollments", "journeys.enrollments", "shop_id", "customer_id", "journey", "enrollment"),
    _whole("loyalty: postings", "loyalty.postings", "shop_id", "customer_id", "posting_id"),
    _whole("loyalty: accounts", "loyalty.accounts", "shop_id", "customer_id"),
)

IN_DOUBT_KEYS = f"""
SELECT shop_id, customer_id, message_key FROM notifier.messages
WHERE status = 'failed' AND guarantee = 'at most once' AND starts_with(reason, '{IN_DOUBT}')
"""
_NOTIFIER = (
    _same(
        "notifier: states",
        "SELECT ARRAY[shop_id, customer_id] AS key, body::text AS value FROM notifier.states",
        _of_notifier,
    ),
    _same(
        "notifier: messages",
        """SELECT ARRAY[shop_id, customer_id, message_key] AS key, json_build_object('number', number, 'channel',
        channel, 'purpose', purpose, 'guarantee', guarantee, 'journey', journey, 'step', step, 'template', template,
        'params', params, 'status', status, 'reason', reason)::text AS value FROM notifier.messages""",
    ),
    _same(
        "notifier: mailbox",
        """SELECT ARRAY[shop_id, customer_id, message_key] AS key, json_build_array(channel, to_masked, subject,
        body)::text AS value FROM notifier.mailbox WHERE channel = 'sms'""",
    ),
    _same(
        "notifier: facts",
        """SELECT ARRAY[topic, key, coalesce(convert_from(body, 'UTF8')::json -> 'data' ->> 'message_key', '')] AS key,
        convert_from(body, 'UTF8') AS value FROM notifier.outbox""",
        _of_report,
    ),
)

_SEGMENTATION = _same(
    "segmentation: states and timers",
    # Whether the alarm is that of the first timer is asked here.
    """SELECT ARRAY[shop_id, customer_id] AS key, jsonb_set(body::jsonb, '{alarm}', CASE
    WHEN wake_at = (SELECT min((timer ->> 'due')::timestamptz) FROM json_array_elements(body -> 'timers') AS timer)
    THEN '"of the first"' ELSE coalesce(to_jsonb(wake_at), '"none"') END)::text AS value FROM segmentation.states""",
    _of_segmentation,
)


async def compare_all(got: asyncpg.Connection, wanted: asyncpg.Connection) -> list[Differences]:
    """Table by table. A message that is in doubt here and was sent there may be so: its row, and the facts that tell
    of it, are held against neither side; nor is what segmentation, which heard of it or not, has of its customer."""
    doubt = {tuple(row) for row in await got.fetch(IN_DOUBT_KEYS)}
    doubt -= {tuple(row) for row in await wanted.fetch(IN_DOUBT_KEYS)}
    customers = {key[:2] for key in doubt}
    found = [await compare(table.name, rows(got, table), rows(wanted, table)) for table in TABLES]
    states = (_without(rows(one, _SEGMENTATION), customers) for one in (got, wanted))
    found.append(await compare(_SEGMENTATION.name, *states))
    return found + [
        await compare(table.name, _sure(rows(got, table), doubt), _sure(rows(wanted, table), doubt))
        for table in _NOTIFIER
    ]


async def rows(connection: asyncpg.Connection, table: Table) -> AsyncIterator[Row]:
    """The table's rows in the order of their keys, few at a time."""
    async with connection.transaction():
        async for key, value in connection.cursor(table.sql, prefetch=PREFETCH):
            yield Row(tuple(key), table.plain(value))


async def _without(found: AsyncIterator[Row], customers: set[tuple[str, ...]]) -> AsyncIterator[Row]:
    async for row in found:
        if row.key[:2] not in customers:
            yield row


async def _sure(found: AsyncIterator[Row], doubt: set[tuple[str, ...]]) -> AsyncIterator[Row]:
    """Without messages in doubt: told in rows by shop, customer and key, in facts by topic, shop/customer and key."""
    async for row in found:
        shop_and_customer = tuple(row.key[1].split("/", 1)) if "." in row.key[0] else row.key[:2]
        if (*shop_and_customer, row.key[-1]) not in doubt:
            yield row
