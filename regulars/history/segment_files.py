"""Rules of segments in files of their own, for a simulation: a YAML file each, as docs/segments.md describes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from common.contracts.envelope import Rejection
from common.presets import Refused
from regulars.history.answer import Customer
from regulars.history.ending import COLUMNS
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.parse import Known
from segmentation.domain.rules.parse_segment import parse_segment
from segmentation.domain.rules.precedence import in_order
from segmentation.domain.rules.rule import Segment
from segmentation.presets.written import read_yaml

TAKEN = (*Customer.__struct_fields__, *COLUMNS)  # columns that are something else
SEGMENT = "segment"  # its name in the file; the file's own where it says none


class BadSegments(Refused):
    """Files that cannot be used: each fault with its file and path."""


def read_segment(path: Path) -> dict[str, Any]:
    """The file's document, with the segment's name; raises BadSegments where it is none, OSError without a file."""
    try:
        document = read_yaml(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSegments(f"{path}: $: not YAML: {error}") from None
    if not isinstance(document, dict):
        raise BadSegments(f"{path}: $: expected one segment: its name, and its rule under `in`")
    document.pop("version", None)  # as `segments show` prints it
    return {SEGMENT: path.stem, **document}


def rules_of(documents: Mapping[Path, Mapping[str, Any]], book: Rulebook) -> tuple[Segment, ...]:
    """In an order in which none asks about a later one; they may ask about the shop's own. Raises BadSegments."""
    names = [document[SEGMENT] for document in documents.values()]
    theirs = frozenset(name for name in names if isinstance(name, str))
    known = Known(frozenset(book.by_id) | theirs, zone=book.zone)
    faults: list[str] = []
    made: list[Segment] = []
    for number, (path, document) in enumerate(documents.items()):
        name = document[SEGMENT]
        read = parse_segment(document, known)
        if isinstance(read, tuple):
            faults += [f"{path}: {fault.path}: {fault.reason}" for fault in read]
        elif name in book.by_id or name in TAKEN or name in names[:number]:
            faults.append(f"{path}: $.{SEGMENT}: there is {name!r} already")
        else:
            made.append(read)
    ordered = in_order(made)
    faults += [f"{each.path}: {each.reason}" for each in ordered if isinstance(each, Rejection)]
    if faults:
        raise BadSegments("\n".join(faults))
    return tuple(each for each in ordered if isinstance(each, Segment))
