"""The only wiring of segmentation."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from common.contracts.topics import INGEST_EVENTS, MEMBERSHIPS, SEGMENTATION_WORK
from common.house import House, Part
from common.service import Service
from segmentation import presets
from segmentation.api import router
from segmentation.domain.decide import decider
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.state import Profile
from segmentation.store import project


def service(rulebooks: Mapping[str, Rulebook]) -> Service[Profile]:
    """What makes segmentation a service of the road. It looks a rulebook up at every decision: they may change."""
    return Service(
        name="segmentation",
        reads=(INGEST_EVENTS,),
        writes=MEMBERSHIPS,
        work=SEGMENTATION_WORK,
        state=Profile,
        decide=decider(rulebooks),
        project=project,
    )


@asynccontextmanager
async def open_service(house: House) -> AsyncIterator[Part]:
    """Segmentation, running while the context is open; refuses to open on a faulty preset."""
    rulebooks = presets.load(house.shops)
    async with house.pool("segmentation") as pool:
        yield house.part(service(rulebooks), pool, router(pool, house.shops))
