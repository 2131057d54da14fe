"""The only wiring of notifier."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter

from common.contracts.topics import DELIVERIES, INGEST_EVENTS, NOTIFIER_WORK, REQUESTS
from common.house import House, Part
from common.service import Service
from notifier import wording
from notifier.api import router
from notifier.channels.mailbox import Mailbox
from notifier.channels.smtp import Smtp
from notifier.contacts import Contacts
from notifier.domain.decide import HEEDS, decider
from notifier.domain.state import State
from notifier.page import page
from notifier.sender import Sender
from notifier.store import project


def service() -> Service[State]:
    """What makes notifier a service of the road; raises TemplatesRefused on a faulty template."""
    return Service(
        name="notifier",
        reads=(REQUESTS, INGEST_EVENTS),
        writes=DELIVERIES,
        work=NOTIFIER_WORK,
        state=State,
        decide=decider(wording.packaged().check),
        project=project,
        heeds=HEEDS,
    )


@asynccontextmanager
async def open_service(house: House) -> AsyncIterator[Part]:
    """Notifier, running while the context is open; refuses to open on a faulty template."""
    settings = house.settings
    if settings.internal_key is None:
        raise ValueError("REGULARS_INTERNAL_KEY is not set: 32 or more characters, the same as ingest's")
    this = service()
    words = wording.packaged()
    url = settings.smtp_url
    smtp = Smtp(url.get_secret_value(), settings.mail_from) if url is not None else None
    async with house.pool(this.name) as pool, httpx.AsyncClient(base_url=settings.ingest_url) as client:
        road = house.road(this, pool)
        contacts = Contacts(client, settings.internal_key)
        sender = Sender(pool, words, contacts, Mailbox(pool), smtp, house.shops, settings, house.clock, house.bell)
        routes = APIRouter()
        routes.include_router(router(pool, words, house.shops, settings.sms_signature))
        routes.include_router(page(pool, house.shops))
        yield Part(
            name=this.name,
            pool=pool,
            router=routes,
            loops=(road.run, sender.run, *house.relays(pool, this.name, this.reads)),
            ready=lambda: road.ready() or sender.ready(),
        )
