"""Presets: files of rules that a shop takes by name. One fault refuses all of them at the start, all are told."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TypeVar

from common.contracts.envelope import Rejection
from common.shops import Shop

R = TypeVar("R")
SUFFIX = ".yaml"


class Refused(ValueError):
    """A file of rules or words that is faulty as a whole: every fault of it in the message, one to a line."""


class BadPresets(Refused):
    """Presets that cannot be used, or are not there: each fault with its file and path."""


def load(
    service: str, shops: Mapping[str, Shop], parse: Callable[[str, Shop], R | tuple[Rejection, ...]]
) -> Mapping[str, R]:
    """What `parse` makes of each shop's file in the service's presets/, by shop id; raises BadPresets."""
    folder = files(service) / "presets"
    known = {file.name.removesuffix(SUFFIX): file for file in folder.iterdir() if file.name.endswith(SUFFIX)}
    rules: dict[str, R] = {}
    faults: dict[str, None] = {}  # in order, each once however many shops share the preset
    for shop in shops.values():
        file = known.get(shop.preset)
        if file is None:
            faults[f"shop {shop.shop_id}: no preset {shop.preset!r}; there are {', '.join(sorted(known))}"] = None
            continue
        parsed = parse(file.read_text("utf-8"), shop)
        if isinstance(parsed, tuple):
            faults |= dict.fromkeys(f"{service}/presets/{file.name}: {x.path}: {x.reason}" for x in parsed)
        else:
            rules[shop.shop_id] = parsed
    if faults:
        raise BadPresets("\n".join(faults))
    return rules
