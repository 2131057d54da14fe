"""Routes of sources: made, listed, given another secret; and a delivery that was kept is sent down the road again."""

from datetime import timedelta
from http.client import responses
from typing import Annotated, Any

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from common.clock import Clock
from common.web import audit
from common.web.auth import Caller, requires
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, PlainId, Text, decode_cursor
from common.web.problems import Problem
from ingest import sources
from ingest.connectors.port import Delivery
from ingest.hooks import Hooks
from ingest.sources import Listed, Refused, Rest, Sources, Told
from ingest.vault import Vault

MAX_OLD_VALID_HOURS = 24 * 90
USUAL_OLD_VALID_HOURS = 24 * 7

Operator = Annotated[Caller, Depends(requires("operate"))]
Secret = Annotated[str, Field(min_length=8, max_length=500, pattern=r"^[^\x00-\x1f]+$")]

_DELIVERY = msgspec.json.Decoder(Delivery)


class NewSource(BaseModel):
    """A connection to make. A platform that makes the secret itself may be told of later."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    name: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = ""
    options: dict[str, Any] = {}
    secret: Secret | None = None
    rest: Rest | None = None


class NewSecret(BaseModel):
    """Another secret, ours if none is given; the one before stays good for some hours, 0 ends it at once."""

    model_config = ConfigDict(extra="forbid")

    secret: Secret | None = None
    old_valid_hours: Annotated[int, Field(ge=0, le=MAX_OLD_VALID_HOURS)] = USUAL_OLD_VALID_HOURS


def router(pool: asyncpg.Pool, vault: Vault, held: Sources, hooks: Hooks, clock: Clock) -> APIRouter:
    """Sources' routes."""
    routes = APIRouter(tags=["sources"])

    @routes.post("/v1/sources", status_code=201)
    async def post_source(new: NewSource, caller: Operator) -> Told:
        """Makes a source: `path`, behind this system's public address, is what the platform is pointed at."""
        try:
            async with pool.acquire() as connection, connection.transaction():
                made = await sources.add(
                    connection,
                    vault,
                    clock.now(),
                    caller.shop_id,
                    new.kind,
                    new.name,
                    new.options,
                    new.secret,
                    new.rest,
                )
                await audit.note(connection, caller, "source.made", made.source_id)
                return made
        except Refused as refused:
            raise _problem(refused) from None

    @routes.get("/v1/sources")
    async def get_sources(caller: Operator, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Page[Listed]:
        """The shop's sources, how many secrets are good, and what came from each."""
        (after,) = decode_cursor(cursor, Text) or ("",)
        async with pool.acquire() as connection:
            rows = await sources.listed(connection, clock.now(), caller.shop_id, after, limit + 1)
        return Page.of(rows, limit, key=lambda source: (source.source_id,))

    @routes.post("/v1/sources/{source_id}/secrets", status_code=201)
    async def post_secret(source_id: PlainId, new: NewSecret, caller: Operator) -> Told:
        """Gives the source another secret."""
        old_valid = timedelta(hours=new.old_valid_hours)
        try:
            async with pool.acquire() as connection, connection.transaction():
                told = await sources.rotate(
                    connection, vault, clock.now(), caller.shop_id, source_id, new.secret, old_valid
                )
                if told is not None:
                    await audit.note(connection, caller, "source.rotated", source_id)
        except Refused as refused:
            raise _problem(refused) from None
        held.forget(source_id)
        if told is None:
            raise unknown_source()
        return told

    @routes.delete("/v1/sources/{source_id}", status_code=204)
    async def delete_source(source_id: PlainId, caller: Operator) -> None:
        """Removes a source with its secrets. What it brought stays; what comes to its address is refused, and what was
        kept of it because it could not be converted cannot be replayed any more."""
        async with pool.acquire() as connection, connection.transaction():
            if not await sources.remove(connection, caller.shop_id, source_id):
                raise unknown_source()
            await audit.note(connection, caller, "source.removed", source_id)
        held.forget(source_id)

    _add_deliveries(routes, pool, held, hooks)
    return routes


def _add_deliveries(routes: APIRouter, pool: asyncpg.Pool, held: Sources, hooks: Hooks) -> None:
    @routes.post("/v1/sources/{source_id}/deliveries", status_code=202)
    async def post_delivery(source_id: PlainId, request: Request, caller: Operator) -> Response:
        """A delivery as its dead letter holds it, for a replay: no signature is looked at."""
        source = await held.find(source_id)
        if source is None or source.shop_id != caller.shop_id:
            raise unknown_source()
        try:
            delivery = _DELIVERY.decode(await request.body())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Problem(400, "Malformed request", "no delivery as dead letters hold them", path="$") from None
        async with pool.acquire() as connection:
            await audit.note(connection, caller, "delivery.replayed", source_id)
        taken = await hooks.take(source, delivery, keep=False)
        if taken.rejections:
            raise Problem(422, "Delivery rejected", taken.rejections[0].reason, path=taken.rejections[0].path)
        status = "ignored" if taken.ignored else "accepted" if taken.accepted else "duplicate"
        return Response(msgspec.json.encode({"status": status}), 202, media_type="application/json")


def unknown_source() -> Problem:
    """Another shop's, or nobody's."""
    return Problem(404, responses[404], "This shop has no such source.")


def _problem(refused: Refused) -> Problem:
    return Problem(422, "Invalid request", refused.reason, path=refused.path)
