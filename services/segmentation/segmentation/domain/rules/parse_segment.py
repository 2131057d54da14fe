"""From a segment's YAML or JSON (its name, its names for people, its rule) to the segment, or every fault in it.

segment: tea_lovers
names: {en: Tea lovers, zh-CN: 爱茶人}
in: {count: purchase, where: {field: categories, op: contains, value: tea}, over: 90d, op: gte, value: 2}
"""

import re
from collections.abc import Mapping
from typing import Any

from common.contracts.envelope import Rejection
from segmentation.domain.rules.cost import reads
from segmentation.domain.rules.grid import CELLS
from segmentation.domain.rules.parse import Known, parse
from segmentation.domain.rules.rule import Segment

SEGMENT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
ID_WORDS = "must be 1 to 64 of a-z, 0-9, _ and -, a letter or digit first"
LOCALES = ("en", "zh-CN")
MAX_NAME_CHARS = 100
KEYS = ("segment", "names", "in")


def parse_segment(
    tree: object, known: Known, under: str = "$", names_needed: tuple[str, ...] = ()
) -> Segment | tuple[Rejection, ...]:
    """The segment, its first version; `names_needed` are the languages it must have a name in."""
    if not isinstance(tree, Mapping):
        return (Rejection(under, f"must say {', '.join(KEYS)}"),)
    faults = [
        Rejection(f"{under}.{key}", f"does not belong here; what does is {', '.join(KEYS)}")
        for key in tree
        if key not in KEYS
    ]
    segment = tree.get("segment")
    if fault := fault_of_id(segment):
        faults.append(Rejection(f"{under}.segment", fault))
    elif segment in CELLS:
        faults.append(Rejection(f"{under}.segment", "is a segment that every shop has"))
    names = tree.get("names", {})
    faults.extend(_faults_of_names(names, f"{under}.names", names_needed))
    rule = parse(tree.get("in"), known)  # `why` tells of its parts from the segment on, wherever it was written
    if isinstance(rule, tuple):
        faults.extend(Rejection(under + fault.path.removeprefix("$"), fault.reason) for fault in rule)
    if faults or isinstance(rule, tuple):
        return tuple(faults)
    return Segment(str(segment), rule, reads(rule), dict(names))


def fault_of_id(name: object) -> str | None:
    """What keeps it from being the name of a segment or a list, if anything."""
    if isinstance(name, str) and SEGMENT_ID.fullmatch(name):
        return None
    unquoted = not isinstance(name, str | list | Mapping) and name is not None  # `yes` and `7` are no texts in YAML
    return ID_WORDS + ("; it must be a text: put it in quotes" if unquoted else "")


def _faults_of_names(names: Any, path: str, needed: tuple[str, ...]) -> list[Rejection]:
    if not isinstance(names, Mapping):
        return [Rejection(path, f"must be a name for each language: {', '.join(LOCALES)}")]
    faults = [
        Rejection(f"{path}.{locale}", f"is no language we speak: {', '.join(LOCALES)}")
        for locale in names
        if locale not in LOCALES
    ]
    faults += [
        Rejection(f"{path}.{locale}", f"must be a text of 1 to {MAX_NAME_CHARS} characters")
        for locale, name in names.items()
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS
    ]
    return faults + [Rejection(f"{path}.{locale}", "is missing") for locale in needed if locale not in names]
