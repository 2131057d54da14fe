"""Routes about segments: which there are, how many are in them, now and over time, who, and who in several at once.

How a shop makes segments of its own stands in own/.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field

from common.clock import Clock
from common.decision import AN_INSTANT
from common.shops import Shop
from common.web.auth import Reader, shop_of
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Moment, Page, PlainId, Text, decode_cursor
from common.web.problems import Problem
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.grid import CELLS
from segmentation.segments import queries as segment_queries
from segmentation.segments.exports import MEDIA_TYPES, Format, lines
from segmentation.segments.overlaps import FEWEST_SEGMENTS, MOST_SEGMENTS, OverlapOut, shared
from segmentation.segments.wording import Kind, is_known, kind_of, name_of, unknown_segment

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
USUAL_STRETCH = timedelta(days=30)
MAX_LISTED_CHARS = 1_000

When = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST, description="RFC 3339, with an offset.")]
Listed = Annotated[
    str,
    Query(
        max_length=MAX_LISTED_CHARS,
        description=f"{FEWEST_SEGMENTS} to {MOST_SEGMENTS} segments, with commas.",
        examples=["champions,new-active"],
    ),
]


class SegmentOut(BaseModel):
    """A segment, named in the shop's language. `kind`: a cell of lifecycle x activity, of which everybody is in one; a
    preset; or the shop's own."""

    segment: str = Field(examples=["champions"])
    name: str = Field(examples=["Champions"])
    customers: int = Field(examples=[1204])
    kind: Kind = Field(examples=["preset"])


class MemberOut(BaseModel):
    """A customer in a segment, since when and why."""

    customer_id: str = Field(examples=["c1"])
    since: datetime = Field(examples=["2026-05-04T12:00:00Z"])
    reason: str = Field(examples=["purchase o2"])


class CountOut(BaseModel):
    """How many were in the segment at a moment, and how many had entered and left it since the sample before."""

    at: datetime = Field(examples=["2026-05-04T12:15:00Z"])
    customers: int = Field(examples=[1204])
    entered: int = Field(examples=[7])
    left: int = Field(examples=[3])


def router(pool: asyncpg.Pool, shops: Mapping[str, Shop], books: Mapping[str, Rulebook], clock: Clock) -> APIRouter:
    """The routes. Those that name their segment's place stand before any that takes all there is after /segments/."""
    routes = APIRouter(tags=["segments"])

    def known(shop: Shop, segment: str) -> None:
        if not is_known(books[shop.shop_id], segment):
            raise unknown_segment(segment)

    @routes.get("/v1/segments")
    async def get_segments(caller: Reader) -> list[SegmentOut]:
        """Every segment with the number of its customers as of now, the empty ones too."""
        shop = shop_of(shops, caller)
        async with pool.acquire() as connection:
            counts = await segment_queries.counts(connection, shop.shop_id)
        book = books[shop.shop_id]
        return [
            SegmentOut(
                segment=segment,
                name=name_of(book, segment, shop.locale),
                customers=counts.get(segment, 0),
                kind=kind_of(book, segment),
            )
            for segment in (*CELLS, *(one.segment for one in book.segments))
        ]

    @routes.get("/v1/segments/overlap")
    async def get_overlap(segments: Listed, caller: Reader) -> list[OverlapOut]:
        """How many customers are in each of the segments, in each two of them, and so on up to all of them."""
        shop = shop_of(shops, caller)
        names = list(dict.fromkeys(name.strip() for name in segments.split(",")))
        if not FEWEST_SEGMENTS <= len(names) <= MOST_SEGMENTS:
            raise Problem(
                422, "Invalid request", f"name {FEWEST_SEGMENTS} to {MOST_SEGMENTS} segments, with commas", "$.segments"
            )
        for name in names:
            known(shop, name)
        async with pool.acquire() as connection:
            return shared(names, await segment_queries.overlap(connection, shop.shop_id, names))

    @routes.get("/v1/segments/{segment}/members")
    async def get_members(
        segment: PlainId, caller: Reader, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[MemberOut]:
        """The customers in a segment by id, a page at a time."""
        shop = shop_of(shops, caller)
        known(shop, segment)
        (after,) = decode_cursor(cursor, Text) or ("",)
        async with pool.acquire() as connection:
            rows = await segment_queries.members(connection, shop.shop_id, segment, after, limit + 1)
        return Page.of([MemberOut(**row._asdict()) for row in rows], limit, key=lambda row: (row.customer_id,))

    @routes.get(
        "/v1/segments/{segment}/export",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/csv": {}, "application/x-ndjson": {}}, "description": "The file."}},
    )
    async def get_export(segment: PlainId, caller: Reader, format: Format = "csv") -> StreamingResponse:  # noqa: A002 - the word of the query
        """All customers in a segment as one file: customer_id, since, reason."""
        shop = shop_of(shops, caller)
        known(shop, segment)
        return StreamingResponse(
            lines(pool, shop.shop_id, segment, format),
            media_type=MEDIA_TYPES[format],
            headers={"Content-Disposition": f'attachment; filename="{segment}.{format}"'},
        )

    @routes.get("/v1/segments/{segment}/counts")
    async def get_counts(
        segment: PlainId,
        caller: Reader,
        since: When | None = None,
        until: When | None = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[CountOut]:
        """How many were in a segment over time, oldest first: every quarter of an hour for the last five weeks, once a
        day before. Without `since` the last 30 days before `until`, which is now without one."""
        shop = shop_of(shops, caller)
        end = until or clock.now()
        begin = since or max(EARLIEST, end - USUAL_STRETCH)
        if cursor is not None:
            (after,) = decode_cursor(cursor, Moment) or (begin,)
            begin = max(begin, min(after, LATEST) + AN_INSTANT)
        async with pool.acquire() as connection:
            rows = await segment_queries.samples(connection, shop.shop_id, segment, begin, end, limit + 1)
        if not rows:  # else it is there, or was archived, of which the numbers are kept
            known(shop, segment)
        shown = [CountOut(at=row.at, customers=row.members, entered=row.entered, left=row.left) for row in rows]
        return Page.of(shown, limit, key=lambda row: (row.at,))

    return routes
