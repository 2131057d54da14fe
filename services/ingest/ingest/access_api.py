"""Routes of who may do what: a shop's API keys made, listed and revoked, and the audit log."""

from datetime import datetime
from http.client import responses
from typing import Annotated, Literal

import asyncpg
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from common.web import audit
from common.web.auth import Caller, KeyRing, create_key, key_id_of, requires
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, PlainId, RowId, decode_cursor
from common.web.problems import Problem
from ingest import queries
from ingest.access import KeyShown, list_keys, revoke_key

Admin = Annotated[Caller, Depends(requires("admin"))]


class NewKey(BaseModel):
    """A key to make, for the caller's shop. `internal` opens the vault of every shop: only the command makes it."""

    model_config = ConfigDict(extra="forbid")

    scopes: Annotated[list[Literal["ingest", "read", "operate", "admin"]], Field(min_length=1, max_length=4)]


class MadeKey(BaseModel):
    """A key, told this once."""

    key_id: str
    key: str


class Noted(BaseModel):
    """One act. `who` is the id of a key, "cli" for the command, or "platform:<source id>"."""

    id: int
    at: datetime
    who: str
    action: str
    target: str
    request_id: str


def router(pool: asyncpg.Pool) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["access"])

    @routes.get("/v1/keys")
    async def get_keys(caller: Admin) -> list[KeyShown]:
        """The shop's keys, the revoked ones too; of the keys themselves nothing is kept."""
        async with pool.acquire() as connection:
            return await list_keys(connection, caller.shop_id)

    @routes.post("/v1/keys", status_code=201)
    async def post_key(new: NewKey, caller: Admin) -> MadeKey:
        """Makes a key, told this once."""
        async with pool.acquire() as connection, connection.transaction():
            key = await create_key(connection, caller.shop_id, new.scopes)
            made = MadeKey(key_id=key_id_of(key), key=key)
            await audit.note(connection, caller, "key.made", made.key_id)
        return made

    @routes.delete("/v1/keys/{key_id}", status_code=204)
    async def delete_key(key_id: PlainId, request: Request, caller: Admin) -> None:
        """Revokes a key. The process that was asked refuses it at once, any other within 30 s."""
        async with pool.acquire() as connection, connection.transaction():
            if await revoke_key(connection, key_id, caller.shop_id) is None:
                raise Problem(404, responses[404], "This shop has no such key, or it is revoked.")
            await audit.note(connection, caller, "key.revoked", key_id)
        ring: KeyRing = request.app.state.key_ring
        ring.forget(key_id)

    @routes.get("/v1/audit")
    async def get_audit(caller: Admin, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Page[Noted]:
        """What was done in the shop's name, newest first."""
        (before,) = decode_cursor(cursor, RowId) or (None,)
        async with pool.acquire() as connection:
            rows = await connection.fetch(queries.AUDIT, caller.shop_id, before, limit + 1)
        return Page.of([Noted(**dict(row)) for row in rows], limit, key=lambda noted: (noted.id,))

    return routes
