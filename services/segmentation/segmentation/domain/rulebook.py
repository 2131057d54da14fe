"""What a shop's customers are told apart by: its models in their order, and its segments, found by what they read."""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from zoneinfo import ZoneInfo

import msgspec

from segmentation.domain.model import Model
from segmentation.domain.rule import Segment


class Rulebook(msgspec.Struct, frozen=True, dict=True):
    """One shop's. `segments` stand in an order in which nobody asks about a later one. `revision` rises with every
    edit of the shop's own segments, and each segment holds the one that it was last edited at."""

    shop_id: str
    zone: ZoneInfo
    currency: str
    models: tuple[Model, ...] = ()
    segments: tuple[Segment, ...] = ()
    revision: int = 0

    @cached_property
    def by_id(self) -> Mapping[str, Segment]:
        """The segments by their names."""
        return {each.segment: each for each in self.segments}

    @cached_property
    def by_reads(self) -> Mapping[str, tuple[Segment, ...]]:
        """The segments that read a kind of events, a fact or another segment (`segment:<name>`)."""
        found: dict[str, list[Segment]] = {}
        for segment in self.segments:
            for name in segment.reads:
                found.setdefault(name, []).append(segment)
        return {name: tuple(segments) for name, segments in found.items()}

    def touched(self, names: Collection[str]) -> Iterable[Segment]:
        """The segments that read any of these, each once, in their order."""
        touched = {each.segment for name in names for each in self.by_reads.get(name, ())}
        return (each for each in self.segments if each.segment in touched) if touched else ()

    def edited_after(self, revision: int) -> tuple[Segment, ...]:
        """Those that a profile of that revision was never asked about as they are now."""
        return tuple(each for each in self.segments if each.revision > revision) if revision < self.revision else ()
