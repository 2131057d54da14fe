"""Deliveries that were kept, converted once more with today's connector: the same ids, so only what is new counts."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from http.client import responses
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Depends
from msgspec import structs
from pydantic import BaseModel, ConfigDict, Field

from common.web import audit
from common.web.auth import Caller, requires
from common.web.paging import Moment, PlainId, RowId, decode_cursor, encode_cursor
from common.web.problems import Problem
from ingest import deliveries, store
from ingest.deliveries import Kept
from ingest.domain.accept import Accepted
from ingest.hooks import Hooks, Read
from ingest.sources import Source, Sources
from ingest.vault import Vault

CHUNK_DELIVERIES = 200  # in one request, and one flush

SOURCES = """
SELECT source_id FROM sources WHERE shop_id = $1 AND ($2::text IS NULL OR source_id = $2)
    AND ($3::text IS NULL OR kind = $3)
"""

Operator = Annotated[Caller, Depends(requires("operate"))]
Aware = Annotated[datetime, Field(description="With an offset.")]


class Again(BaseModel):
    """Which deliveries: of a source, or of all sources of a connector, received from `since` on and before `until`. A
    dry run only counts. `cursor` is `next` of the chunk before."""

    model_config = ConfigDict(extra="forbid")

    source_id: PlainId | None = None
    connector: PlainId | None = None
    since: Aware
    until: Aware | None = None
    dry_run: bool = False
    cursor: str | None = None


class Counts(BaseModel):
    """What a chunk came to: of events `new` and `repeated`; of deliveries those ignored, with something refused, and
    unreadable since. `next` is the cursor of what is left."""

    deliveries: int = 0
    new: int = 0
    repeated: int = 0
    ignored: int = 0
    refused: int = 0
    unreadable: int = 0
    next: str | None = None


class Reprocess:
    """Takes kept deliveries down the road again, a chunk at a time."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, sources: Sources, hooks: Hooks) -> None:
        self._pool, self._vault, self._sources, self._hooks = pool, vault, sources, hooks

    async def chunk(self, shop_id: str, wanted: Again) -> Counts:
        """The next chunk; everything of it is durable when it returns."""
        found = await self._pool.fetch(SOURCES, shop_id, wanted.source_id, wanted.connector)
        if not found:
            raise Problem(404, responses[404], "This shop has no such source.")
        after = decode_cursor(wanted.cursor, Moment, RowId) or (wanted.since, 0)
        async with self._pool.acquire() as connection:
            kept = await deliveries.read(
                connection,
                self._vault,
                shop_id,
                [source_id for (source_id,) in found],
                (after[0], after[1]),
                wanted.until,
                CHUNK_DELIVERIES + 1,
            )
        more, kept = len(kept) > CHUNK_DELIVERIES, kept[:CHUNK_DELIVERIES]
        read = [
            (one, source, _as_then(self._hooks, source, one)) for one in kept if (source := await self._source(one))
        ]
        accepted = [each for _, _, said in read if said is not None for each in said.accepted]
        keys = {store.key_of(each.event) for each in accepted}
        new = await self._new(keys) if wanted.dry_run else await self._submit(accepted, keys)
        if not wanted.dry_run:
            for one, source, said in read:
                if said is not None and said.requests:
                    await self._hooks.ask(source, said.requests, one.received_at)
        outcomes = [said for _, _, said in read if said is not None]
        return Counts(
            deliveries=len(kept),
            new=new,
            repeated=len(keys) - new,
            ignored=sum(said.ignored for said in outcomes),
            refused=sum(bool(said.rejections) for said in outcomes),
            unreadable=len(kept) - len(outcomes),
            next=encode_cursor((kept[-1].received_at, kept[-1].id)) if more else None,
        )

    async def _source(self, one: Kept) -> Source | None:
        return await self._sources.find(one.source_id)

    async def _new(self, keys: AbstractSet[store.EventKey]) -> int:
        async with self._pool.acquire() as connection:
            return len(keys) - await store.seen(connection, list(keys))

    async def _submit(self, accepted: Sequence[Accepted], keys: AbstractSet[store.EventKey]) -> int:
        if not accepted:
            return 0
        fresh = await self._hooks.submit(accepted)
        new = keys & fresh
        fresh -= new  # who sent the same at the same time has the same set: an event is new once
        return len(new)


def _as_then(hooks: Hooks, source: Source, one: Kept) -> Read | None:
    """What it says, with today's connector, as if it came when it came: an event without a time of its own happened
    then. None where it cannot be opened any more."""
    if one.delivery is None:
        return None
    read = hooks.read(source, one.delivery, one.received_at)
    return structs.replace(read, accepted=tuple(structs.replace(each, timed=True) for each in read.accepted))


def router(pool: asyncpg.Pool, again: Reprocess) -> APIRouter:
    """The one route."""
    routes = APIRouter(tags=["sources"])

    @routes.post("/v1/deliveries/reprocess")
    async def post_reprocess(wanted: Again, caller: Operator) -> Counts:
        """Converts kept deliveries again, a chunk at a time, oldest first, with the connector as it is today."""
        if (wanted.source_id is None) == (wanted.connector is None):
            raise Problem(422, "Invalid request", "expected either source_id or connector", path="$")
        for name in ("since", "until"):
            if (at := getattr(wanted, name)) is not None and at.tzinfo is None:
                raise Problem(422, "Invalid request", "expected a time with an offset", path=f"$.{name}")
        if wanted.cursor is None and not wanted.dry_run:
            async with pool.acquire() as connection:
                await audit.note(
                    connection, caller, "deliveries.reprocessed", wanted.source_id or str(wanted.connector)
                )
        return await again.chunk(caller.shop_id, wanted)

    return routes
