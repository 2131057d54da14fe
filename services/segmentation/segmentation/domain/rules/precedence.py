"""The order in which segments are answered: whoever asks about another comes after it. Nobody may ask about itself."""

from collections.abc import Iterable, Iterator, Mapping

from common.contracts.envelope import Rejection
from segmentation.domain.rules.rule import Group, InSegment, Rule, Segment


def in_order(segments: Iterable[Segment]) -> tuple[Segment, ...] | tuple[Rejection, ...]:
    """The segments, none before one that it asks about, else as they came; or every circle, at the segment and the path
    in its rule where it closes (`<segment>: $.in...`). What is asked about and not among them is answered before."""
    by_id = {each.segment: each for each in segments}
    placed: dict[str, Segment] = {}
    circles: dict[frozenset[str], Rejection] = {}
    for segment in by_id.values():
        _place(segment, by_id, placed, circles)
    return tuple(circles.values()) or tuple(placed.values())


def asks_about(rule: Rule) -> Iterator[InSegment]:
    """The questions of a rule about other segments."""
    match rule:
        case Group(parts=parts):
            for part in parts:
                yield from asks_about(part)
        case InSegment():
            yield rule
        case _:
            return


def _place(
    first: Segment,
    by_id: Mapping[str, Segment],
    placed: dict[str, Segment],
    circles: dict[frozenset[str], Rejection],
) -> None:
    """Depth first, on a stack of our own: a chain of segments may be longer than calls may be deep."""
    trail: dict[str, Iterator[InSegment]] = {}
    if first.segment not in placed:
        trail[first.segment] = asks_about(first.rule)
    while trail:
        segment = next(reversed(trail))
        question = next(trail[segment], None)
        if question is None:
            del trail[segment]
            placed[segment] = by_id[segment]
        elif question.segment in trail:
            names = list(trail)
            circle = names[names.index(question.segment) :]
            reason = f"asks about itself: {' -> '.join((*circle, question.segment))}"
            circles.setdefault(frozenset(circle), Rejection(f"{segment}: {question.path}.segment", reason))
        elif question.segment in by_id and question.segment not in placed:
            trail[question.segment] = asks_about(by_id[question.segment].rule)
