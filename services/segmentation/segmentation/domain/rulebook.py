"""What a shop's customers are told apart by: its models in their order, and its segments, found by what they read."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from segmentation.domain.models.model import Model
from segmentation.domain.profile.catalogue import OF_SEGMENT
from segmentation.domain.rules.compiled import Ask, compiled
from segmentation.domain.rules.lapse import lapse
from segmentation.domain.rules.rule import Bucket, Fact, Group, Question, Rule, Segment

Gate = tuple[str, tuple[Any, ...]]  # a fact and values of it
Numbers = int  # of models or segments: bit n is set for number n, so that many are put together at once
NONE: Numbers = 0


def asked_about(segment: Segment) -> list[str]:
    """The segments that this one asks about, by name."""
    return sorted(name.removeprefix(OF_SEGMENT) for name in segment.reads if name.startswith(OF_SEGMENT))


class Rulebook(msgspec.Struct, frozen=True, dict=True):
    """One shop's. `segments` stand in an order in which nobody asks about a later one. `revision` rises with every
    edit of the shop's own segments and of what its models go by, and each of them holds the one that it was last
    edited at. `edition` is another for other presets: everybody is asked everything by them, as they are next met."""

    shop_id: str
    zone: ZoneInfo
    currency: str
    models: tuple[Model, ...] = ()
    segments: tuple[Segment, ...] = ()
    revision: int = 0
    edition: str = ""

    @cached_property
    def by_id(self) -> Mapping[str, Segment]:
        """The segments by their names."""
        return {each.segment: each for each in self.segments}

    @cached_property
    def by_reads(self) -> Mapping[str, Numbers]:
        """Numbers of `segments` by what is read there: a kind of events, a fact, a segment (`segment:<name>`)."""
        return _readers(segment.reads for segment in self.segments)

    @cached_property
    def models_by_reads(self) -> Mapping[str, Numbers]:
        """Numbers of `models` by what is read there: a kind of events, a fact."""
        return _readers(model.reads for model in self.models)

    @cached_property
    def model_numbers(self) -> Mapping[str, int]:
        """Where each model stands in `models`."""
        return {model.name: number for number, model in enumerate(self.models)}

    @cached_property
    def model_of(self) -> Mapping[str, str]:
        """The name of the model that says a fact."""
        return {field: model.name for model in self.models for field in model.fields}

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Where each segment stands in `segments`."""
        return {each.segment: number for number, each in enumerate(self.segments)}

    @cached_property
    def drawn(self) -> Numbers:
        """Where segments stand that ask for a lot, and so have an answer of their own for everybody."""
        return numbers_of(number for number, each in enumerate(self.segments) if _draws(each.rule))

    @cached_property
    def gates(self) -> tuple[Gate | None, ...]:
        """Of each in `segments`, a fact that must be one of these for the rule to hold, where there is such a fact."""
        return tuple(_gate(each.rule) for each in self.segments)

    @cached_property
    def asks(self) -> tuple[Ask, ...]:
        """Of each in `segments`, the rule made ready."""
        return tuple(compiled(each.rule) for each in self.segments)

    @cached_property
    def lapses(self) -> Mapping[str, str]:
        """What passed where time alone changed the answer of a segment."""
        return {each.segment: lapse(each.rule) for each in self.segments}

    @cached_property
    def heard(self) -> frozenset[str]:
        """Everything that any model or segment reads."""
        return frozenset(self.by_reads).union(*(model.reads for model in self.models))

    def needed(self, by: Iterable[Segment]) -> tuple[Segment, ...]:
        """Those that these ask about, and those that they ask about in turn, in their order."""
        wanted = {name for segment in by for name in asked_about(segment)}
        for segment in reversed(self.segments):
            if segment.segment in wanted:
                wanted.update(asked_about(segment))
        return tuple(segment for segment in self.segments if segment.segment in wanted)


def numbers_of(numbers: Iterable[int]) -> Numbers:
    """These."""
    found = NONE
    for number in numbers:
        found |= 1 << number
    return found


def lowest(found: Numbers) -> int:
    """The lowest; there is one."""
    return (found & -found).bit_length() - 1


def _readers(reads: Iterable[Iterable[str]]) -> Mapping[str, Numbers]:
    """By each name, the places at which it is among those read."""
    found: dict[str, Numbers] = {}
    for number, names in enumerate(reads):
        for name in names:
            found[name] = found.get(name, NONE) | 1 << number
    return found


def _gate(rule: Rule) -> Gate | None:
    if isinstance(rule, Group) and rule.kind == "all":
        return next((gate for part in rule.parts if (gate := _gate(part)) is not None), None)
    if isinstance(rule, Question) and isinstance(rule.about, Fact) and rule.op in ("eq", "in"):
        return rule.about.name, rule.value if isinstance(rule.value, tuple) else (rule.value,)
    return None


def _draws(rule: Rule) -> bool:
    return isinstance(rule, Bucket) or (isinstance(rule, Group) and any(_draws(part) for part in rule.parts))
