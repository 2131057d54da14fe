"""The shops of an installation: their zone, currency, language and rules, read from one YAML file."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import fields

from common.ids import Id
from common.money import Currency


class Shop(Struct, frozen=True):
    """One shop; every key of every table begins with its id."""

    shop_id: Id
    zone: str  # IANA name, known to this machine
    currency: Currency
    locale: Literal["zh-CN", "en"]
    preset: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]*$")] = "default"  # a file's name without its ending
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None  # ISO 3166
    city: Annotated[str, Meta(min_length=1, max_length=100)] | None = None  # that it sends from

    @property
    def region(self) -> str:
        """Where phone numbers without a country are at home; a currency begins with its country, but for the euro."""
        return self.country or self.currency[:2]


Shops = Mapping[str, Shop]  # by id


class ShopsError(ValueError):
    """What is wrong with a file of shops: one `path: reason` per line."""


def load_shops(path: Path | None = None) -> Shops:
    """The shops by id, from the file or, without one, the packaged `shops.yaml`; every fault in one exception."""
    source = path if path is not None else files("common") / "shops.yaml"
    try:
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ShopsError(f"{source}: {error}") from None
    if not isinstance(document, dict) or not document or not all(isinstance(shop, dict) for shop in document.values()):
        raise ShopsError(f"{source}: $: expected shop ids, each with zone, currency and locale")
    shops = {shop_id: {**shop, "shop_id": shop_id} for shop_id, shop in document.items()}
    faults = [f"$.{shop_id}.{fault}" for shop_id, shop in shops.items() for fault in _faults(shop)]
    if faults:
        raise ShopsError("\n".join((f"{source}:", *faults)))
    return {shop_id: Shop(**shop) for shop_id, shop in shops.items()}


def _faults(shop: dict[str, Any]) -> Iterator[str]:
    """Field by field, since a conversion of the whole would stop at the first fault."""
    known = {field.name: field for field in fields(Shop)}
    yield from (f"{name}: unknown field" for name in shop if name not in known)
    yield from (f"{name}: missing" for name, field in known.items() if field.required and name not in shop)
    for name in (name for name in shop if name in known):
        try:
            convert(shop[name], known[name].type)
            if name == "zone":
                ZoneInfo(shop[name])
        except ValidationError as error:
            yield f"{name}: {error}"
        except (ValueError, KeyError, OSError):  # a path, an unknown name, a folder such as "Asia"
            yield f"{name}: {shop[name]!r} is not an IANA time zone"
