"""What the demo checks at its end: nothing lost, nothing doubled, points add up, and every message as it had to be.

The messages are held against a second run of the same events: what ingest wrote down, through the same decisions in
virtual time. The rest is held against the plan, counted without any service.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import NamedTuple

import asyncpg
import msgspec

from common.contracts import ingest
from common.contracts.envelope import Data, Decoder, Event
from common.contracts.journeys import MessageRequested
from common.db.engine import Connection
from common.decision import Aggregate, Stored
from common.shops import Shops
from journeys import app as journeys
from journeys import presets
from loyalty.domain.account import Account
from regulars.demo.shop import Expected, Sent
from regulars.services import NAMES
from segmentation.domain.profile.state import Profile

ALARMS_TIMEOUT_S = 20.0
POLL_S = 0.2

TAKEN = "SELECT body FROM ingest.outbox WHERE topic = 'ingest.events.v1' AND key <> '' ORDER BY part, xid, id"
STATES = "SELECT customer_id, body FROM {service}.states WHERE shop_id = $1"
MESSAGES = "SELECT message_key, status FROM notifier.messages WHERE shop_id = $1 AND requested_at <= $2"
NOTICES = (
    "SELECT count(*) FROM notifier.messages WHERE shop_id = $1 AND journey = 'dispatch_notice' AND status = 'sent'"
)
LETTERS = "SELECT count(*) FROM {service}.dead_letters"
POSTINGS = """
SELECT count(*), coalesce(sum(CASE destination WHEN 'customer' THEN points ELSE -points END), 0),
    (SELECT coalesce(sum(balance), 0) FROM loyalty.accounts) FROM loyalty.postings
"""


class Check(NamedTuple):
    """One thing that must hold, and what was found."""

    what: str
    found: str
    holds: bool


async def checks(
    admin_database: str, shops: Shops, shop_id: str, sent: Sequence[Sent], expected: Expected, until: datetime
) -> list[Check]:
    """Looks at everything that came of the events sent, and at the messages due before `until`."""
    connection = await asyncpg.connect(admin_database)
    try:
        events = _events(await connection.fetch(TAKEN))
        return [
            _intake(events, sent),
            await _purchases(connection, shop_id, expected),
            await _points(connection, shop_id, expected),
            await _ledger(connection),
            await _messages(connection, shops, shop_id, events, until),
            await _notices(connection, shop_id, expected),
            await _letters(connection),
        ]
    finally:
        await connection.close()


def _events(rows: Sequence[asyncpg.Record]) -> list[Event[Data]]:
    decoder = Decoder(ingest.EVENTS)
    decoded = [decoder.decode(row["body"]) for row in rows]
    return [event for event in decoded if isinstance(event, Event)]


def _intake(events: Sequence[Event[Data]], sent: Sequence[Sent]) -> Check:
    taken = Counter(event.id for event in events)
    lost = {one.event["id"] for one in sent} - taken.keys()
    doubled = [event_id for event_id, times in taken.items() if times > 1]
    found = f"{len(sent):,} sent, {len(taken):,} different, {len(lost)} lost, {len(doubled)} doubled"
    return Check("every event taken once", found, not lost and not doubled)


async def _purchases(connection: Connection, shop_id: str, expected: Expected) -> Check:
    decoder = msgspec.json.Decoder(Stored[Profile])
    rows = await connection.fetch(STATES.format(service="segmentation"), shop_id)
    profiles = {row["customer_id"]: decoder.decode(row["body"]).state for row in rows}
    counts = {one: profile.purchases.count if profile.purchases else 0 for one, profile in profiles.items()}
    wrong = [one for one, count in expected.purchases.items() if counts.get(one) != count]
    found = f"{sum(counts.values()):,} purchases of {len(counts):,} customers, {len(wrong)} wrong"
    return Check("purchases as sent, customer by customer", found, not wrong)


async def _points(connection: Connection, shop_id: str, expected: Expected) -> Check:
    decoder = msgspec.json.Decoder(Stored[Account])
    rows = await connection.fetch(STATES.format(service="loyalty"), shop_id)
    balances = {row["customer_id"]: decoder.decode(row["body"]).state.balance for row in rows}
    wrong = [one for one, points in expected.points.items() if balances.get(one) != points]
    found = f"{sum(balances.values()):,} points of {len(balances):,} customers, {len(wrong)} wrong"
    return Check("points as earned, customer by customer", found, not wrong)


async def _ledger(connection: Connection) -> Check:
    (postings, posted, balances), *_ = await connection.fetch(POSTINGS)
    found = f"{postings:,} postings sum up to {posted:,}, balances to {balances:,}"
    return Check("points add up in the ledger", found, posted == balances)


async def _messages(
    connection: Connection, shops: Shops, shop_id: str, events: Sequence[Event[Data]], until: datetime
) -> Check:
    wanted = _wanted(shops, events, until)
    deadline = monotonic() + ALARMS_TIMEOUT_S
    while True:
        rows = await connection.fetch(MESSAGES, shop_id, until)
        got = Counter(row["message_key"] for row in rows)
        waiting = sum(row["status"] in ("pending", "sending") for row in rows)
        if (len(got) >= len(wanted) and not waiting) or monotonic() > deadline:
            break
        await asyncio.sleep(POLL_S)
    lost, extra = wanted - got.keys(), got.keys() - wanted
    unsent = len(rows) - sum(row["status"] == "sent" for row in rows)
    found = f"{len(got):,} messages, {len(lost)} missing, {len(extra)} too many, {unsent} not sent"
    return Check("messages as in virtual time, each once", found, not lost and not extra and not unsent)


def _wanted(shops: Shops, events: Sequence[Event[Data]], until: datetime) -> set[str]:
    service = journeys.service(presets.load(shops))
    histories: defaultdict[tuple[str, str], list[Event[Data]]] = defaultdict(list)
    for event in events:
        histories[event.shop_id, event.customer_id].append(event)
    keys: set[str] = set()
    for customer, history in histories.items():
        aggregate = Aggregate(service.name, service.decide, *customer, None)
        for event in history:
            aggregate.take(event)
        aggregate.wake(until)
        told = [(fact.occurred_at, fact.data) for fact in aggregate.facts]
        keys |= {data.message_key for at, data in told if isinstance(data, MessageRequested) and at <= until}
    return keys


async def _notices(connection: Connection, shop_id: str, expected: Expected) -> Check:
    told = await connection.fetchval(NOTICES, shop_id)
    found = f"{expected.dispatched:,} orders dispatched, {told:,} notices"
    return Check("each dispatched order told, once", found, told == expected.dispatched)


async def _letters(connection: Connection) -> Check:
    counts = {name: await connection.fetchval(LETTERS.format(service=name)) for name in NAMES}
    found = ", ".join(f"{name} {count}" for name, count in counts.items())
    return Check("no dead letters", found, not any(counts.values()))
