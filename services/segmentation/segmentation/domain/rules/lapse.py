"""What passed, in few words, when time alone changed the answer to a rule."""

from collections.abc import Iterator
from datetime import timedelta

from segmentation.domain.rules.rule import Events, Group, Measure, Question, Rule, ThenNot
from segmentation.domain.rules.windows import Calendar, Last
from segmentation.domain.rules.words import length_in_words

TIME = "time passed"


def lapse(rule: Rule) -> str:
    """`30d passed`, `a new week` and the like; where a rule goes by several lengths of time, no more than that."""
    found = set(_lapses(rule))
    return found.pop() if len(found) == 1 else TIME


def _lapses(rule: Rule) -> Iterator[str]:
    match rule:
        case Group(parts=parts):
            for part in parts:
                yield from _lapses(part)
        case Question(about=about, value=value):
            if isinstance(value, timedelta):
                yield _passed(value)
            if isinstance(about, Measure):
                yield from _of_window(about.events)
        case ThenNot(first=first, then_not=then_not, within=within):
            yield _passed(within)
            yield from _of_window(first)
            yield from _of_window(then_not)
        case _:
            pass


def _of_window(events: Events) -> Iterator[str]:
    match events.window:
        case Last(length):
            yield _passed(length)
        case Calendar(period):
            yield f"a new {period}"
        case _:
            pass


def _passed(length: timedelta) -> str:
    return f"{length_in_words(length)} passed"
