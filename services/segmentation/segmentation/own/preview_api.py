"""The route that looks at a rule before it is saved."""

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg
import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from common.clock import Clock
from common.shops import Shop
from common.web.auth import Reader, shop_of
from common.web.problems import unavailable
from segmentation.own.answers import RuleTree, problems
from segmentation.own.editing import Editing, Wording
from segmentation.own.preview import preview

PREVIEWS_MAX = 4  # one is worked on and three wait; further callers are asked to come again


class Asked(BaseModel):
    """A rule to look at; what else a segment's file says is taken and passed over."""

    model_config = ConfigDict(extra="forbid")

    rule: RuleTree
    segment: Any = None
    names: Any = None
    version: Any = None


class SampledOut(BaseModel):
    """A customer that the rule holds for; `why` are the rule's parts with their answers."""

    customer_id: str
    why: dict[str, Any]


class PreviewOut(BaseModel):
    """How many customers a rule would hold for: `exact`, or estimated from a random sample (`looked_at` of `of`), then
    `error` more or less, 19 times of 20."""

    customers: int
    exact: bool
    error: int
    looked_at: int
    of: int
    sample: list[SampledOut]


def router(pool: asyncpg.Pool, shops: Mapping[str, Shop], editing: Editing, clock: Clock) -> APIRouter:
    """The preview's route."""
    routes = APIRouter(tags=["segments"])
    turn = asyncio.Semaphore(1)
    waiting = 0

    @routes.post("/v1/segments/preview")
    async def post_preview(asked: Asked, caller: Reader) -> PreviewOut:
        """How many customers a rule would hold for, and some of them with the reason. Nothing is saved."""
        nonlocal waiting
        shop_of(shops, caller)
        if waiting >= PREVIEWS_MAX:
            raise unavailable("Too many previews at a time.")
        waiting += 1
        try:
            async with turn:
                with problems(""):
                    async with pool.acquire() as connection:
                        book, segment = await editing.check(connection, caller.shop_id, Wording({}, asked.rule))
                found = await preview(pool, book, segment, clock.now())
        finally:
            waiting -= 1
        return PreviewOut(**msgspec.to_builtins(found))

    return routes
