"""What journeys answers over HTTP: which there are and how many walk them, and where one customer stands."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg
from fastapi import APIRouter
from pydantic import BaseModel

from common.db.states import canonical
from common.web.auth import Reader
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Moment, Page, PlainId, Text, decode_cursor
from common.web.problems import Problem
from journeys import queries
from journeys.domain.enrollment import Enrollment
from journeys.domain.graph import Definition
from journeys.presets import Definitions


class StepOut(BaseModel):
    """A step of a journey; `after_s` seconds after the event that entered."""

    step: str
    after_s: int
    channel: str
    template: str


class JourneyOut(BaseModel):
    """A journey, how many enrollments are on it now, and how many left it, by reason."""

    journey: str
    purpose: str
    enters_on: str
    key: str
    leaves_on: list[str]
    steps: list[StepOut]
    on: int
    left: dict[str, int]


class NextStep(BaseModel):
    """What comes next if nothing ends the enrollment before."""

    step: str
    at: datetime
    channel: str
    template: str


class EnrollmentOut(BaseModel):
    """One enrollment: on the journey with a next step, or left with a reason."""

    journey: str
    enrollment: str
    entered_at: datetime
    left_at: datetime | None
    reason: str | None
    next: NextStep | None


def router(pool: asyncpg.Pool, definitions: Mapping[str, Definitions]) -> APIRouter:
    """The routes of journeys."""
    routes = APIRouter(prefix="/v1", tags=["journeys"])

    @routes.get("/journeys")
    async def journeys(caller: Reader) -> list[JourneyOut]:
        async with pool.acquire() as connection:
            counts = await queries.counts(connection, caller.shop_id)
        nobody = queries.Counts(0, {})
        own = definitions.get(caller.shop_id, ())
        return [_journey(definition, counts.get(definition.journey, nobody)) for definition in own]

    @routes.get("/customers/{customer_id:path}/journeys")
    async def of_customer(
        caller: Reader, customer_id: PlainId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[EnrollmentOut]:
        after = decode_cursor(cursor, Moment, Text, Text)
        # One snapshot: else an enrollment may be on in the rows and already ended in the state.
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            customer_id = await canonical(connection, caller.shop_id, customer_id)
            on = await queries.walked(connection, caller.shop_id, customer_id)
            rows = await queries.enrollments(connection, caller.shop_id, customer_id, after, limit + 1)
        if on is None:
            raise Problem(
                404, "Unknown customer", f"Nothing that a journey heeds has been told of a customer {customer_id!r}."
            )
        own = {definition.journey: definition for definition in definitions.get(caller.shop_id, ())}
        shown = [_enrollment(row, own.get(row.journey), on.get((row.journey, row.enrollment))) for row in rows]
        return Page.of(shown, limit, key=lambda one: (one.entered_at, one.journey, one.enrollment))

    return routes


def _journey(definition: Definition, counts: queries.Counts) -> JourneyOut:
    return JourneyOut(
        journey=definition.journey,
        purpose=definition.purpose,
        enters_on=definition.enter.on.TYPE,
        key=definition.enter.key,
        leaves_on=[out.on.TYPE for out in definition.leave],
        steps=[
            StepOut(step=step.step, after_s=int(step.after.total_seconds()), channel=step.send, template=step.template)
            for step in definition.steps
        ],
        on=counts.on,
        left=counts.left,
    )


def _enrollment(row: queries.Row, definition: Definition | None, on: Enrollment | None) -> EnrollmentOut:
    upcoming = None
    if definition is not None and on is not None and on.next_step < len(definition.steps):
        step = definition.steps[on.next_step]
        upcoming = NextStep(step=step.step, at=on.due, channel=step.send, template=step.template)
    return EnrollmentOut(**row._asdict(), next=upcoming)
