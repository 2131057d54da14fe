"""Routes about a person's own data: consents, everything we have, forgetting it, and what people have asked for."""

import secrets
from http.client import responses
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Depends, Path
from msgspec import structs
from pydantic import BaseModel

from common.web import audit
from common.web.auth import Caller, Reader, requires
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, PlainId, RowId, decode_cursor
from common.web.problems import Problem
from ingest import consents
from ingest.consents import ConsentsOut
from ingest.people.whose import Whose
from ingest.privacy import personal_data
from ingest.privacy.requests import Privacy, RequestOut
from ingest.vault import Vault

Operator = Annotated[Caller, Depends(requires("operate"))]
RequestId = Annotated[int, Path(ge=1, le=2**63 - 1)]  # PostgreSQL's bigint
Admin = Annotated[Caller, Depends(requires("admin"))]


class ErasedOut(BaseModel):
    """What was removed: wrapped keys, sealed values, names that led here, statements of consent, deliveries and refused
    events. `told` are the ids that the other services were told to forget."""

    customer_ids: list[str]
    told: list[str]
    keys: int
    values: int
    names: int
    statements: int
    deliveries: int
    dead_letters: int


class PeopleOut(BaseModel):
    """Whom a request is about, as far as they are known."""

    customer_ids: list[str]


def router(pool: asyncpg.Pool, vault: Vault, whose: Whose, privacy: Privacy) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["privacy"])

    @routes.get("/v1/customers/{customer_id:path}/consents")
    async def get_consents(customer_id: PlainId, caller: Reader) -> ConsentsOut:
        """What the customer allows now, per channel and purpose, and all that was ever stated, newest first; its proof
        is shown to a key with the scope `operate`."""
        async with pool.acquire() as connection:
            ids = await whose.ids_of(connection, caller.shop_id, customer_id)
            shown = vault if caller.may("operate") else None
            return await consents.of_customer(connection, shown, caller.shop_id, customer_id, ids)

    @routes.get("/v1/customers/{customer_id:path}/personal-data")
    async def get_personal_data(customer_id: PlainId, caller: Admin) -> dict[str, Any]:
        """Everything that ingest has about the person, by all ids, opened. `regulars privacy export` adds the other
        services'."""
        async with pool.acquire() as connection:
            await audit.note(connection, caller, "person.exported", customer_id)
            return await personal_data.of_person(connection, vault, whose, caller.shop_id, customer_id)

    @routes.post("/v1/customers/{customer_id:path}/erase")
    async def post_erase(customer_id: PlainId, caller: Admin) -> ErasedOut:
        """Forgets the person, by all ids, for good. The same again finds nothing left."""
        async with pool.acquire() as connection:  # first: who asked is known even where it is cut short
            await audit.note(connection, caller, "person.erased", customer_id)
        erased = await privacy.erase(caller.shop_id, customer_id, secrets.token_hex(8))
        return ErasedOut(**structs.asdict(erased))

    @routes.get("/v1/privacy/requests")
    async def get_requests(
        caller: Operator, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None, everything: bool = False
    ) -> Page[RequestOut]:
        """What people asked for that is still to be done; with `everything`, what was done too."""
        (after,) = decode_cursor(cursor, RowId) or (0,)
        rows = await privacy.listed(caller.shop_id, after, limit + 1, everything)
        return Page.of(rows, limit, key=lambda request: (request.id,))

    @routes.get("/v1/privacy/requests/{request_id}/customers")
    async def get_people(request_id: RequestId, caller: Admin) -> PeopleOut:
        """Whom an open request is about: to fetch their data, and say so by `.../fetched`."""
        names = await privacy.asked_of(caller.shop_id, request_id)
        if names is None:
            raise Problem(404, responses[404], "This shop has no such open request.")
        async with pool.acquire() as connection:
            return PeopleOut(customer_ids=await privacy.people(connection, caller.shop_id, names))

    @routes.post("/v1/privacy/requests/{request_id}/fetched", status_code=204)
    async def post_fetched(request_id: RequestId, caller: Admin) -> None:
        """The export that was asked for has been fetched, for the person to have."""
        if await privacy.asked_of(caller.shop_id, request_id) is None:
            raise Problem(404, responses[404], "This shop has no such open request.")
        await privacy.fetched(request_id)

    return routes
