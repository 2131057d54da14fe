"""What each part of a rule comes to, in short: whether it holds, until when, and whether it is known to turn there.

The one place that knows what a rule means. `evaluate` makes answers of it that tell what was found on the way;
`compiled` makes functions of it that tell nothing else, for decisions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from common.predicate import OPERATORS
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import Record, Series, Sums
from segmentation.domain.rules.measures import Step, course, next_unseen
from segmentation.domain.rules.rule import Kind, Measure

Short = tuple[bool, datetime | None, bool]  # `holds`, `until` and `turns`, as of an Answer
Holds = Callable[[Any, datetime], bool]  # of what was found, at an instant


def comparing(op: str, value: Any) -> Holds:
    """Whether it holds of what was found; what is not there satisfies `exists: false` alone, and what is of another
    kind than the value `exists: true` alone."""
    if isinstance(value, timedelta):
        older = op == "older_than"
        return lambda found, at: isinstance(found, datetime) and (at >= found + value) is older
    if op == "exists":
        return lambda found, _: (found is not None) is value
    compare = OPERATORS[op][0]
    if op == "contains":
        return lambda found, _: found is not None and bool(compare(found, value))
    kind = type(value[0] if isinstance(value, tuple) else value)
    return lambda found, _: type(found) is kind and bool(compare(found, value))


def of_fact(found: Any, value: Any, holds: Holds, ends: datetime | None, at: datetime) -> Short:
    """A time comes to another age by itself; the fact is another when it `ends`."""
    turn = found + value if isinstance(value, timedelta) and found is not None else None
    if turn is not None and turn > at and (ends is None or turn < ends):
        return holds(found, at), turn, True
    return holds(found, at), ends, ends is None


def of_measure(
    about: Measure,
    value: Any,
    holds: Holds,
    matching: Sequence[Record],
    before: Sums | None,
    at: datetime,
    person: Person,
) -> tuple[Any, Short]:
    """What is found, and what it comes to: the first change is looked for that turns the answer, so that a count far
    above its bound wakes nobody."""
    aside = 0
    if about.function == "count":
        # Above the largest number it is compared with, one more or less makes no difference.
        most = max(value) if isinstance(value, tuple) else value
        assert isinstance(most, int)
        aside = max(0, len(matching) - max(most, 0) - 1)
    steps = course(about, matching[aside:] if aside else matching, before, at, person)
    start, now = next(steps)
    stays = holds(now, at)
    return (now + aside if aside else now), (stays, _turn(value, holds, stays, start, now, steps), True)


def _turn(value: Any, holds: Holds, stays: bool, start: datetime, now: Any, steps: Iterator[Step]) -> datetime | None:
    """When it is another: at a step, or by age alone before the next one."""
    ages = isinstance(value, timedelta)
    for when, then in steps:
        if ages and now is not None and start < now + value < when:
            return now + value  # type: ignore[no-any-return]  # a time, since its age is asked for
        if holds(then, when) is not stays:
            return when
        start, now = when, then
    return now + value if ages and now is not None and now + value > start else None


def or_unseen(short: Short, series: Series, at: datetime) -> Short:
    """The same, but until a record that is ahead of us comes into view."""
    unseen = next_unseen(series, at)
    if unseen is None or (short[1] is not None and short[1] < unseen):
        return short
    return short[0], unseen, False


def settled(kind: Kind, parts: Sequence[Short]) -> Short:
    """What settles a group is what has to change: of all, those that fail; of any, those that hold."""
    for_all = kind == "all"
    settling = [part for part in parts if part[0] is not for_all]
    holds = for_all is not bool(settling)
    if settling:
        # As long as one of them stays as it is. With a single one the group turns with it, if the others stay.
        ends = [end for _, end, _ in settling]
        until = None if None in ends else max(end for end in ends if end is not None)
        others = earliest(end for stays, end, _ in parts if stays is for_all)
        turns = until is None or (len(ends) == 1 and settling[0][2] and (others is None or others > until))
    else:
        until = earliest(end for _, end, _ in parts)
        turns = until is None or any(turns and end == until for _, end, turns in parts)
    return not holds if kind == "none" else holds, until, turns


def earliest(times: Iterable[datetime | None]) -> datetime | None:
    """The first of those that are times."""
    return min((each for each in times if each is not None), default=None)
