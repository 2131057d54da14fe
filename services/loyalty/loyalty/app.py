"""The only wiring of loyalty."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from common.contracts.topics import ACCOUNTS, INGEST_EVENTS, LOYALTY_WORK
from common.house import House, Part
from common.service import Service
from loyalty import presets
from loyalty.api import router
from loyalty.domain.account import Account
from loyalty.domain.decide import HEEDS, decider
from loyalty.domain.rules import Rules
from loyalty.store import project


def service(rules: Mapping[str, Rules]) -> Service[Account]:
    """What makes loyalty a service of the road."""
    return Service(
        name="loyalty",
        reads=(INGEST_EVENTS,),
        writes=ACCOUNTS,
        work=LOYALTY_WORK,
        state=Account,
        decide=decider(rules),
        project=project,
        heeds=HEEDS,
    )


@asynccontextmanager
async def open_service(house: House) -> AsyncIterator[Part]:
    """Loyalty, running while the context is open; refuses to open on a faulty preset."""
    rules = presets.load(house.shops)
    async with house.pool("loyalty") as pool:
        yield house.part(service(rules), pool, router(pool, rules, house.clock))
