"""What segmentation answers over HTTP, put together: customers, timelines, segments, models."""

from collections.abc import Mapping

import asyncpg
from fastapi import APIRouter

from common.clock import Clock
from common.shops import Shop
from segmentation.customers import api as customers_api
from segmentation.customers import timeline_api
from segmentation.domain.rulebook import Rulebook
from segmentation.models import api as models_api
from segmentation.models import churn_api
from segmentation.segments import api as segments_api


def router(pool: asyncpg.Pool, shops: Mapping[str, Shop], books: Mapping[str, Rulebook], clock: Clock) -> APIRouter:
    """Segmentation's routes, side by side: so that what has an open end can be put behind all others (web/app.py).
    They stand before those of own/, which take any word after /segments/ for a segment."""
    routers = (
        customers_api.router(pool, shops, books, clock),
        timeline_api.router(pool, shops, books),
        segments_api.router(pool, shops, books, clock),
        models_api.router(pool, shops, books),
        churn_api.router(pool, shops, books),
    )
    return APIRouter(routes=[route for each in routers for route in each.routes])
