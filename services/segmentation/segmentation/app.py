"""The only wiring of segmentation."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from common.contracts.topics import INGEST_EVENTS, MEMBERSHIPS, SEGMENTATION_WORK
from common.house import House, Part
from common.service import Service
from segmentation import presets
from segmentation.api import router
from segmentation.domain.decide import decider
from segmentation.domain.lifecycle import Rules
from segmentation.domain.state import Profile
from segmentation.store import project


def service(rules: Mapping[str, Rules]) -> Service[Profile]:
    """What makes segmentation a service of the road."""
    return Service(
        name="segmentation",
        reads=(INGEST_EVENTS,),
        writes=MEMBERSHIPS,
        work=SEGMENTATION_WORK,
        state=Profile,
        decide=decider(rules),
        project=project,
    )


@asynccontextmanager
async def open_service(house: House) -> AsyncIterator[Part]:
    """Segmentation, running while the context is open; refuses to open on a faulty preset."""
    rules = presets.load(house.shops)
    async with house.pool("segmentation") as pool:
        yield house.part(service(rules), pool, router(pool, house.shops))
