"""Routes of static lists: put as a whole, by file or as JSON, and read."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg
from fastapi import APIRouter, Request
from pydantic import BaseModel

from common.contracts.envelope import Rejection
from common.shops import Shop
from common.web.auth import Reader, shop_of
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, PlainId, Text, decode_cursor
from common.web.problems import Problem
from segmentation.lists import files as list_files
from segmentation.lists import store as lists
from segmentation.own.answers import BackfillOut, Operator, backfill_out, problems
from segmentation.own.definition import Faulty
from segmentation.own.editing import Editing
from segmentation.rulebooks import jobs
from segmentation.rulebooks.held import Rulebooks

NOBODY = "holds no customers: ?empty=true (put-list --empty) takes everybody off the list"
# What is read here is documented here: a body of many ids is not worth FastAPI's way.
BODY = {"requestBody": {"required": True, "content": {kind: {"schema": {}} for kind in list_files.READERS}}}


class ListOut(BaseModel):
    """A static list, and how many customers stand on it; `backfill`: how far its last edit is felt."""

    list: str
    customers: int
    edited_at: datetime
    edited_by: str
    backfill: BackfillOut | None = None


class PutOut(BaseModel):
    """What putting a list came to."""

    list: str
    put_on: int
    taken_off: int


class MemberOut(BaseModel):
    """A customer on a list."""

    customer_id: str


def router(pool: asyncpg.Pool, shops: Mapping[str, Shop], editing: Editing, rulebooks: Rulebooks) -> APIRouter:
    """Lists' routes."""
    routes = APIRouter(tags=["segments"])

    @routes.put("/v1/lists/{name}", openapi_extra=BODY)
    async def put_list(name: PlainId, request: Request, caller: Operator, empty: bool = False) -> PutOut:
        """The list holds these customers from now on, and no others. CSV with a column customer_id, NDJSON, or a JSON
        array of ids. Ids never heard of become customers. Nobody at all is refused, unless `empty` says that it is
        meant."""
        shop_of(shops, caller)
        customers, faults = list_files.read(await request.body(), request.headers.get("content-type", ""))
        with problems(name):
            if faults:
                raise Faulty(*faults)
            if not customers and not empty:
                raise Faulty(Rejection("$", NOBODY))
            changes = await editing.put_list(caller, name, customers)
        await rulebooks.refresh()
        return PutOut(list=name, put_on=changes.put_on, taken_off=changes.taken_off)

    @routes.get("/v1/lists")
    async def get_lists(caller: Reader) -> list[ListOut]:
        """The shop's static lists."""
        shop_of(shops, caller)
        async with pool.acquire() as connection:
            return [_out(each) for each in await lists.find(connection, caller.shop_id, None)]

    @routes.get("/v1/lists/{name}")
    async def get_list(name: PlainId, caller: Reader) -> ListOut:
        """A list, and how far its last edit is felt."""
        shop_of(shops, caller)
        async with pool.acquire() as connection:
            found = await _find(connection, caller.shop_id, name)
            progress = await jobs.progress(connection, caller.shop_id, found.revision)
        return _out(found, backfill_out(progress))

    @routes.delete("/v1/lists/{name}")
    async def delete_list(name: PlainId, caller: Operator) -> PutOut:
        """Deletes a list: everybody is taken off. Refused while a live segment asks about it."""
        shop_of(shops, caller)
        async with pool.acquire() as connection:
            found = await _find(connection, caller.shop_id, name)
        with problems(name):
            await editing.delete_list(caller, name)
        await rulebooks.refresh()
        return PutOut(list=name, put_on=0, taken_off=found.customers)

    @routes.get("/v1/lists/{name}/members")
    async def get_members(
        name: PlainId, caller: Reader, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[MemberOut]:
        """The customers on a list by id, a page at a time."""
        shop_of(shops, caller)
        (after,) = decode_cursor(cursor, Text) or ("",)
        async with pool.acquire() as connection:
            await _find(connection, caller.shop_id, name)
            rows = await lists.members(connection, caller.shop_id, name, after, limit + 1)
        return Page.of([MemberOut(customer_id=each) for each in rows], limit, key=lambda row: (row.customer_id,))

    return routes


async def _find(connection: asyncpg.pool.PoolConnectionProxy, shop_id: str, name: str) -> lists.Listed:
    found = await lists.find(connection, shop_id, name)
    if not found:
        raise Problem(404, "Unknown list", f"there is no list {name!r}; GET /v1/lists lists them")
    return found[0]


def _out(found: lists.Listed, backfill: BackfillOut | None = None) -> ListOut:
    return ListOut(
        list=found.list,
        customers=found.customers,
        edited_at=found.edited_at,
        edited_by=found.edited_by,
        backfill=backfill,
    )
