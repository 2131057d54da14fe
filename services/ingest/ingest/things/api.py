"""What ingest answers about an order: all that is known of it, late and odd news included."""

from collections.abc import Mapping
from datetime import datetime
from http.client import responses

import asyncpg
from fastapi import APIRouter
from pydantic import BaseModel

from common.web.auth import Reader
from common.web.paging import PlainId
from common.web.problems import Problem
from ingest.domain.accept import Identity
from ingest.domain.linking import ORDER
from ingest.domain.orders import Moment, Order
from ingest.people.whose import Whose
from ingest.things import store as things_store


class MomentOut(BaseModel):
    """`at` by the earliest account of it; `heard_at` is when it was first told."""

    at: datetime
    heard_at: datetime


class ShipmentOut(BaseModel):
    """A parcel and how far it came; null where nobody gave it an id."""

    shipment_id: str | None
    steps: Mapping[str, MomentOut]


class RemarkOut(BaseModel):
    """News that was late (behind what was known), repeated (under another id) or superseded (by a later edit)."""

    event: str
    why: str
    at: datetime
    heard_at: datetime


class OrderOut(BaseModel):
    """An order. `state` is the furthest it reached, null while only payments or edits of it were heard of; amounts are
    minor units of `currency`, null where nobody told. `customer_id` is whose it was first, by the id of who lives on;
    null where nobody is known by it, as after an erasure."""

    order_id: str
    customer_id: str | None
    state: str | None
    currency: str
    amount_minor: int | None  # what is to be paid for all of it
    paid_minor: int
    refunded_minor: int
    refunded_beyond_paid_minor: int  # of that: more than is known to be paid, which somebody should look into
    completed_minor: int | None  # what the completed order comes to, edits after it included
    stages: Mapping[str, MomentOut]
    payments: Mapping[str, int]
    refunds: Mapping[str, int]
    shipments: list[ShipmentOut]
    remarks: list[RemarkOut]


def router(pool: asyncpg.Pool, whose: Whose) -> APIRouter:
    """Orders' route."""
    routes = APIRouter(tags=["orders"])

    @routes.get("/v1/orders/{order_id:path}")
    async def get_order(order_id: PlainId, caller: Reader) -> OrderOut:
        """What is known of one order, whoever told it."""
        name = Identity(ORDER, order_id)
        async with pool.acquire() as connection:
            order = await things_store.order_of(connection, caller.shop_id, order_id)
            people = await whose.found(connection, caller.shop_id, [name])
        if order is None:
            raise Problem(404, responses[404], "Nothing was heard of this order.")
        return _out(order_id, people.get(name), order)

    return routes


def _out(order_id: str, customer_id: str | None, order: Order) -> OrderOut:
    return OrderOut(
        order_id=order_id,
        customer_id=customer_id,
        state=order.furthest[0] if order.furthest is not None else None,
        currency=order.currency,
        amount_minor=order.content.amount_minor if order.content is not None else None,
        paid_minor=order.paid_minor,
        refunded_minor=order.refunded_minor,
        refunded_beyond_paid_minor=order.refunded_beyond_minor,
        completed_minor=order.counted_minor,
        stages={stage: _moment(moment) for stage, moment in order.stages.items()},
        payments=order.payments,
        refunds=order.refunds,
        shipments=[
            ShipmentOut(shipment_id=id_ or None, steps={step: _moment(moment) for step, moment in steps.items()})
            for id_, steps in order.shipments.items()
        ],
        remarks=[RemarkOut(event=r.what, why=r.why, at=r.at, heard_at=r.heard_at) for r in order.remarks],
    )


def _moment(moment: Moment) -> MomentOut:
    return MomentOut(at=moment.at, heard_at=moment.heard_at)
