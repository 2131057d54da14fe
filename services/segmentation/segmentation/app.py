"""The only wiring of segmentation."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
from fastapi import APIRouter

from common.clock import Clock
from common.contracts.topics import ACCOUNTS, DELIVERIES, INGEST_EVENTS, MEMBERSHIPS, SEGMENTATION_WORK
from common.house import House, Part
from common.service import Service
from common.shops import Shop
from segmentation import presets
from segmentation.api import router
from segmentation.deciding_time import measured
from segmentation.domain.decide import decider
from segmentation.domain.profile.notes import NEWS
from segmentation.domain.profile.state import Profile
from segmentation.domain.rulebook import Rulebook
from segmentation.lists import api as lists_api
from segmentation.models.rfm_publication import Publication, scaled
from segmentation.own import api as own_api
from segmentation.own import preview_api
from segmentation.own.editing import Editing
from segmentation.own.showing import Shown
from segmentation.presets import segment_files as segment_presets
from segmentation.rulebooks.backfill import Backfill
from segmentation.rulebooks.held import Rulebooks
from segmentation.segments.counting import Counting
from segmentation.store import project


def service(rulebooks: Mapping[str, Rulebook]) -> Service[Profile]:
    """What makes segmentation a service of the road. It looks a rulebook up at every decision: they may change."""
    return Service(
        name="segmentation",
        reads=(INGEST_EVENTS, ACCOUNTS, DELIVERIES),
        writes=MEMBERSHIPS,
        work=SEGMENTATION_WORK,
        state=Profile,
        decide=decider(rulebooks),
        project=project,
        told_aside=(ACCOUNTS, DELIVERIES),
        heeds=frozenset((*INGEST_EVENTS.events, *SEGMENTATION_WORK.events, *NEWS)),
    )


def own_routes(
    pool: asyncpg.Pool, shops: Mapping[str, Shop], rulebooks: Rulebooks, editing: Editing, clock: Clock
) -> tuple[APIRouter, ...]:
    """The routes of the rooms own/ and lists/."""
    shown = Shown(pool, rulebooks, {shop_id: segment_presets.trees(shop) for shop_id, shop in shops.items()})
    return (
        own_api.router(shops, editing, shown),
        preview_api.router(pool, shops, editing, clock),
        lists_api.router(pool, shops, editing, rulebooks),
    )


@asynccontextmanager
async def open_service(house: House) -> AsyncIterator[Part]:
    """Segmentation, running while the context is open; refuses to open on a faulty preset."""
    books = presets.load(house.shops)
    async with house.pool("segmentation") as pool:
        rulebooks = Rulebooks(pool, books, scaled)
        await rulebooks.load(house.clock.now())
        editing = Editing(pool, books, house.clock)
        routes = router(pool, house.shops, rulebooks, house.clock)
        for each in own_routes(pool, house.shops, rulebooks, editing, house.clock):
            routes.include_router(each)
        this = service(rulebooks)
        part = house.part(replace(this, decide=measured(this.decide)), pool, routes)
        backfill, counting = Backfill(pool, house.settings, house.bell), Counting(pool, house.clock)
        publication = Publication(pool, books, house.clock)
        published = (publication.run,) if house.settings.publish_scales else ()
        yield replace(part, loops=(*part.loops, rulebooks.run, backfill.run, counting.run, *published))
