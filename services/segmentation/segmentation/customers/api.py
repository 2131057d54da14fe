"""Routes about one customer: who it is, where it is and until when, and why it is in a segment or not.

`next_change_at` and `until` are never too late, and the most of them are exact: when at the earliest something may
change if nothing happens.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import asyncpg
import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from common.clock import Clock
from common.contracts.segmentation import Activity, Lifecycle
from common.shops import Shop
from common.web.auth import Reader, shop_of
from common.web.paging import PlainId
from common.web.problems import Problem
from segmentation.customers import queries
from segmentation.customers.queries import Customer, Membership
from segmentation.domain.now import Now
from segmentation.domain.profile.state import Kept
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.grid import CELLS
from segmentation.domain.rules.why import why
from segmentation.segments.wording import name_of, unknown_segment

WHEN = "2026-05-04T12:00:00Z"


class ModelOut(BaseModel):
    """What a model last said; `until` is when by itself it next may say something else."""

    model: str = Field(examples=["lifecycle"])
    facts: dict[str, Any] = Field(examples=[{"lifecycle": "repeat", "activity": "active"}])
    until: datetime | None = Field(examples=["2026-05-19T12:00:00Z"])


class MembershipOut(BaseModel):
    """A segment that the customer is in; `next_change_at` is when by itself that next may end."""

    segment: str = Field(examples=["repeat-active"])
    name: str = Field(examples=["Repeat · active"])
    since: datetime = Field(examples=[WHEN])
    reason: str = Field(examples=["purchase o2"])
    next_change_at: datetime | None = Field(examples=["2026-05-19T12:00:00Z"])


class CustomerOut(BaseModel):
    """A customer. Times are UTC; `segment`, `since`, `reason`, `next_change_at` are of lifecycle x activity; all is as
    known at `as_of`. `facts` are all that rules may ask about. `exact_from`: from when on events of a type are known
    one by one, where there were too many to keep all; sums of all time are exact nevertheless."""

    customer_id: str = Field(examples=["c1"])
    lifecycle: Lifecycle = Field(examples=["repeat"])
    activity: Activity | None = Field(examples=["active"])
    segment: str = Field(examples=["repeat-active"])
    since: datetime = Field(examples=[WHEN])
    reason: str = Field(examples=["purchase o2"])
    next_change_at: datetime | None = Field(examples=["2026-05-19T12:00:00Z"])
    purchases: int = Field(examples=[2])
    first_purchase: datetime | None = Field(examples=["2026-05-01T12:02:00Z"])
    last_purchase: datetime | None = Field(examples=[WHEN])
    monetary_minor: int = Field(examples=[13500])
    currency: str = Field(examples=["CNY"])
    carts: int = Field(examples=[1])
    last_cart: datetime | None = Field(examples=["2026-05-01T12:01:00Z"])
    cart_category: str | None = Field(examples=["masks"])
    visits: int = Field(examples=[4])
    last_visit: datetime | None = Field(examples=[WHEN])
    reviews: int = Field(examples=[1])
    photo_reviews: int = Field(examples=[1])
    locale: str | None = Field(examples=["zh-CN"])
    country: str | None = Field(examples=["CN"])
    city: str | None = Field(examples=["Hangzhou"])
    as_of: datetime = Field(examples=[WHEN])
    facts: dict[str, Any] = Field(examples=[{"rfm.group": "champions", "tier": "silver", "points": 129}])
    models: list[ModelOut]
    memberships: list[MembershipOut]
    lists: list[str] = Field(examples=[["invited"]])
    exact_from: dict[str, datetime] = Field(examples=[{"visit": "2026-02-03T18:30:00Z"}])


class WhyOut(BaseModel):
    """Whether the customer is in the segment now, until when at least, and the rule's parts with their answers."""

    customer_id: str = Field(examples=["c1"])
    segment: str = Field(examples=["champions"])
    name: str = Field(examples=["Champions"])
    version: int = Field(examples=[1])
    holds: bool = Field(examples=[True])
    at: datetime = Field(examples=[WHEN])
    next_change_at: datetime | None = Field(examples=["2026-05-19T12:00:00Z"])
    told: MembershipOut | None
    rule: dict[str, Any]


def router(pool: asyncpg.Pool, shops: Mapping[str, Shop], books: Mapping[str, Rulebook], clock: Clock) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["customers"])

    async def read(shop: Shop, customer_id: str) -> tuple[Customer, list[Membership]]:
        """Both as of one moment."""
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            known = await queries.customer(connection, shop.shop_id, customer_id)
            return known, await queries.memberships(connection, shop.shop_id, known.customer_id)

    @routes.get("/v1/customers/{customer_id:path}/why")
    async def get_why(
        customer_id: PlainId,
        caller: Reader,
        segment: Annotated[PlainId, Query(description="The segment to ask about.", examples=["champions"])],
    ) -> WhyOut:
        """Whether and why the customer is in a segment, asked of its profile at this moment: of each part of the rule
        what was found, the newest events behind it, and when that next changes. `told` is the membership as it stands;
        for a moment it may lag behind what is due now."""
        shop = shop_of(shops, caller)
        book = books[shop.shop_id]
        known, memberships = await read(shop, customer_id)
        told = next((one for one in memberships if one.segment == segment), None)
        return _why(book, shop, known, segment, max(clock.now(), known.stored.at), told)

    @routes.get("/v1/customers/{customer_id:path}")
    async def get_customer(customer_id: PlainId, caller: Reader) -> CustomerOut:
        """Who the customer is, what the models say of it, and every segment it is in: since when, why, until when."""
        shop = shop_of(shops, caller)
        known, memberships = await read(shop, customer_id)
        return _customer(books[shop.shop_id], shop, known, memberships, max(clock.now(), known.stored.at))

    return routes


def _customer(book: Rulebook, shop: Shop, known: Customer, memberships: list[Membership], now: datetime) -> CustomerOut:
    profile = known.stored.state
    purchases, carts, visits, reviews = profile.purchases, profile.carts, profile.visits, profile.reviews
    view = Now(book, known.customer_id, profile, now)
    cell = next((one for one in memberships if one.segment in CELLS), None)
    if cell is None:
        raise Problem(404, "Unknown customer", f"nothing was decided yet of the customer {known.customer_id!r}")
    return CustomerOut(
        customer_id=known.customer_id,
        lifecycle=profile.lifecycle,
        activity=profile.activity,
        segment=cell.segment,
        since=cell.since,
        reason=cell.reason,
        next_change_at=_end(view, cell.segment, now),
        purchases=purchases.count if purchases else 0,
        first_purchase=purchases.first_at if purchases else None,
        last_purchase=purchases.last_at if purchases else None,
        monetary_minor=purchases.amount_minor if purchases else 0,
        currency=shop.currency,
        carts=carts.added if carts else 0,
        last_cart=carts.last_at if carts else None,
        cart_category=carts.category if carts else None,
        visits=visits.count if visits else 0,
        last_visit=visits.last_at if visits else None,
        reviews=reviews.count if reviews else 0,
        photo_reviews=reviews.with_photo if reviews else 0,
        locale=profile.locale,
        country=profile.country,
        city=profile.city,
        as_of=known.stored.at,
        facts=dict(view.person.facts),
        models=[
            ModelOut(model=model.name, facts=_facts(kept, view), until=kept.until)
            for model in book.models
            if (kept := view.profile.answers.get(model.name)) is not None
        ],
        memberships=[_membership(book, shop, one, view, now) for one in memberships],
        lists=list(profile.lists),
        exact_from={
            kind: since for kind, series in view.person.series.items() if (since := series.exact_from) is not None
        },
    )


def _facts(kept: Kept, view: Now) -> dict[str, Any]:
    """As rules may ask about them: a time is one, though it is kept as text."""
    return {name: view.person.facts.get(name, value) for name, value in kept.facts.items()}


def _membership(book: Rulebook, shop: Shop, one: Membership, view: Now, now: datetime) -> MembershipOut:
    return MembershipOut(
        segment=one.segment,
        name=name_of(book, one.segment, shop.locale),
        since=one.since,
        reason=one.reason,
        next_change_at=_end(view, one.segment, now),
    )


def _end(view: Now, segment: str, now: datetime) -> datetime | None:
    """When by itself a membership next may end: now, where that is due, or the segment was archived."""
    return view[segment].until if segment in view and view.is_in(segment) else now


def _why(book: Rulebook, shop: Shop, known: Customer, segment: str, at: datetime, told: Membership | None) -> WhyOut:
    view = Now(book, known.customer_id, known.stored.state, at)
    if segment not in view:
        raise unknown_segment(segment)
    answer = view[segment]
    return WhyOut(
        customer_id=known.customer_id,
        segment=segment,
        name=name_of(book, segment, shop.locale),
        version=book.by_id[segment].version if segment in book.by_id else 1,
        holds=view.is_in(segment),
        at=at,
        next_change_at=answer.until,
        told=_membership(book, shop, told, view, at) if told is not None else None,
        rule=msgspec.to_builtins(why(view.rule(segment), answer)),
    )
