"""A version of an own segment as the segment it stands for, in its place among the others, or every fault of it."""

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from common.contracts.envelope import Rejection
from segmentation.domain.models.rfm import RfmModel
from segmentation.domain.profile.catalogue import OF_LIST, OF_SEGMENT
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.grid import CELLS
from segmentation.domain.rules.parse import Known
from segmentation.domain.rules.parse_segment import fault_of_id, parse_segment
from segmentation.domain.rules.precedence import in_order
from segmentation.domain.rules.rule import Segment
from segmentation.own.store import Version

RESERVED = ("preview", "overlap")  # words of addresses


def fault_of_name(name: object, presets: Collection[str]) -> str | None:
    """What is wrong with the name of an own segment or list, if anything."""
    if fault := fault_of_id(name):
        return fault
    if name in RESERVED:
        return "is a part of an address: take another name"
    if name in CELLS or name in presets:
        return "is the name of a segment that every shop has"
    return None


class Faulty(ValueError):
    """Segments that cannot be answered: each fault with its path, behind the segment's name where that is another."""

    def __init__(self, *faults: Rejection) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.reason}" for fault in faults))
        self.faults = faults


def compose(presets: Rulebook, live: Mapping[str, Version], lists: Mapping[str, int]) -> tuple[Segment, ...]:
    """The presets' segments and the shop's own, in the order of answering. `lists` are the static ones, each with the
    revision that it was put at. Raises Faulty."""
    names = frozenset((*CELLS, *presets.by_id, *live)) - frozenset(RESERVED)  # nor what is only looked at
    known = Known(names, frozenset(lists), presets.zone, _groups(presets))
    own: list[Segment] = []
    faults: list[Rejection] = []
    for name, version in live.items():
        made = segment_of(version, known)
        if isinstance(made, tuple):
            faults += (Rejection(f"{name}: {fault.path}", fault.reason) for fault in made)
        else:
            own.append(_raised(made, lists))
    if faults:
        raise Faulty(*faults)
    segments: list[Segment] = []
    for each in in_order((*presets.segments, *own)):
        if isinstance(each, Segment):
            segments.append(each)
        else:
            faults.append(each)
    if faults:
        raise Faulty(*faults)
    return tuple(segments)


def _groups(presets: Rulebook) -> tuple[str, ...]:
    plans = [model.plan for model in presets.models if isinstance(model, RfmModel)]
    return tuple(sorted({group for plan in plans for group in plan.groups.values()}))


def segment_of(version: Version, known: Known) -> Segment | tuple[Rejection, ...]:
    """The segment; `known` is what it may ask about, itself among it."""
    made = parse_segment({"segment": version.segment, "names": version.names, "in": version.rule}, known)
    if isinstance(made, tuple):
        return made
    return replace(made, version=version.version, revision=version.revision, preset=False)


def _raised(segment: Segment, lists: Mapping[str, int]) -> Segment:
    """At the revision of the newest list that it asks about, where that is later than its own."""
    of_lists = [lists.get(name.removeprefix(OF_LIST), 0) for name in segment.reads if name.startswith(OF_LIST)]
    return replace(segment, revision=max((segment.revision, *of_lists)))


def readers_of(segments: Collection[Segment], segment: str) -> list[str]:
    """The names of those that ask about this one."""
    return sorted(each.segment for each in segments if f"{OF_SEGMENT}{segment}" in each.reads)
