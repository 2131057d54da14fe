"""The routes of Segment's tracking API, as its clients and RudderStack's call them.

They take 200 alone for success, drop what is answered 4xx and send anything else again. So a message that is refused
is kept as a dead letter and answered 200 like the others of its batch; a temporary fault is a 503.
"""

import re
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping

import asyncpg
from fastapi import APIRouter, Depends, HTTPException, Request, Response

from common.bus.dead_letters import DeadLetter
from common.contracts.envelope import Rejection
from common.telemetry import metrics
from common.web.app import INTERNAL_SERVER_ERROR, direct
from common.web.auth import Caller, KeyRing, address_of, requires
from common.web.problems import Problem, problem_of
from ingest import store
from ingest.api import MAX_EVENTS_IN_REQUEST, Intake, or_problem
from ingest.connectors.segment import messages as segment
from ingest.connectors.segment.messages import BATCH, KINDS, Ignored
from ingest.domain.accept import Accepted, accept
from ingest.flusher import EDGE_SEGMENT

SUCCESS = b'{"success": true}'
# What became of a request's messages, for who looks on: clients read the status alone.
OUTCOME = "X-Regulars-Outcome"
OUTCOMES = ("accepted", "duplicate", "rejected", "ignored")
NOT_A_WORD = re.compile(r"\W+")
# What may go wrong on the way that has an answer; all else is a fault of ours.
EXPECTED = (Problem, HTTPException, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

sender = requires("ingest")


def add_tracking(routes: APIRouter, intake: Intake) -> None:
    """Adds the seven routes. Not a router of its own: the app calls direct endpoints of the routers it is given."""

    @direct
    async def post_messages(request: Request) -> Response:
        """Messages of a Segment or RudderStack client; the write key is an API key with the scope `ingest`, as the
        user of Basic authentication, as `writeKey` in the body, or as at the other routes. Always 200 when kept."""
        try:
            return await _take(intake, request)
        except EXPECTED as error:
            problem = problem_of(error)
            if problem.status == INTERNAL_SERVER_ERROR:
                raise
            # Their older clients fail over an error without these two.
            problem.extra["code"] = NOT_A_WORD.sub("_", problem.title.lower())
            problem.extra["message"] = problem.detail or problem.title
            raise problem from error

    for kind in KINDS:  # at 0 from the start: of a series that begins at 1 nobody sees the first
        metrics.INGEST_IGNORED.labels(segment.SOURCE, kind)
    for kind in (BATCH, *KINDS):
        path = f"/v1/{kind}"
        routes.add_api_route(path, post_messages, methods=["POST"], tags=["segment"], dependencies=[Depends(sender)])


async def _take(intake: Intake, request: Request) -> Response:
    kind = request.url.path.rpartition("/")[2]
    body = intake.unpacked(await request.body(), request.headers)
    parcel = or_problem(segment.opened(body, kind, intake.now(), MAX_EVENTS_IN_REQUEST))
    caller = await _caller(request, parcel.write_key)
    intake.charge(caller, len(parcel.messages))
    currency = intake.shop(caller.shop_id).currency
    told: list[list[Accepted]] = []
    letters: list[DeadLetter] = []
    ignored: Counter[str] = Counter()
    for message in parcel.messages:
        made = _events(intake, message, caller.shop_id, currency)
        match made:
            case Rejection():
                letters.append(intake.letter(EDGE_SEGMENT, caller.shop_id, message, made))
            case Ignored():
                ignored[made.kind] += 1
            case _:
                told.append(made)
    accepted = [event for events in told for event in events]
    fresh = await intake.write(segment.SOURCE, accepted, letters) if accepted or letters else set()
    return _answer(told, fresh, len(letters), ignored)


def _events(intake: Intake, message: bytes, shop_id: str, currency: str) -> list[Accepted] | Rejection | Ignored:
    """A message's events, all of them or none."""
    made = segment.events(message, currency, intake.traits)
    if isinstance(made, Rejection | Ignored):
        return made
    accepted = []
    for event in made:
        outcome = accept(event, shop_id, currency, intake.now(), historic=False, keywords=intake.keywords(shop_id))
        if isinstance(outcome, Rejection):
            return outcome
        accepted.append(outcome)
    return accepted


def _answer(
    told: list[list[Accepted]], fresh: set[store.EventKey], rejected: int, ignored: Mapping[str, int]
) -> Response:
    outcomes = dict.fromkeys(OUTCOMES, 0) | {"rejected": rejected, "ignored": sum(ignored.values())}
    metrics.INGEST_EVENTS.labels(segment.SOURCE, "rejected").inc(rejected)
    for events in told:
        new = {store.key_of(each.event) for each in events} & fresh
        fresh -= new  # the same message twice in one request is new once
        metrics.INGEST_EVENTS.labels(segment.SOURCE, "accepted").inc(len(new))
        metrics.INGEST_EVENTS.labels(segment.SOURCE, "duplicate").inc(len(events) - len(new))
        outcomes["accepted" if new else "duplicate"] += 1
    for kind, count in ignored.items():
        metrics.INGEST_IGNORED.labels(segment.SOURCE, kind).inc(count)
    said = ", ".join(f"{outcome}={count}" for outcome, count in outcomes.items())
    return Response(SUCCESS, headers={OUTCOME: said}, media_type="application/json")


async def _caller(request: Request, write_key: str) -> Caller:
    """By the first of the keys sent that is one of ours; a client sends one, two of them send it twice."""
    ring: KeyRing = request.app.state.key_ring
    for key in (_basic_user(request.headers.get("authorization", "")), write_key):
        caller = await ring.caller(key, address_of(request)) if key else None
        if caller is not None:
            if not caller.may("ingest"):
                raise Problem(403, "Forbidden", f"The API key {caller.key_id} lacks the scope 'ingest'.")
            return caller
    return await sender(request)  # X-API-Key, a bearer's token, or the refusal


def _basic_user(authorization: str) -> str:
    """The user of Basic authentication, whether or not a colon and a password follow; empty for anything else."""
    scheme, _, packed = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(packed.strip(), validate=True).decode().partition(":")[0]
    except ValueError:
        return ""
