"""Ingest's routes: events in, refused events listed, and the vault's door for the other services."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from common.bus.dead_letters import DeadLetter
from common.clock import Clock
from common.contracts.envelope import Rejection
from common.shops import Shop
from common.telemetry import metrics
from common.web.app import direct
from common.web.auth import INTERNAL, Caller, requires
from common.web.limits import Limits
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, PlainId, RowId, decode_cursor
from common.web.problems import Problem
from ingest import queries, store
from ingest.classes.finding import Classes
from ingest.connectors import cloudevents
from ingest.connectors.segment import messages as segment
from ingest.counting import OUTCOMES, reason_of, start_counting
from ingest.domain.accept import Accepted, accept
from ingest.domain.review_topics import Table
from ingest.domain.split import Unreadable, split, unpack
from ingest.flusher import EDGE, EDGE_HISTORIC, Flusher, written
from ingest.imports import Imports
from ingest.vault import Vault

MAX_EVENTS_IN_REQUEST = 10_000
VAULT_FIELDS = Literal["phone", "email", "name", "address"]
UNREADABLE = {
    "malformed": (400, "Malformed request"),
    "too_large": (413, "Request too large"),
    "unsupported": (415, "Unsupported media type"),
}
API, CLOUDEVENTS = "api", "cloudevents"  # doors, as the metrics name them; the others are named by their connector

IS_HISTORIC = {
    "parameters": [{"name": "historic", "in": "query", "schema": {"type": "boolean", "default": False}}],
}
YES_OR_NO = {"true": True, "1": True, "false": False, "0": False}

T = TypeVar("T")


class Contacts(BaseModel):
    """Whose contact data a service needs, and which."""

    shop_id: PlainId
    customer_ids: Annotated[list[PlainId], Field(max_length=1_000)]
    fields: list[VAULT_FIELDS]


class Intake:
    """What one request brings, from its bytes to the answer for each event."""

    def __init__(
        self,
        flusher: Flusher,
        vault: Vault,
        clock: Clock,
        shops: Mapping[str, Shop],
        keywords: Mapping[str, Table],
        limits: Limits,
        body_max: int,
        classes: Classes,
    ) -> None:
        self._flusher, self._vault, self._clock, self._shops, self._body_max = flusher, vault, clock, shops, body_max
        self._keywords, self._limits, self._classes = keywords, limits, classes
        for connector in (API, CLOUDEVENTS, segment.SOURCE):
            start_counting(connector)

    async def take(self, body: bytes, headers: Mapping[str, str], caller: Caller, historic: bool) -> Response:
        """Answers when everything that is taken, and everything refused, is durable."""
        shop_id = caller.shop_id
        shop = self.shop(shop_id)
        unpacked = self.unpacked(body, headers)
        connector = CLOUDEVENTS if cloudevents.is_cloud_event(headers) else API
        if connector == CLOUDEVENTS:
            sent = or_problem(cloudevents.read(unpacked, headers, MAX_EVENTS_IN_REQUEST))
        else:
            sent = or_problem(split(unpacked, headers.get("content-type", ""), MAX_EVENTS_IN_REQUEST))
        self.charge(caller, len(sent.events))
        now, keywords = self._clock.now(), self._keywords[shop_id]
        outcomes = [accept(each, shop_id, shop.currency, now, historic, keywords) for each in sent.events]
        accepted = [o for o in outcomes if isinstance(o, Accepted)]
        door = EDGE_HISTORIC if historic else EDGE
        letters = [
            self.letter(door, shop_id, bytes(each), outcome)
            for each, outcome in zip(sent.events, outcomes, strict=True)
            if isinstance(outcome, Rejection)
        ]
        return _answer(connector, outcomes, await self.write(connector, accepted, letters), sent.single)

    def shop(self, shop_id: str) -> Shop:
        """The shop that a key is for; a problem for one that was taken away."""
        shop = self._shops.get(shop_id)
        if shop is None:
            raise Problem(403, "Unknown shop", f"the key's shop {shop_id!r} is not among the shops of this system")
        return shop

    def keywords(self, shop_id: str) -> Table:
        """What the shop sorts its reviews by."""
        return self._keywords[shop_id]

    @property
    def traits(self) -> frozenset[str]:
        """What of a Segment client's traits becomes an attribute."""
        return self._classes.traits

    def charge(self, caller: Caller, events: int) -> None:
        """Counts a request's events towards its key's limit; the first is the request itself, counted at the door."""
        if events > 1:
            self._limits.keys.charge(caller.key_id, events - 1)

    def now(self) -> datetime:
        """The time, of the house's clock."""
        return self._clock.now()

    def unpacked(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The body without its content-encoding."""
        return or_problem(unpack(body, headers.get("content-encoding", ""), self._body_max))

    def letter(self, door: str, shop_id: str, body: bytes, rejection: Rejection) -> DeadLetter:
        """What was refused at a door, sealed; sent to the same door again once it is mended."""
        return DeadLetter(door, f"{shop_id}/", self._vault.seal_letter(body), rejection)

    async def write(
        self, connector: str, accepted: Sequence[Accepted], letters: Sequence[DeadLetter]
    ) -> set[store.EventKey]:
        """Returns when all is durable, with the keys of those events that were new; a 503 when that cannot be."""
        fresh = await written(self._flusher, self._classes.found(accepted), letters)
        for letter in letters:
            metrics.INGEST_REJECTIONS.labels(connector, reason_of(letter.rejection)).inc()
        return fresh


def router(pool: asyncpg.Pool, intake: Intake, vault: Vault) -> APIRouter:
    """Ingest's routes."""
    routes = APIRouter()

    sender, imports = requires("ingest"), Imports(pool)

    @routes.post(
        "/v1/events", status_code=202, tags=["ingest"], dependencies=[Depends(sender)], openapi_extra=IS_HISTORIC
    )
    @direct
    async def post_events(request: Request) -> Response:
        """One event, a JSON array, NDJSON (application/x-ndjson), or CloudEvents in any of their HTTP forms (`ce-`
        headers, application/cloudevents+json, application/cloudevents-batch+json); gzip allowed. `historic=true` is
        for imports: nobody is told anything, and no time passes for a customer until its `history.ended`, which is sent
        the same way after all else of it."""
        caller = await sender(request)
        historic = _is_historic(request)
        if historic:
            if not caller.may("operate"):
                raise Problem(403, "Forbidden", "an import (historic=true) needs the scope 'operate'")
            await imports.came(caller, intake.now())
        return await intake.take(await request.body(), request.headers, caller, historic)

    @routes.get("/v1/events/refused", tags=["ingest"])
    async def get_refused(
        caller: Annotated[Caller, Depends(requires("operate"))],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[queries.Refused]:
        """Refused events, which are kept sealed until they are replayed."""
        (after,) = decode_cursor(cursor, RowId) or (0,)
        async with pool.acquire() as connection:
            rows = await queries.refused(connection, caller.shop_id, after, limit + 1)
        return Page.of(rows, limit, key=lambda refused: (refused.id,))

    @routes.post("/internal/vault/contacts", tags=["internal"])
    async def post_contacts(
        wanted: Contacts, caller: Annotated[Caller, Depends(requires("internal"))]
    ) -> Mapping[str, Mapping[str, str]]:
        """Contact data for a service that is about to send: {customer_id: {field: value}}."""
        if caller.shop_id not in (INTERNAL.shop_id, wanted.shop_id):
            raise Problem(403, "Forbidden", f"The API key {caller.key_id} is another shop's.", path="$.shop_id")
        async with pool.acquire() as connection:
            return await vault.get(connection, wanted.shop_id, wanted.customer_ids, wanted.fields)

    return routes


def _is_historic(request: Request) -> bool:
    if not request.scope["query_string"]:  # as nearly always
        return False
    said = request.query_params.get("historic", "false").lower()
    if said not in YES_OR_NO:
        raise Problem(422, "Invalid request", f"$.historic: expected true or false, got {said[:20]!r}", "$.historic")
    return YES_OR_NO[said]


def or_problem(value: T | Unreadable) -> T:
    """What could be read, or the answer to a request that could not."""
    if isinstance(value, Unreadable):
        raise Problem(*UNREADABLE[value.kind], value.reason, path="$")
    return value


def _answer(
    connector: str, outcomes: Sequence[Accepted | Rejection], fresh: set[store.EventKey], single: bool
) -> Response:
    results = [_result(number, outcome, fresh) for number, outcome in enumerate(outcomes)]
    counts = dict.fromkeys(OUTCOMES, 0)
    for result in results:
        counts[str(result["status"])] += 1
    for status, count in counts.items():
        if count:
            metrics.INGEST_EVENTS.labels(connector, status).inc(count)
    if single:
        outcome = outcomes[0]
        if isinstance(outcome, Rejection):
            raise Problem(422, "Event rejected", outcome.reason, path=outcome.path)
        body: dict[str, Any] = results[0]
    else:
        body = {**counts, "results": results}
    refused = not single and counts["rejected"] == len(outcomes)  # a sender that looks at the status alone must see it
    return Response(msgspec.json.encode(body), status_code=422 if refused else 202, media_type="application/json")


def _result(number: int, outcome: Accepted | Rejection, fresh: set[store.EventKey]) -> dict[str, Any]:
    if isinstance(outcome, Rejection):
        return {"status": "rejected", "path": f"$[{number}]{outcome.path[1:]}", "reason": outcome.reason}
    key = store.key_of(outcome.event)
    status = "accepted" if key in fresh else "duplicate"
    fresh.discard(key)  # the same event twice in one request is new once
    return {"id": outcome.event.id, "status": status}
