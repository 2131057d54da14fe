"""Ingest's only wiring."""

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx

from common.house import House, Part
from ingest import hooks, sources, sources_api
from ingest.api import Intake, router
from ingest.flusher import LANES, Flusher
from ingest.health import Health
from ingest.reconcile import api as reconcile_api
from ingest.reconcile.reconciler import Reconciler
from ingest.tracking import add_tracking
from ingest.vault import Vault


@asynccontextmanager
async def open_service(house: House) -> AsyncIterator[Part]:
    """Ingest: its routes, the flusher, and the relay where there is a Kafka."""
    settings = house.settings
    if settings.vault_key is None:
        raise ValueError("REGULARS_VAULT_KEY is not set: 32 random bytes in base64, kept safe, never lost")
    vault = Vault(b64decode(settings.vault_key.get_secret_value()))
    async with house.pool("ingest") as pool, httpx.AsyncClient() as client:
        async with pool.acquire() as connection:
            await vault.check(connection)
            await sources.check(connection, vault)
        flusher = Flusher(pool, vault, house.clock, settings, house.bell)
        intake = Intake(flusher, vault, house.clock, house.shops, settings.body_max_bytes)
        health, held = Health(pool), sources.Sources(pool, vault)
        road = hooks.Hooks(flusher, vault, held, health, house.clock, house.shops)
        routes = router(pool, intake, vault)
        add_tracking(routes, intake)
        routes.include_router(hooks.router(road))
        routes.include_router(sources_api.router(pool, vault, held, road, house.clock))
        routes.include_router(reconcile_api.router(pool, vault, house.clock))
        pause = timedelta(seconds=settings.reconcile_s)
        reconciler = Reconciler(pool, vault, held.find, road, house.clock, client, pause)
        loops = (*[flusher.run] * LANES, health.run, reconciler.run, *house.relays(pool, "ingest"))
        yield Part("ingest", pool, routes, loops, flusher.ready)
