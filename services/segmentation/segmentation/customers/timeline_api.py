"""The route of a customer's timeline: what is remembered of it and what was told of it, newest first."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
from fastapi import APIRouter
from pydantic import BaseModel, Field

from common.shops import Shop
from common.web.auth import Reader, shop_of
from common.web.paging import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Moment,
    PlainId,
    RowId,
    Text,
    decode_cursor,
    encode_cursor,
)
from segmentation.customers import queries, timeline
from segmentation.customers.told import facts
from segmentation.domain.now import seen
from segmentation.domain.profile.records import Series
from segmentation.domain.rulebook import Rulebook

# In a cursor: of the last event that was shown when, kind and name, of the last fact when and its id; or nothing.
_PLACES = (tuple[Moment, Text, Text] | None, tuple[Moment, RowId] | None)


class EntryOut(BaseModel):
    """Something that happened, as rules may ask about it, or that was told of the customer, under its id or that of
    somebody who was merged into it: `told_of` is that id, and `told` is true just where there is one."""

    at: datetime = Field(examples=["2026-05-04T12:00:00Z"])
    type: str = Field(examples=["segment.entered"])
    id: str = Field(examples=["3f0c2a9be1d84a6c"])
    told: bool = Field(examples=[True])
    told_of: str | None = Field(default=None, examples=["c1"])
    about: dict[str, Any] = Field(examples=[{"segment": "champions", "reason": "purchase o2"}])


class EarlierOut(BaseModel):
    """Events of a type that are no longer known one by one."""

    type: str = Field(examples=["visit"])
    events: int = Field(examples=[1312])
    first_at: datetime = Field(examples=["2025-01-02T09:00:00Z"])
    last_at: datetime = Field(examples=["2026-02-03T18:30:00Z"])


class TimelineOut(BaseModel):
    """A page; `next` is the cursor of the one after it, or null. `earlier` is what no page shows."""

    items: list[EntryOut]
    next: str | None = None
    earlier: list[EarlierOut]


def router(pool: asyncpg.Pool, shops: Mapping[str, Shop], books: Mapping[str, Rulebook]) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["customers"])

    @routes.get("/v1/customers/{customer_id:path}/timeline")
    async def get_timeline(
        customer_id: PlainId, caller: Reader, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> TimelineOut:
        """What a customer did and what was told of it, newest first: of each type of event the newest 200, and every
        fact, those of ids that were merged into it too; of who was erased, those since. An event that comes late
        stands at its own time."""
        shop = shop_of(shops, caller)
        position = timeline.Position(*(decode_cursor(cursor, *_PLACES) or ()))
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            known = await queries.customer(connection, shop.shop_id, customer_id)
            ids = await queries.family(connection, shop.shop_id, known.customer_id)
            told = await facts(connection, shop.shop_id, ids, position.fact, limit + 1)
        series = seen(books[shop.shop_id], known.customer_id, known.stored.state).series
        entries = timeline.merged(timeline.events(series, position), told, limit + 1)
        shown = entries[:limit]
        after = position.after(shown)
        return TimelineOut(
            items=[
                EntryOut(
                    at=one.at,
                    type=one.type,
                    id=one.id,
                    told=one.told_of is not None,
                    told_of=one.told_of,
                    about=dict(one.about),
                )
                for one in shown
            ],
            next=encode_cursor((after.event, after.fact)) if len(entries) > limit else None,
            earlier=_earlier(series),
        )

    return routes


def _earlier(series: Mapping[str, Series]) -> list[EarlierOut]:
    return [
        EarlierOut(type=kind, events=before.count, first_at=before.first_at, last_at=before.last_at)
        for kind, each in series.items()
        if (before := each.before) is not None
    ]
