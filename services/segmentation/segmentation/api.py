"""What segmentation answers over HTTP: who a customer is, which segments there are, and who is in one."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg
from fastapi import APIRouter
from pydantic import BaseModel

from common.contracts.segmentation import Activity, Lifecycle
from common.db.states import canonical
from common.shops import Shop
from common.web.auth import Reader, shop_of
from common.web.paging import DEFAULT_LIMIT, Cursor, Limit, Page, PlainId, Text, decode_cursor
from common.web.problems import Problem
from segmentation import queries
from segmentation.domain.segments import BY_ID, SEGMENTS


class CustomerOut(BaseModel):
    """A customer. Times are UTC; `since` and `reason` are of the segment; all is as known at `as_of`."""

    customer_id: str
    lifecycle: Lifecycle
    activity: Activity | None
    segment: str
    since: datetime
    reason: str
    next_change_at: datetime | None
    purchases: int
    first_purchase: datetime | None
    last_purchase: datetime | None
    monetary_minor: int
    currency: str
    carts: int
    last_cart: datetime | None
    cart_category: str | None
    visits: int
    last_visit: datetime | None
    reviews: int
    photo_reviews: int
    locale: str | None
    country: str | None
    city: str | None
    as_of: datetime


class SegmentOut(BaseModel):
    """A segment, named in the shop's language."""

    segment: str
    name: str
    customers: int


class MemberOut(BaseModel):
    """A customer in a segment, since when and why."""

    customer_id: str
    since: datetime
    reason: str


def router(pool: asyncpg.Pool, shops: Mapping[str, Shop]) -> APIRouter:
    """Segmentation's routes."""
    routes = APIRouter(tags=["segmentation"])

    @routes.get("/v1/customers/{customer_id:path}")
    async def get_customer(customer_id: PlainId, caller: Reader) -> CustomerOut:
        """Who the customer is: lifecycle and activity, why, since and until when, and what led there."""
        shop = shop_of(shops, caller)
        async with pool.acquire() as connection:
            customer_id = await canonical(connection, shop.shop_id, customer_id)
            found = await queries.customer(connection, shop.shop_id, customer_id)
        if found is None:
            raise Problem(404, "Unknown customer", f"nothing was ever heard of a customer {customer_id!r}")
        return _customer(customer_id, found, shop)

    @routes.get("/v1/segments")
    async def get_segments(caller: Reader) -> list[SegmentOut]:
        """Every segment with the number of its customers, the empty ones too."""
        shop = shop_of(shops, caller)
        async with pool.acquire() as connection:
            counts = await queries.counts(connection, shop.shop_id)
        return [
            SegmentOut(segment=one.segment, name=one.name(shop.locale), customers=counts.get(one.segment, 0))
            for one in SEGMENTS
        ]

    @routes.get("/v1/segments/{segment}/members")
    async def get_members(
        segment: PlainId, caller: Reader, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Page[MemberOut]:
        """The customers in a segment by id, a page at a time."""
        shop = shop_of(shops, caller)
        if segment not in BY_ID:
            raise Problem(404, "Unknown segment", f"there is no segment {segment!r}; GET /v1/segments lists them")
        (after,) = decode_cursor(cursor, Text) or ("",)
        async with pool.acquire() as connection:
            rows = await queries.members(connection, shop.shop_id, segment, after, limit + 1)
        return Page.of([MemberOut(**row._asdict()) for row in rows], limit, key=lambda row: (row.customer_id,))

    return routes


def _customer(customer_id: str, found: queries.Customer, shop: Shop) -> CustomerOut:
    profile = found.stored.state
    purchases, carts, visits, reviews = profile.purchases, profile.carts, profile.visits, profile.reviews
    return CustomerOut(
        customer_id=customer_id,
        lifecycle=profile.lifecycle,
        activity=profile.activity,
        segment=found.segment,
        since=found.since,
        reason=found.reason,
        next_change_at=min((timer.due for timer in found.stored.timers), default=None),
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
        as_of=found.stored.at,
    )
