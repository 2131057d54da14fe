"""The route of who is about to leave: for whoever calls these customers, writes to them, or looks what came of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import asyncpg
from fastapi import APIRouter
from pydantic import BaseModel, Field

from common.shops import Shop
from common.web.auth import Reader, shop_of
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, Text, decode_cursor
from common.web.problems import Problem
from segmentation.domain.rulebook import Rulebook
from segmentation.models import queries as model_queries
from segmentation.models.queries import Said

Outcome = Literal["pending", "kept", "lost"]
# The segments of presets/segments/ that the lists are of, by what came of the latest warning.
SEGMENTS: Mapping[Outcome, str] = {"pending": "churn_warned", "kept": "churn_kept", "lost": "churn_lost"}


class LeavingOut(BaseModel):
    """A customer who looks like leaving: since when it is on the list, how many points of 100 against its own rhythm
    and for what, when it was last warned of, what came of that, and the journeys that spoke to it since."""

    customer_id: str = Field(examples=["c1"])
    since: datetime = Field(examples=["2026-05-04T12:00:00Z"])
    score: int = Field(examples=[70])
    reasons: list[str] = Field(examples=[["silence", "frequency"]])
    warned_at: datetime | None = Field(examples=["2026-05-04T12:00:00Z"])
    outcome: str | None = Field(examples=["pending"])
    offers: list[str] = Field(examples=[["win_back"]])


def router(pool: asyncpg.Pool, shops: Mapping[str, Shop], books: Mapping[str, Rulebook]) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["models"])

    @routes.get("/v1/churn")
    async def get_churn(
        caller: Reader, outcome: Outcome = "pending", limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[LeavingOut]:
        """The customers who were warned of, by id, a page at a time: why, what reached them since, and what came of it.
        Pending are those who are about to leave; kept bought again in time, lost did not."""
        shop, segment = shop_of(shops, caller), SEGMENTS[outcome]
        if segment not in books[shop.shop_id].by_id:
            raise Problem(404, "Unknown segment", f"the shop's preset has no segment {segment!r}")
        (after,) = decode_cursor(cursor, Text) or ("",)
        async with pool.acquire() as connection:
            rows = await model_queries.of_segment(connection, shop.shop_id, segment, after, limit + 1)
        return Page.of([_leaving(row) for row in rows], limit, key=lambda one: (one.customer_id,))

    return routes


def _leaving(row: Said) -> LeavingOut:
    facts = row.facts
    return LeavingOut(
        customer_id=row.customer_id,
        since=row.since,
        score=facts.get("churn.score", 0),
        reasons=list(facts.get("churn.reasons", ())),
        warned_at=facts.get("churn.warned_at"),
        outcome=facts.get("churn.outcome"),
        offers=list(facts.get("churn.offers", ())),
    )
