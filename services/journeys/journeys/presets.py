"""Presets: a folder of journey files each, and which of them a shop walks. One fault refuses everything, all are told.

A preset is `presets/<preset>/<journey>.yaml`, plus perhaps a `preset.yaml` that takes journeys of other presets as
they are: `take: [default/gift_30d]`.
"""

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from common.presets import Refused
from common.shops import Shop
from journeys.domain.graph import Definition
from journeys.domain.lines import Fault, Page
from journeys.domain.parse import parse

FOLDER = files("journeys") / "presets"
TAKES = "preset.yaml"
MAX_JOURNEYS = 200  # of one preset

Definitions = tuple[Definition, ...]


class JourneysRefused(Refused):
    """Every fault of every preset that a shop asks for: file, line, path and reason, one to a line."""


def load(shops: Mapping[str, Shop], folder: Traversable = FOLDER) -> Mapping[str, Definitions]:
    """The journeys of each shop, by shop id; raises JourneysRefused."""
    faults: list[str] = []
    presets = {name: _preset(folder, name, faults) for name in sorted({shop.preset for shop in shops.values()})}
    if faults:
        raise JourneysRefused("\n".join(faults))
    return {shop_id: presets[shop.preset] for shop_id, shop in shops.items()}


def _preset(folder: Traversable, preset: str, faults: list[str]) -> Definitions:
    known = {entry.name: entry for entry in folder.iterdir() if entry.is_dir()}
    if preset not in known:
        faults.append(f"journeys/presets: no preset {preset!r}; there are {', '.join(sorted(known))}")
        return ()
    own = {f"{preset}/{entry.name}": entry for entry in known[preset].iterdir() if entry.name.endswith(".yaml")}
    takes = own.pop(f"{preset}/{TAKES}", None)
    taken = {} if takes is None else _taken(known, f"{preset}/{TAKES}", takes.read_text("utf-8"), faults)
    found = own | taken
    if len(found) > MAX_JOURNEYS:
        faults.append(f"journeys/presets/{preset}: {len(found)} journeys are too many; at most {MAX_JOURNEYS}")
        return ()
    definitions: dict[str, Definition] = {}
    for name, file in sorted(found.items()):
        definition = _journey(name, file.read_text("utf-8"), faults)
        if definition is None:
            continue
        if definition.journey in definitions:
            faults.append(_fault(name, Fault(1, "$.journey", f"preset {preset} has another {definition.journey}")))
        definitions[definition.journey] = definition
    return tuple(definitions.values())


def _taken(known: Mapping[str, Traversable], name: str, text: str, faults: list[str]) -> dict[str, Traversable]:
    page = Page(text)
    taken: dict[str, Traversable] = {}
    if page.top is not None:
        for spot in page.items(page.mapping(page.top, ("take",)).get("take"), MAX_JOURNEYS):
            preset, _, journey = (page.word(spot) or "").partition("/")
            files = {entry.name: entry for entry in known[preset].iterdir()} if preset in known else {}
            if f"{journey}.yaml" in files:
                taken[f"{preset}/{journey}.yaml"] = files[f"{journey}.yaml"]
            else:
                page.refuse(spot, "no such journey; a journey is named <preset>/<journey>")
    faults.extend(_fault(name, fault) for fault in sorted(page.faults))
    return taken


def _journey(name: str, text: str, faults: list[str]) -> Definition | None:
    definition = parse(text)
    if isinstance(definition, tuple):
        faults.extend(_fault(name, fault) for fault in definition)
        return None
    if name.rpartition("/")[2] != f"{definition.journey}.yaml":
        faults.append(_fault(name, Fault(1, "$.journey", f"{definition.journey} must be in {definition.journey}.yaml")))
    return definition


def _fault(name: str, fault: Fault) -> str:
    return f"journeys/presets/{name}:{fault.line}: {fault.path}: {fault.reason}"
