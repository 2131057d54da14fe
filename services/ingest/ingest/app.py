"""Ingest's only wiring."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx

from common import presets
from common.house import House, Part
from ingest import access_api, hooks, reprocess, sources, sources_api
from ingest.api import Intake, router
from ingest.classes.finding import Classes
from ingest.deliveries import Housekeeping
from ingest.domain.review_topics import parse
from ingest.feeds.run import Feeds
from ingest.flusher import LANES, Flusher
from ingest.health import Health
from ingest.people import api as people_api
from ingest.people import rules as identity_rules
from ingest.people.naming import Naming
from ingest.people.settling import People
from ingest.people.whose import Whose
from ingest.privacy import api as privacy_api
from ingest.privacy.erasure import Eraser
from ingest.privacy.requests import Privacy
from ingest.reconcile import api as reconcile_api
from ingest.reconcile.reconciler import Reconciler
from ingest.things import api as orders_api
from ingest.things.forgetting import Forgetting
from ingest.tracking import add_tracking
from ingest.vault import Vault


@asynccontextmanager
async def open_service(house: House) -> AsyncIterator[Part]:
    """Ingest: its routes, the flusher, and the relay where there is a Kafka."""
    settings = house.settings
    vault = Vault.of(settings)
    async with house.pool("ingest") as pool, httpx.AsyncClient() as client:
        async with pool.acquire() as connection:
            await vault.check(connection)
        naming = Naming(vault, identity_rules.load(), house.shops)
        whose = Whose(naming)
        limits, keywords = house.limits, presets.load("ingest", house.shops, lambda text, _shop: parse(text))
        flusher = Flusher(pool, vault, house.clock, settings, house.bell, People(naming), whose)
        classes = Classes.of(house.shops)
        intake = Intake(flusher, vault, house.clock, house.shops, keywords, limits, settings.body_max_bytes, classes)
        health, held = Health(pool), sources.Sources(pool, vault)
        eraser = Eraser(pool, vault, whose, house.clock, house.bell)
        privacy = Privacy(pool, vault, whose, eraser, house.clock)
        housekeeping = Housekeeping(pool, house.clock, settings.raw_days)
        keeps_raw = settings.raw_days > 0
        road = hooks.Hooks(
            flusher, vault, held, health, house.clock, house.shops, keywords, limits, privacy, keeps_raw, classes
        )
        routes = router(pool, intake, vault)
        add_tracking(routes, intake)
        routes.include_router(hooks.router(road))
        routes.include_router(people_api.router(pool, intake, vault, naming))
        routes.include_router(sources_api.router(pool, vault, held, road, house.clock))
        routes.include_router(privacy_api.router(pool, vault, whose, privacy))
        routes.include_router(reprocess.router(pool, reprocess.Reprocess(pool, vault, held, road)))
        routes.include_router(reconcile_api.router(pool, vault, house.clock))
        routes.include_router(orders_api.router(pool, whose))
        routes.include_router(access_api.router(pool))
        pause = timedelta(seconds=settings.reconcile_s)
        reconciler = Reconciler(pool, vault, held.find, road, house.clock, client, pause)
        forgetting, feeds = Forgetting(pool, house.clock), Feeds(pool, held, road, house.clock)
        beside = (health.run, forgetting.run, feeds.run, reconciler.run, privacy.run, housekeeping.run)
        loops = (*[flusher.run] * LANES, *beside, *house.relays(pool, "ingest"))
        yield Part("ingest", pool, routes, loops, flusher.ready)
