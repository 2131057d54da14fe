"""The only wiring of journeys."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from common.contracts.topics import INGEST_EVENTS, JOURNEYS_WORK, REQUESTS
from common.house import House, Part
from common.service import Service
from journeys import presets
from journeys.api import router
from journeys.domain.decide import decider, heeds
from journeys.domain.enrollment import State
from journeys.presets import Definitions
from journeys.store import project


def service(definitions: Mapping[str, Definitions]) -> Service[State]:
    """What makes journeys a service of the road."""
    return Service(
        name="journeys",
        reads=(INGEST_EVENTS,),
        writes=REQUESTS,
        work=JOURNEYS_WORK,
        state=State,
        decide=decider(definitions),
        project=project,
        heeds=heeds(definitions),
    )


@asynccontextmanager
async def open_service(house: House) -> AsyncIterator[Part]:
    """Journeys, running while the context is open; refuses to open on a faulty journey file."""
    definitions = presets.load(house.shops)
    async with house.pool("journeys") as pool:
        yield house.part(service(definitions), pool, router(pool, definitions))
