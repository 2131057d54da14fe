"""The route about models: which the shop has, what they go by, and how what they say is spread over its customers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
import yaml
from fastapi import APIRouter
from pydantic import BaseModel, Field

from common import presets
from common.shops import Shop
from common.web.auth import Reader, shop_of
from segmentation.domain.models.model import Model
from segmentation.domain.models.rfm import NAME as RFM
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.grid import CELLS
from segmentation.models import queries as model_queries
from segmentation.models import rfm_scales
from segmentation.models.distributions import SpreadOut, spread
from segmentation.models.rfm_scales import Published
from segmentation.segments import queries as segment_queries

Sections = Mapping[str, Any]


class ScaleOut(BaseModel):
    """The bounds between scores that hold now: of days since the last purchase, of purchases, of money in minor units.
    They were made of how so many buyers were spread."""

    published_at: datetime = Field(examples=["2026-05-04T19:00:00Z"])
    buyers: int = Field(examples=[8120])
    days: list[float] = Field(examples=[[12, 40.4, 90, 181]])
    purchases: list[int] = Field(examples=[[1, 2, 3, 6]])
    money_minor: list[float] = Field(examples=[[4900, 9900.6, 21000, 56000]])


class ModelOut(BaseModel):
    """A model: the facts that it says, what it is made of (events and facts of models before it), its part of the
    shop's preset, the scale it was given last, where it has one, and how each fact is spread."""

    model: str = Field(examples=["lifecycle"])
    facts: list[str] = Field(examples=[["lifecycle", "activity"]])
    reads: list[str] = Field(examples=[["purchase"]])
    definition: dict[str, Any] = Field(examples=[{"lifecycle": {"repeat": 2, "loyal": 3}}])
    scale: ScaleOut | None = None
    spread: dict[str, SpreadOut]


class ModelsOut(BaseModel):
    """The shop's models in the order they are asked. Spreads are of `sampled` customers, drawn at random of all
    `customers`; of a small shop of all of them."""

    customers: int = Field(examples=[12043])
    sampled: int = Field(examples=[2011])
    models: list[ModelOut]


def router(pool: asyncpg.Pool, shops: Mapping[str, Shop], books: Mapping[str, Rulebook]) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["models"])
    sections = presets.load("segmentation", shops, _sections)

    @routes.get("/v1/models")
    async def get_models(caller: Reader) -> ModelsOut:
        """What customers are told apart by before any segment: RFM, lifecycle and the like, with thresholds."""
        shop = shop_of(shops, caller)
        async with pool.acquire() as connection:
            counts = await segment_queries.counts(connection, shop.shop_id)
            customers = sum(counts.get(cell, 0) for cell in CELLS)  # everybody is in just one
            people = await model_queries.said(connection, shop.shop_id, customers)
            scales = {RFM: await rfm_scales.newest(connection, shop.shop_id)}
        return ModelsOut(
            customers=customers,
            sampled=len(people),
            models=[
                _model(one, sections[shop.shop_id], scales.get(one.name), people) for one in books[shop.shop_id].models
            ],
        )

    return routes


def _sections(text: str, _: Shop) -> Sections:
    """A preset as it is written; it was found to be in order before."""
    written: Sections = yaml.safe_load(text)
    return written


def _model(model: Model, sections: Sections, published: Published | None, people: list[Mapping[str, Any]]) -> ModelOut:
    """Its parts of the preset are called like it or like its facts."""
    return ModelOut(
        model=model.name,
        facts=list(model.fields),
        reads=sorted(model.reads),
        definition={name: sections[name] for name in dict.fromkeys((model.name, *model.fields)) if name in sections},
        scale=_scale(published) if published is not None else None,
        spread=spread(people, model.fields),
    )


def _scale(published: Published) -> ScaleOut:
    scale = published.scale
    return ScaleOut(
        published_at=published.published_at,
        buyers=published.customers,
        days=[float(bound) for bound in scale.days],
        purchases=[bound.orders for bound in scale.orders],
        money_minor=[float(bound) for bound in scale.money],
    )
