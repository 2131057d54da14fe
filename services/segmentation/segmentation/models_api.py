"""The route about models: which the shop has, what they go by, and how what they say is spread over its customers."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import yaml
from fastapi import APIRouter
from pydantic import BaseModel, Field

from common import presets
from common.shops import Shop
from common.web.auth import Reader, shop_of
from segmentation import model_queries, segment_queries
from segmentation.distributions import SpreadOut, spread
from segmentation.domain.model import Model
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.segments import BY_ID as CELLS

Sections = Mapping[str, Any]


class ModelOut(BaseModel):
    """A model: the facts that it says, what it is made of (events and facts of models before it), its part of the
    shop's preset, and how each fact is spread."""

    model: str = Field(examples=["lifecycle"])
    facts: list[str] = Field(examples=[["lifecycle", "activity"]])
    reads: list[str] = Field(examples=[["purchase"]])
    definition: dict[str, Any] = Field(examples=[{"lifecycle": {"repeat": 2, "loyal": 3}}])
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
        return ModelsOut(
            customers=customers,
            sampled=len(people),
            models=[_model(one, sections[shop.shop_id], people) for one in books[shop.shop_id].models],
        )

    return routes


def _sections(text: str, _: Shop) -> Sections:
    """A preset as it is written; it was found to be in order before."""
    written: Sections = yaml.safe_load(text)
    return written


def _model(model: Model, sections: Sections, people: list[Mapping[str, Any]]) -> ModelOut:
    """Its parts of the preset are called like it or like its facts."""
    return ModelOut(
        model=model.name,
        facts=list(model.fields),
        reads=sorted(model.reads),
        definition={name: sections[name] for name in dict.fromkeys((model.name, *model.fields)) if name in sections},
        spread=spread(people, model.fields),
    )
