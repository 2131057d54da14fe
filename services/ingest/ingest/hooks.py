"""The one road of platforms' webhooks: verified, converted, and then as every other event, accepted and flushed.

What cannot be converted or accepted is kept whole, sealed, and answered as a success: the platform could only send
the same again, and some give up on an address that refuses. A replay sends the delivery down the same road once more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http.client import responses
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Struct

from common.bus.dead_letters import DeadLetter
from common.clock import Clock
from common.contracts.envelope import Rejection
from common.shops import Shop
from common.telemetry import metrics
from common.web.auth import address_of
from common.web.limits import Limits
from common.web.paging import SlashesWithin
from common.web.problems import Problem
from ingest import store
from ingest.classes.finding import Classes
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Converted, Delivery, Ignored, PrivacyRequest
from ingest.counting import OUTCOMES, reason_of, start_counting
from ingest.deliveries import Raw
from ingest.domain.accept import Accepted, accept
from ingest.domain.review_topics import Table
from ingest.flusher import Flusher, written
from ingest.health import Health
from ingest.privacy.requests import Privacy
from ingest.sources import Source, Sources
from ingest.vault import Vault

LETTERS = "hooks/"  # before the source's id: the topic that a delivery's dead letter stands under


class Taken(Struct, frozen=True):
    """What became of a delivery: events that were new, those that were not, and why the rest was refused."""

    accepted: int = 0
    repeated: int = 0
    ignored: bool = False
    rejections: tuple[Rejection, ...] = ()


class Read(Struct, frozen=True):
    """What a delivery says: events to write, what is refused of it, what it asks for; or nothing for us."""

    accepted: tuple[Accepted, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    requests: tuple[PrivacyRequest, ...] = ()
    ignored: bool = False


class Hooks:
    """From a delivery to what became of it."""

    def __init__(
        self,
        flusher: Flusher,
        vault: Vault,
        sources: Sources,
        health: Health,
        clock: Clock,
        shops: Mapping[str, Shop],
        keywords: Mapping[str, Table],
        limits: Limits,
        privacy: Privacy,
        keeps_raw: bool,
        classes: Classes,
    ) -> None:
        self._flusher, self._vault, self._sources, self._health = flusher, vault, sources, health
        self._clock, self._shops, self._keywords, self._limits = clock, shops, keywords, limits
        self._privacy, self._keeps_raw, self._classes = privacy, keeps_raw, classes
        for kind in CONNECTORS:
            start_counting(kind)
            metrics.HOOK_SIGNATURE_FAILURES.labels(kind)
            metrics.HOOK_STALE.labels(kind)

    async def receive(self, source_id: str, request: Request) -> Response:
        """A platform's call; answered as the platform wants it when all of it is durable."""
        address = address_of(request)
        if not self._sources.holds(source_id):
            self._limits.addresses.check(address)
        source = await self._sources.find(source_id)
        if source is None:
            self._limits.addresses.charge(address)
            raise Problem(404, responses[404], "There is no such source.")
        connector, now = source.connector, self._clock.now()
        headers = {name: value for name in connector.heeds if (value := request.headers.get(name)) is not None}
        delivery = Delivery(await request.body(), headers, dict(request.query_params))
        if not connector.is_probe(delivery):
            # All secrets are tried, so that timing does not tell which one was meant.
            signed = [connector.is_signed(delivery, secret) for secret in source.active(now)]
            if not any(signed) and not connector.may_be_unsigned(delivery, source.origin.options):
                metrics.HOOK_SIGNATURE_FAILURES.labels(connector.kind).inc()
                self._health.count(source_id, now, signature_failures=1)
                self._limits.addresses.check(address)
                self._limits.addresses.charge(address)
                raise Problem(401, responses[401], "The signature is not that of any secret of this source.")
            self._limits.sources.check(source_id)
            self._limits.sources.charge(source_id)
            sent_at = connector.sent_at(delivery)
            if sent_at is not None and abs(now - sent_at) > connector.within:
                metrics.HOOK_STALE.labels(connector.kind).inc()
                raise Problem(401, responses[401], f"This was sent more than {connector.within} from now.")
            await self.take(source, delivery)
        answer = connector.answer(delivery, now)
        return Response(answer.body, answer.status, media_type=answer.media_type)

    async def take(self, source: Source, delivery: Delivery, polled: bool = False, keep: bool = True) -> Taken:
        """Down the road, without a look at signatures. Returns when it is durable. What was `polled` is no sign that
        webhooks come: the source's counts are not moved by it. To `keep` it is for what came from the platform now."""
        source_id, now = source.origin.source_id, self._clock.now()
        read = self.read(source, delivery, now)
        raw = Raw(source.shop_id, source_id, delivery, now, read.accepted, not read.rejections, only_news=polled)
        raws = [raw] if keep and self._keeps_raw else []
        if read.ignored:
            if not polled:
                self._health.count(source_id, now, ignored=1)
                await self.submit((), raws=raws)
            return Taken(ignored=True)
        accepted, rejections = read.accepted, read.rejections
        letters = []
        if rejections:  # whole, with the first reason: what was accepted of it is known by its ids at a replay
            sealed = self._vault.seal_letter(msgspec.json.encode(delivery))
            letters = [DeadLetter(LETTERS + source_id, f"{source.shop_id}/", sealed, rejections[0])]
        fresh = await self.submit(accepted, letters, raws)
        keys = {store.key_of(each.event) for each in accepted} & fresh
        fresh -= keys  # who sent the same at the same time has the same set: an event is new once
        new = len(keys)
        taken = Taken(new, len(accepted) - new, rejections=rejections)
        await self.ask(source, read.requests, now)
        self._tell(source.connector.kind, taken)
        if not polled:
            repeated = not new and not rejections and not read.requests
            self._health.count(source_id, now, accepted=new, repeated=int(repeated), refused=int(bool(rejections)))
        return taken

    def read(self, source: Source, delivery: Delivery, now: datetime) -> Read:
        """What the delivery says, with nothing done about it."""
        shop = self._shops.get(source.shop_id)
        if shop is None:
            raise Problem(
                403, "Unknown shop", f"the source's shop {source.shop_id!r} is not among those of this system"
            )
        outcome = source.connector.read(delivery, source.origin)
        if isinstance(outcome, Ignored):
            return Read(ignored=True)
        converted = Converted((), (outcome,)) if isinstance(outcome, Rejection) else outcome
        keywords = self._keywords[shop.shop_id]
        decided = [accept(each, shop.shop_id, shop.currency, now, False, keywords) for each in converted.events]
        accepted = tuple(each for each in decided if isinstance(each, Accepted))
        rejections = (*converted.rejections, *(each for each in decided if isinstance(each, Rejection)))
        return Read(accepted, rejections, converted.requests)

    async def submit(
        self, accepted: Sequence[Accepted], letters: Sequence[DeadLetter] = (), raws: Sequence[Raw] = ()
    ) -> set[store.EventKey]:
        """Returns when all is durable, with the keys that were new; a 503 when that cannot be."""
        return await written(self._flusher, self._classes.found(accepted), letters, raws)

    async def ask(self, source: Source, requests: Sequence[PrivacyRequest], now: datetime) -> None:
        """Before the platform is answered: what it passed on by law is not lost with this process."""
        for asked in requests:
            await self._privacy.request(
                source.shop_id, source.origin.source_id, asked.kind, asked.names, asked.reference, now
            )

    def _tell(self, kind: str, taken: Taken) -> None:
        counts = (taken.accepted, taken.repeated, len(taken.rejections))
        for outcome, count in zip(OUTCOMES, counts, strict=True):
            metrics.INGEST_EVENTS.labels(kind, outcome).inc(count)
        for rejection in taken.rejections:
            metrics.INGEST_REJECTIONS.labels(kind, reason_of(rejection)).inc()


def router(hooks: Hooks) -> APIRouter:
    """Where platforms point their webhooks."""
    routes = APIRouter()

    @routes.post("/v1/hooks/{source_id}", tags=["sources"])
    async def post_hook(source_id: Annotated[str, SlashesWithin], request: Request) -> Response:
        """A platform's call, signed with one of the source's secrets; answered as that platform expects."""
        return await hooks.receive(source_id, request)

    return routes
