"""Routes of reconciliation: a platform is asked for what its webhooks missed, from now on or no more."""

import asyncpg
from fastapi import APIRouter

from common.clock import Clock
from common.web import audit
from common.web.auth import Caller
from common.web.paging import PlainId
from common.web.problems import Problem
from ingest import sources
from ingest.sources import Refused, Rest
from ingest.sources_api import Operator, unknown_source
from ingest.vault import Vault


def router(pool: asyncpg.Pool, vault: Vault, clock: Clock) -> APIRouter:
    """A source's REST access."""
    routes = APIRouter(tags=["sources"])

    @routes.put("/v1/sources/{source_id}/rest", status_code=204)
    async def put_rest(source_id: PlainId, rest: Rest, caller: Operator) -> None:
        """Asks the platform's REST API from now on for what its webhooks missed."""
        await ask(source_id, rest, caller)

    @routes.delete("/v1/sources/{source_id}/rest", status_code=204)
    async def delete_rest(source_id: PlainId, caller: Operator) -> None:
        """Asks it no more, and forgets the credential."""
        await ask(source_id, None, caller)

    async def ask(source_id: str, rest: Rest | None, caller: Caller) -> None:
        try:
            async with pool.acquire() as connection, connection.transaction():
                known = await sources.ask(connection, vault, clock.now(), caller.shop_id, source_id, rest)
                if known:
                    await audit.note(connection, caller, "source.polled", source_id)
        except Refused as refused:
            path = refused.path.replace("$.rest.", "$.")  # the body is what stands under `rest` elsewhere
            raise Problem(422, "Invalid request", refused.reason, path=path) from None
        if not known:
            raise unknown_source()

    return routes
