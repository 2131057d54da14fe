"""How many customers a rule would hold for, and some of them with the reason, before it is saved.

Customers are asked in random order until the time is over: all of them is the number itself, some of them an estimate
with its error. A transaction that only reads shows them all as of one moment.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from math import ceil, sqrt

import asyncpg
import msgspec
from msgspec import Struct

from common.db.engine import Connection
from common.decision import Stored
from segmentation.domain.now import seen
from segmentation.domain.profile.person import Person, person_of
from segmentation.domain.profile.state import Profile
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.evaluate import Answer, evaluate
from segmentation.domain.rules.grid import CELLS, segment_id
from segmentation.domain.rules.rule import Segment
from segmentation.domain.rules.why import Why, why

BUDGET_S = 1.4  # for asking; with the ids and the answer a preview stays below two seconds
AT_ONCE = 25  # asked between two turns of the event loop: a millisecond or a few
FETCHED = 250  # bodies in one reading
DRAWN = 40_000  # customers of a larger shop that are drawn: more can hardly be asked in the time
PAGES_FROM = 300_000  # customers of a shop of which pages are drawn, since to draw one by one is to pass by them all
SHOWN = 10
Z = 1.96  # an interval of 95 per cent

COUNT = "SELECT count(*) FROM states WHERE shop_id = $1"
IDS = "SELECT customer_id FROM states WHERE shop_id = $1 ORDER BY random()"
ONE_BY_ONE = "SELECT customer_id FROM states TABLESAMPLE BERNOULLI ($2) WHERE shop_id = $1 ORDER BY random()"
BY_PAGES = "SELECT customer_id FROM states TABLESAMPLE SYSTEM ($2) WHERE shop_id = $1 ORDER BY random()"
BODIES = """
SELECT s.customer_id, s.body FROM unnest($2::text[]) AS k (customer_id)
JOIN states s ON s.shop_id = $1 AND s.customer_id = k.customer_id
"""

_IN, _OUT = Answer(path="", holds=True), Answer(path="", holds=False)
_STORED = msgspec.json.Decoder(Stored[Profile])


class Found(Struct, frozen=True):
    """A customer that the rule holds for, and why."""

    customer_id: str
    why: Why


class Preview(Struct, frozen=True):
    """`customers` are exact, or `error` more or less with a likelihood of 95 per cent, by `looked_at` of `of`."""

    customers: int
    exact: bool
    error: int
    looked_at: int
    of: int
    sample: tuple[Found, ...]


async def preview(
    pool: asyncpg.Pool,
    rulebook: Rulebook,
    segment: Segment,
    now: datetime,
    *,
    budget_s: float = BUDGET_S,
    monotonic: Callable[[], float] = time.monotonic,
) -> Preview:
    """Asks as many customers as there is time for."""
    deadline_s = monotonic() + budget_s
    survey = Survey(rulebook, segment, now)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        of = await connection.fetchval(COUNT, rulebook.shop_id)
        ids = await _in_random_order(connection, rulebook.shop_id, of)
        for first in range(0, len(ids), FETCHED):
            rows = await connection.fetch(BODIES, rulebook.shop_id, ids[first : first + FETCHED])
            for start in range(0, len(rows), AT_ONCE):
                for customer_id, body in rows[start : start + AT_ONCE]:
                    survey.ask(customer_id, body)
                await asyncio.sleep(0)
                if monotonic() > deadline_s:
                    return survey.outcome(of)
    return survey.outcome(of)


class Survey:
    """One rule, asked of customer after customer."""

    def __init__(self, rulebook: Rulebook, segment: Segment, now: datetime) -> None:
        self._rulebook, self._segment, self._now = rulebook, segment, now
        self._others = rulebook.needed([segment])
        self._looked_at = self._holds = 0
        self._shown: list[Found] = []

    def ask(self, customer_id: str, body: str) -> None:
        """Who was merged or erased is in no segment, and counts as one for whom the rule does not hold."""
        self._looked_at += 1
        stored = _STORED.decode(body)
        if stored.into or stored.state.resting:
            return
        book, profile = self._rulebook, stored.state
        at = max(self._now, stored.at)  # or the time that the customer has come to
        person = person_of(book.shop_id, customer_id, book.zone, profile, profile.answers, book.model_of)
        if self._answer(person, profile, at).holds:
            self._holds += 1
            if len(self._shown) < SHOWN:
                answer = self._answer(seen(book, customer_id, profile), profile, at)
                self._shown.append(Found(customer_id, why(self._segment.rule, answer)))

    def _answer(self, person: Person, profile: Profile, at: datetime) -> Answer:
        others = dict.fromkeys(CELLS, _OUT) | {segment_id(profile.lifecycle, profile.activity): _IN}
        for other in self._others:
            others[other.segment] = evaluate(other.rule, person, at, others)
        return evaluate(self._segment.rule, person, at, others)

    def outcome(self, of: int) -> Preview:
        """What it came to."""
        n, hits = self._looked_at, self._holds
        if n >= of:
            return Preview(hits, True, 0, n, of, tuple(self._shown))
        likely = (hits + 2) / (n + 4)  # Agresti and Coull: an estimate of none has an error too
        error = Z * sqrt(likely * (1 - likely) / (n + 4) * (1 - n / of)) * of
        return Preview(round(hits / max(n, 1) * of), False, ceil(error), n, of, tuple(self._shown))


async def _in_random_order(connection: Connection, shop_id: str, of: int) -> list[str]:
    if of <= DRAWN:
        rows = await connection.fetch(IDS, shop_id)
    else:
        rows = await connection.fetch(ONE_BY_ONE if of < PAGES_FROM else BY_PAGES, shop_id, 100.0 * DRAWN / of)
    return [row["customer_id"] for row in rows]
