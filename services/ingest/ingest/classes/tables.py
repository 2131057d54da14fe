"""Reads classes.yaml: which words, domains and numbers mean which class."""

import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from common.contracts.envelope import Rejection
from common.presets import BadPresets
from common.shops import Shops
from ingest.domain.classes import Seat, Tables, Words, plain
from ingest.domain.review_topics import LATIN, WORDS

PLACE = "classes/classes.yaml"
MAX_WORDS = 5_000  # of one list
ASIDE = "[东西南北中]?"  # between a word and the street it names: 南京西路

Name = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f]{1,40}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Listed = Annotated[list[Word], Field(max_length=MAX_WORDS)]
Prefix = Annotated[str, StringConstraints(pattern=r"^\+\d{1,12}$")]
Prefixes = Annotated[list[Prefix], Field(max_length=MAX_WORDS)]
Domain = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*(\.\*)?$")]
Domains = Annotated[list[Domain], Field(max_length=MAX_WORDS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Email(_Strict):
    free: dict[Name, Domains] = {}
    school: Domains = []
    government: Domains = []
    disposable: Domains = []
    relay: Domains = []


class _Phone(_Strict):
    virtual: Prefixes = []
    carriers: dict[Name, Prefixes] = {}


class _Delivery(_Strict):
    near: list[list[Name]] = []
    places: dict[Name, Listed] = {}


class _Experience(_Strict):
    attribute: Name
    from_: Annotated[dict[Name, Annotated[int, Field(ge=0)]], Field(alias="from")]


class _Classes(_Strict):
    occupation: dict[Name, Listed] = {}
    streets: Listed = []
    email: _Email = _Email()
    phone: _Phone = _Phone()
    delivery: _Delivery = _Delivery()
    experience: _Experience = _Experience.model_validate({"attribute": "credit_level", "from": {}})
    traits: list[Name] = []

    @field_validator("delivery", mode="after")
    @classmethod
    def _are_regions(cls, delivery: _Delivery) -> _Delivery:
        unknown = {region for line in delivery.near for region in line} - delivery.places.keys()
        if unknown:
            raise ValueError(f"near: {', '.join(sorted(unknown))} stand not among places")
        return delivery


def load() -> Tables:
    """The tables of this installation; raises BadPresets, which names every fault."""
    parsed = parse((files("ingest") / PLACE).read_text("utf-8"))
    if isinstance(parsed, tuple):
        raise BadPresets("\n".join(f"ingest/{PLACE}: {fault.path}: {fault.reason}" for fault in parsed))
    return parsed


def parse(text: str) -> Tables | tuple[Rejection, ...]:
    """The tables, or everything that is wrong with them."""
    try:
        said = _Classes.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        return (Rejection("$", f"not YAML: {error}"),)
    except ValidationError as error:
        return tuple(Rejection(_path(x["loc"]), x["msg"].removeprefix("Value error, ")) for x in error.errors())
    kinds = ("school", "government", "disposable", "relay")
    places = {plain(word): region for region, words in said.delivery.places.items() for word in words}
    return Tables(
        occupations=tuple((kind, _pattern(words, said.streets)) for kind, words in said.occupation.items() if words),
        email_classes={domain: kind for kind in kinds for domain in getattr(said.email, kind)},
        email_providers={domain: provider for provider, domains in said.email.free.items() for domain in domains},
        phone_prefixes={start: carrier for carrier, starts in said.phone.carriers.items() for start in starts},
        phone_virtual=frozenset(said.phone.virtual),
        places=Words(_pattern(places, said.streets), places),
        near=frozenset((one, other) for line in said.delivery.near for one in line for other in line),
        experience_of=said.experience.attribute,
        experience=tuple(sorted(((least, name) for name, least in said.experience.from_.items()), reverse=True)),
        traits=frozenset(said.traits),
    )


def seats(shops: Shops, tables: Tables) -> dict[str, Seat]:
    """Where each shop is at home. Raises BadPresets for a city that is in no region."""
    found = {
        shop_id: Seat(shop.region, tables.places.first(shop.city) if shop.city else None)
        for shop_id, shop in shops.items()
    }
    lost = [shop_id for shop_id, seat in found.items() if shops[shop_id].city and seat.region is None]
    if lost:
        raise BadPresets("\n".join(f"shop {shop_id}: its city is in no region of ingest/{PLACE}" for shop_id in lost))
    return found


def _pattern(words: Iterable[str], streets: Iterable[str]) -> re.Pattern[str]:
    """One of the words, the longest first; none of them as the name of a street."""
    latin = sorted(street for street in map(plain, streets) if WORDS.fullmatch(street))
    others = sorted(street for street in map(plain, streets) if not WORDS.fullmatch(street))
    street = "|".join((*(rf" {re.escape(word)}(?![{LATIN}])" for word in latin),
                       *(ASIDE + re.escape(word) for word in others)))  # fmt: skip
    either = "|".join(_each(sorted(map(plain, words), key=lambda word: (-len(word), word))))
    return re.compile(rf"(?:{either})(?!{street})" if street else either) if either else re.compile(r"(?!)")


def _each(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if not WORDS.fullmatch(word):
            yield re.escape(word)
            continue
        text = re.escape(word.removesuffix("*"))
        yield rf"(?<![{LATIN}]){text}" + (f"[{LATIN}]*+" if word.endswith("*") else rf"(?![{LATIN}])")


def _path(location: tuple[int | str, ...]) -> str:
    return "$" + "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in location)
