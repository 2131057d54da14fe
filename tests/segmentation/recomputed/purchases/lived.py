"""Customers of a real shop as the running decision leaves them: each history event by event, and timers in between."""

import os
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from rich.console import Console

from common.contracts.envelope import Data, Event
from common.decision import AN_INSTANT, Aggregate
from common.shops import Shop
from regulars.files.as_events import events_of
from segmentation.app import service
from segmentation.domain.models.bought import purchases_of
from segmentation.domain.models.model import Model
from segmentation.domain.models.rfm import RfmModel, purchaser, rfm
from segmentation.domain.models.rfm_scale import Purchaser, Scale
from segmentation.domain.profile.person import Person, person_of
from segmentation.domain.profile.state import Profile
from segmentation.domain.rulebook import Rulebook
from segmentation.presets import rulebook

WHOLE = "REGULARS_WHOLE_FILES"  # set: every customer and every line of the files, instead of some
MODELS = {"lifecycle", "product_cycle", "rfm", "rfm_fixed", "value_grade", "stage"}
HEARD = {"order.placed", "order.paid", "order.cancelled"}  # what purchases are made of

Histories = Mapping[str, list[Event[Data]]]


def book(
    shop_id: str, currency: str, zone: str, preset: str = "default", edit: Mapping[str, str] | None = None
) -> Rulebook:
    """Of a shop with that preset, in which some texts stand for others. Without what nobody here asks."""
    text = (files("segmentation") / "presets" / f"{preset}.yaml").read_text("utf-8")
    for old, new in (edit or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    made = rulebook(text, Shop(shop_id=shop_id, zone=zone, currency=currency, locale="en", preset=preset))
    assert isinstance(made, Rulebook), made
    models = tuple(model for model in made.models if model.name in MODELS)
    return replace(made, models=models, segments=())


def by_scale(of: Rulebook, scale: Scale) -> Rulebook:
    """The rulebook once that scale was published."""

    def scaled(model: Model) -> Model:
        return rfm(model.plan, scale, revision=1) if isinstance(model, RfmModel) else model

    return replace(of, models=tuple(map(scaled, of.models)), revision=1)


def mapped(file: Path, mapping: str, shop_id: str, until: datetime | None = None) -> list[Event[Data]]:
    """The events of a file, as a mapping reads it, that the models here are made of."""
    events, _ = events_of([file], mapping, shop_id, until, Console(quiet=True))
    return [event for event in events if event.type in HEARD]


def by_customer(events: Iterable[Event[Data]]) -> Histories:
    """Each customer's own, in their order."""
    found: defaultdict[str, list[Event[Data]]] = defaultdict(list)
    for event in events:
        found[event.customer_id].append(event)
    return found


def some(histories: Histories, most: int, chance: random.Random) -> Histories:
    """So many of the customers; all of them where whole files are asked for."""
    if os.environ.get(WHOLE) or len(histories) <= most:
        return histories
    return {name: histories[name] for name in chance.sample(sorted(histories), most)}


class Lives:
    """Customers of one shop, lived through by its rulebook."""

    def __init__(self, of: Rulebook, histories: Histories) -> None:
        self._book, self._histories = of, histories
        self._service = service({of.shop_id: of})

    def at(self, customer_id: str, at: datetime) -> Profile:
        """The profile at an instant: all events up to then, and every timer due by then."""
        aggregate = Aggregate(self._service.name, self._service.decide, self._book.shop_id, customer_id, None)
        for event in self._histories[customer_id]:
            if event.received_at > at:
                break
            if self._service.is_heeded(event.type):
                aggregate.take(event)
        aggregate.wake(at + AN_INSTANT)
        assert not aggregate.poison, aggregate.poison[0].reason
        return Profile() if aggregate.stored is None else aggregate.stored.state

    def person(self, customer_id: str, profile: Profile) -> Person:
        """As models are asked about it."""
        zone, of = self._book.zone, self._book.model_of
        return person_of(self._book.shop_id, customer_id, zone, profile, profile.answers, of)

    def days(self, customer_id: str, at: datetime) -> list[date]:
        """The days of the shop's clock that the customer bought on, each once, oldest first."""
        records = purchases_of(self.person(customer_id, self.at(customer_id, at))).records
        return sorted({record.at.astimezone(self._book.zone).date() for record in records})


def purchasers(people: Iterable[Person]) -> list[Purchaser]:
    """Those of them who bought."""
    return [one for one in map(purchaser, people) if one is not None]


def told(profile: Profile) -> dict[str, Any]:
    """What the models last said."""
    return {name: value for kept in profile.answers.values() for name, value in kept.facts.items()}
