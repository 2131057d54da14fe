"""What people ask of their data, by the shop or by a platform: written down at once, done soon, and once.

Erasing is ours to do: a loop takes what is open, whoever asked, and begins anew after a crash. An export is the shop's
to fetch. While a request is open its names are kept sealed; when it is done they are gone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import asyncpg
import msgspec
import structlog
from pydantic import BaseModel

from common.bus.bell import wait
from common.clock import Clock
from common.db.engine import Connection, is_outside
from common.web import audit
from common.web.auth import Caller
from ingest.domain.accept import Identity
from ingest.people.whose import Whose
from ingest.privacy import known_by
from ingest.privacy.erasure import Erased, Eraser
from ingest.rotation import REQUEST
from ingest.vault import Vault

log = structlog.get_logger()

Kind = Literal["export", "erase", "erase_shop"]
DUE = timedelta(days=30)  # as Shopify's terms and the GDPR's month say
LOOK_EVERY_S = 10.0  # for what another process took in and did not come to do
ONE_AT_A_TIME = 7_246_002  # advisory lock key
API = "api"  # the source of what the shop itself asks
PEOPLE_AT_ONCE = 100  # of a whole shop: all that is kept sealed is opened once for so many
MAX_IDS_KEPT = 100  # in what a request is said to have come to

# As often as a platform repeats it, it is one request.
ADD = """
INSERT INTO privacy_requests (shop_id, source_id, kind, reference, names, asked_at, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""
OPEN = """
SELECT id FROM privacy_requests WHERE done_at IS NULL AND kind <> 'export' AND id <> ALL($1) ORDER BY id LIMIT 1
"""
READ = "SELECT shop_id, source_id, kind, names, done_at, outcome FROM privacy_requests WHERE id = $1"
FIND = "SELECT id FROM privacy_requests WHERE (shop_id, source_id, kind, reference) = ($1, $2, $3, $4)"
DONE = """
UPDATE privacy_requests SET done_at = $2, outcome = $3, names = NULL WHERE id = $1 AND done_at IS NULL
"""
LIST = """
SELECT id, source_id, kind, reference, asked_at, due_at, done_at, outcome FROM privacy_requests
WHERE shop_id = $1 AND id > $2 AND ($4 OR done_at IS NULL) ORDER BY id LIMIT $3
"""
OF_SHOP = "SELECT names, kind, done_at FROM privacy_requests WHERE id = $1 AND shop_id = $2"

_NAMES = msgspec.json.Decoder(tuple[Identity, ...])


class RequestOut(BaseModel):
    """A request: asked when, due when, done when, and what was removed. An export is done when it was fetched."""

    id: int
    source_id: str
    kind: Kind
    reference: str
    asked_at: datetime
    due_at: datetime
    done_at: datetime | None
    outcome: Mapping[str, object] | None


class Privacy:
    """Takes requests, and does those that are ours to do."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, whose: Whose, eraser: Eraser, clock: Clock) -> None:
        self._whose = whose
        self._pool, self._vault, self._eraser, self._clock = pool, vault, eraser, clock
        self._asked = asyncio.Event()
        self._one = asyncio.Lock()

    async def request(
        self, shop_id: str, source_id: str, kind: str, names: Sequence[Identity], reference: str, at: datetime
    ) -> None:
        """Returns when the request is durable; the same again is the same request."""
        sealed = self._vault.masters.seal(msgspec.json.encode(tuple(names)), REQUEST)
        await self._pool.execute(ADD, shop_id, source_id, kind, reference, sealed, at, at + DUE)
        self._asked.set()

    async def erase(self, shop_id: str, customer_id: str, reference: str) -> Erased:
        """Erases a person now. Should we die meanwhile, the loop of the next process does."""
        await self.request(shop_id, API, "erase", (Identity("id", customer_id),), reference, self._clock.now())
        return await self.fulfil(await self._pool.fetchval(FIND, shop_id, API, "erase", reference))

    async def run(self) -> None:
        """Does what is open until cancelled; what fails is tried again the next time round."""
        while True:
            try:
                await self.run_open()
            except Exception as error:
                if not is_outside(error):
                    raise
                log.warning("privacy requests wait", cause=repr(error))
            await wait(self._asked, LOOK_EVERY_S)

    async def run_open(self) -> None:
        """Does all that is open and ours to do."""
        failed: list[int] = []
        while (request_id := await self._pool.fetchval(OPEN, failed)) is not None:
            try:
                await self.fulfil(request_id)
            except Exception as error:
                if is_outside(error):
                    raise
                log.exception("privacy request failed", request=request_id)
                failed.append(request_id)

    async def fulfil(self, request_id: int) -> Erased:
        """Does one request to erase; one that is done tells what it came to. One at a time, in all processes."""
        async with self._one, self._pool.acquire() as holding:
            await holding.execute("SELECT pg_advisory_lock($1)", ONE_AT_A_TIME)
            try:
                return await self._fulfil(request_id)
            finally:
                await holding.execute("SELECT pg_advisory_unlock($1)", ONE_AT_A_TIME)

    async def _fulfil(self, request_id: int) -> Erased:
        asked = await self._pool.fetchrow(READ, request_id)
        assert asked is not None, "requests are never deleted"
        if asked["done_at"] is not None:
            return msgspec.json.decode(asked["outcome"], type=Erased)
        shop_id, names = asked["shop_id"], _NAMES.decode(self._vault.masters.open(asked["names"], REQUEST))
        cause = f"request/{request_id}"
        if asked["kind"] == "erase_shop":
            erased, source_id = Erased(), asked["source_id"]
            async for ids in known_by.source_alone(self._pool, self._whose, shop_id, source_id, PEOPLE_AT_ONCE):
                erased = erased.plus(await self._eraser.erase(shop_id, ids, (), cause))
        else:
            async with self._pool.acquire() as connection:
                ids = await self.people(connection, shop_id, names)
            erased = await self._eraser.erase(shop_id, ids, names, cause)
        outcome = msgspec.json.encode(_counts(erased)).decode()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(DONE, request_id, self._clock.now(), outcome)
            if asked["source_id"] != API:  # who asks by a route is noted there, by the key
                platform = Caller(shop_id, frozenset(), f"platform:{asked['source_id']}")
                await audit.note(connection, platform, "person.erased", cause)
        return erased

    async def people(self, connection: Connection, shop_id: str, names: Sequence[Identity]) -> list[str]:
        """The customers that the names lead to."""
        return sorted(set((await self._whose.found(connection, shop_id, names)).values()))

    async def listed(self, shop_id: str, after: int, limit: int, everything: bool) -> list[RequestOut]:
        """The shop's requests that are open, or all."""
        rows = await self._pool.fetch(LIST, shop_id, after, limit, everything)
        return [
            RequestOut(**{**row, "outcome": row["outcome"] and msgspec.json.decode(row["outcome"])}) for row in rows
        ]

    async def asked_of(self, shop_id: str, request_id: int) -> tuple[Identity, ...] | None:
        """The names in an open request of the shop's; None where there is none."""
        row = await self._pool.fetchrow(OF_SHOP, request_id, shop_id)
        if row is None or row["names"] is None:
            return None
        return _NAMES.decode(self._vault.masters.open(row["names"], REQUEST))

    async def fetched(self, request_id: int) -> None:
        """The export was fetched."""
        await self._pool.execute(DONE, request_id, self._clock.now(), "{}")


def _counts(erased: Erased) -> Erased:
    """What is kept of an erasure: ids without end are not, when a whole shop's people were erased."""
    return msgspec.structs.replace(
        erased, customer_ids=erased.customer_ids[:MAX_IDS_KEPT], told=erased.told[:MAX_IDS_KEPT]
    )
