"""Ingest's only wiring."""

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common import presets
from common.house import House, Part
from ingest import access_api, hooks, sources, sources_api
from ingest.api import Intake, router
from ingest.domain.review_topics import parse
from ingest.flusher import LANES, Flusher
from ingest.health import Health
from ingest.tracking import add_tracking
from ingest.vault import Vault


@asynccontextmanager
async def open_service(house: House) -> AsyncIterator[Part]:
    """Ingest: its routes, the flusher, and the relay where there is a Kafka."""
    settings = house.settings
    if settings.vault_key is None:
        raise ValueError("REGULARS_VAULT_KEY is not set: 32 random bytes in base64, kept safe, never lost")
    vault = Vault(b64decode(settings.vault_key.get_secret_value()))
    async with house.pool("ingest") as pool:
        async with pool.acquire() as connection:
            await vault.check(connection)
            await sources.check(connection, vault)
        limits, keywords = house.limits, presets.load("ingest", house.shops, lambda text, _shop: parse(text))
        flusher = Flusher(pool, vault, house.clock, settings, house.bell)
        intake = Intake(flusher, vault, house.clock, house.shops, keywords, limits, settings.body_max_bytes)
        health, held = Health(pool), sources.Sources(pool, vault)
        road = hooks.Hooks(flusher, vault, held, health, house.clock, house.shops, keywords, limits)
        routes = router(pool, intake, vault)
        add_tracking(routes, intake)
        routes.include_router(hooks.router(road))
        routes.include_router(sources_api.router(pool, vault, held, road, house.clock))
        routes.include_router(access_api.router(pool))
        loops = (*[flusher.run] * LANES, health.run, *house.relays(pool, "ingest"))
        yield Part("ingest", pool, routes, loops, flusher.ready)
