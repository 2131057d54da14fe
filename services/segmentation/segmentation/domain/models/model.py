"""What a model is: a few facts about a customer that are made of others, and until when they stay so by themselves."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from segmentation.domain.profile.person import Person

P = TypeVar("P")


class Modelled(Struct, frozen=True):
    """A model's answer at an instant: its facts by the names of catalogue.FIELDS (absent: not known), when the first
    of them next changes if nothing happens (None: never), and why in few words."""

    facts: Mapping[str, Any]
    until: datetime | None = None
    reason: str = ""


class Model(Struct, frozen=True):
    """A model of one shop, made of its preset. `reads` names the kinds of events and the facts it is made of, facts of
    models before it among them; nothing else may change its answer but time, and a new `revision` of it."""

    name: str
    reads: frozenset[str]
    fields: tuple[str, ...]
    answer: Callable[[Person, datetime], Modelled]
    revision: int = 0  # of the shop's rulebook when what it goes by was last published; 0 of presets


def made(make: Callable[[P], Model], part: P | None) -> tuple[Model, ...]:
    """The model of a preset's part; none where it has no such part."""
    return () if part is None else (make(part),)
