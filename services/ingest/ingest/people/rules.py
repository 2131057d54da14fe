"""Reads identity.yaml: which names count, and what each kind of them may do."""

from importlib.resources import files
from typing import Annotated, Literal

import phonenumbers
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from common.contracts.envelope import Rejection
from common.presets import BadPresets
from ingest.domain.identity import KindRule, Merges, Rules, normal

MAX_NAMES = 100_000
MAX_LISTED = 100_000
PLACE = "people/identity.yaml"
MERGES: dict[bool | str, Merges] = {True: "all", False: "none", "weaker": "weaker"}
NO_RULES = Rules({})

Limit = Annotated[int, Field(ge=1, le=MAX_NAMES)] | None
Listed = Annotated[list[Annotated[str, Field(max_length=254)]], Field(max_length=MAX_LISTED)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Kind(_Strict):
    merges: bool | Literal["weaker"]
    per_person: Limit = None
    per_value: Limit = None


class _Id(_Strict):
    merges: bool
    per_person: Limit = None


class _Order(_Strict):
    merges: Literal[False, "weaker"]


class _Kinds(_Strict):
    id: _Id
    card: _Kind
    buyer: _Kind
    open_id: _Kind
    phone: _Kind
    email: _Kind
    anonymous: _Kind
    order: _Order


class _Never(_Strict):
    values: Listed = []
    phones: Listed = []
    email_names: Listed = []
    email_domains: Listed = []

    @field_validator("phones", mode="after")
    @classmethod
    def _are_whole(cls, phones: list[str]) -> list[str]:
        wrong = [place for place, phone in enumerate(phones) if not _is_whole(phone)]
        if wrong:
            raise ValueError(f"numbers {wrong}, counted from 0, are not such as +8657188889999")
        return phones


class _Preset(_Strict):
    kinds: _Kinds
    never: _Never = _Never()


def load() -> Rules:
    """The rules of this installation; raises BadPresets, which names every fault."""
    parsed = parse((files("ingest") / PLACE).read_text("utf-8"))
    if isinstance(parsed, tuple):
        raise BadPresets("\n".join(f"ingest/{PLACE}: {fault.path}: {fault.reason}" for fault in parsed))
    return parsed


def parse(text: str) -> Rules | tuple[Rejection, ...]:
    """The rules, or everything that is wrong with them."""
    try:
        preset = _Preset.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        return (Rejection("$", f"not YAML: {error}"),)
    except ValidationError as error:
        return tuple(Rejection(_path(x["loc"]), x["msg"].removeprefix("Value error, ")) for x in error.errors())
    return Rules(
        kinds={
            kind: KindRule(MERGES[rule.merges], getattr(rule, "per_person", None), getattr(rule, "per_value", None))
            for kind, rule in preset.kinds
        },
        never=frozenset(value.casefold() for value in preset.never.values),
        phones=frozenset(preset.never.phones),
        email_names=frozenset(name.casefold() for name in preset.never.email_names),
        email_domains=frozenset(domain.casefold() for domain in preset.never.email_domains),
    )


def _is_whole(phone: str) -> bool:
    """With its country, and in the one form that numbers are compared in."""
    return phone.startswith("+") and normal("phone", phone, NO_RULES, None) in (phone, None) and _is_possible(phone)


def _is_possible(phone: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(phone, None))
    except phonenumbers.NumberParseException:
        return False


def _path(location: tuple[int | str, ...]) -> str:
    return "$" + "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in location)
