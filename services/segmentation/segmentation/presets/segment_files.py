"""Reads the segments that a shop has from the start: presets/segments/<preset>.yaml, else that of `default`."""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from common.contracts.envelope import Rejection
from common.presets import SUFFIX, BadPresets
from common.shops import Shop
from segmentation.domain.rules.parse import Known
from segmentation.domain.rules.parse_segment import LOCALES, SEGMENT_ID, parse_segment
from segmentation.domain.rules.precedence import in_order
from segmentation.domain.rules.rule import Segment
from segmentation.presets.written import read_yaml

FOLDER = "presets/segments"
DEFAULT = "default"
MAX_SEGMENTS = 200  # of one preset


def segments(shop: Shop) -> tuple[Segment, ...]:
    """The shop's, none before one that it asks about; raises BadPresets, which names every fault."""
    return _read(_file_of(shop), shop.zone)


def parse_segments(text: str, zone: ZoneInfo) -> tuple[Segment, ...] | tuple[Rejection, ...]:
    """The segments of a file in the order in which they are answered, or everything that is wrong with it."""
    try:
        trees = read_yaml(text)
    except yaml.YAMLError as error:
        return (Rejection("$", f"not YAML: {error}"),)
    if not isinstance(trees, list) or len(trees) > MAX_SEGMENTS:
        return (Rejection("$", f"must be a list of segments, {MAX_SEGMENTS} at most"),)
    names = [tree.get("segment") if isinstance(tree, dict) else None for tree in trees]
    known = Known(frozenset(n for n in names if isinstance(n, str) and SEGMENT_ID.fullmatch(n)), zone=zone)
    faults: list[Rejection] = []
    made: list[Segment] = []
    for number, tree in enumerate(trees):
        read = parse_segment(tree, known, f"$[{number}]", LOCALES)
        if isinstance(read, tuple):
            faults.extend(read)
        elif names.index(read.segment) < number:
            faults.append(Rejection(f"$[{number}].segment", f"stands at $[{names.index(read.segment)}] already"))
        else:
            made.append(read)
    return tuple(faults) or in_order(made)


@lru_cache
def _read(name: str, zone: str) -> tuple[Segment, ...]:
    read = parse_segments(_text(name), ZoneInfo(zone))
    faults = [each for each in read if isinstance(each, Rejection)]
    if faults:
        where = f"segmentation/{FOLDER}/{name}{SUFFIX}"
        raise BadPresets("\n".join(f"{where}: {fault.path}: {fault.reason}" for fault in faults))
    return tuple(each for each in read if isinstance(each, Segment))


def trees(shop: Shop) -> Mapping[str, Any]:
    """The rules of the shop's segments by their names, as they are written: to be shown, and copied."""
    written = read_yaml(_text(_file_of(shop)))
    return {tree["segment"]: as_json(tree["in"]) for tree in written}


def as_json(value: Any) -> Any:
    """YAML knows days and times, which are texts in JSON, and names that are no texts."""
    if isinstance(value, dict):
        return {str(name): as_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def _file_of(shop: Shop) -> str:
    """The name of the preset's own file, where it has one."""
    return shop.preset if (files("segmentation") / FOLDER / f"{shop.preset}{SUFFIX}").is_file() else DEFAULT


def _text(name: str) -> str:
    return (files("segmentation") / FOLDER / f"{name}{SUFFIX}").read_text("utf-8")
