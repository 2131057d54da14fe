"""Whether a rule holds for a customer at an instant, why, and until when at least that stays so if nothing happens.

`until` is never too late: from the instant of the question up to, not including, `until` the answer is the same as
long as no event comes. None is for good. With `turns` the answer is known to be another at `until`; without it, that
is when somebody has to ask again.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from common.predicate import OPERATORS
from segmentation.domain.measures import course, found_in, known_from, next_unseen
from segmentation.domain.person import Person
from segmentation.domain.records import NOTHING, Record
from segmentation.domain.rule import Bucket, Fact, Group, InList, InSegment, Measure, Question, Rule, ThenNot
from segmentation.domain.then_not import unfollowed
from segmentation.domain.windows import begins

LOTS = 100
LOOK_AHEAD = 4  # instants at which a group is asked again for the one that turns it: each costs as much as the answer
MAX_EVENTS_TOLD = 5  # of those behind an answer


class Answer(Struct, frozen=True):
    """To one part of a rule and, in `parts`, to the parts of that. `found` is what was compared, `events` the newest
    events behind it. With `exact_from` older events have a part in it that are not known one by one."""

    path: str
    holds: bool
    until: datetime | None = None
    found: Any = None
    events: Sequence[Record] = ()
    exact_from: datetime | None = None
    parts: "tuple[Answer, ...]" = ()
    turns: bool = True


Others = Mapping[str, Answer]  # of the segments that rules may ask about, answered before


def evaluate(rule: Rule, person: Person, at: datetime, others: Others) -> Answer:
    """The answer at `at`, no event being later than that."""
    answer = _answer(rule, person, at, others)
    if answer.turns or answer.until is None:
        return answer
    horizon = _horizon(answer)
    ahead = answer
    for _ in range(LOOK_AHEAD):
        until = ahead.until
        if until is None or ahead.turns:
            break
        if horizon is not None and until >= horizon:
            break  # what is found from there on nobody knows yet
        ahead = _answer(rule, person, until, others)
        if ahead.holds is not answer.holds:
            return replace(answer, until=until, turns=True)
    return replace(answer, until=ahead.until, turns=ahead.turns)


def _answer(rule: Rule, person: Person, at: datetime, others: Others) -> Answer:
    # The two that are asked all day go first, by type: matching patterns takes longer than their answers.
    if isinstance(rule, Question):
        about = rule.about
        return _fact(rule, about, person, at) if isinstance(about, Fact) else _measured(rule, about, person, at)
    if isinstance(rule, Group):
        return _group(rule, tuple([_answer(part, person, at, others) for part in rule.parts]))
    match rule:
        case ThenNot():
            return _then_not(rule, person, at)
        case InSegment(path, segment):
            other = others[segment]
            return Answer(path, other.holds, other.until, segment, turns=other.until is None)
        case InList(path, name):
            return Answer(path, name in person.lists, found=name)
        case Bucket(path, salt, low, high):
            drawn = lot(salt, person.shop_id, person.customer_id)
            return Answer(path, low <= drawn < high, found=drawn)


def lot(salt: str, shop_id: str, customer_id: str) -> int:
    """A number in [0, 100) that a customer keeps for good."""
    drawn = sha256(f"{salt}\x1f{shop_id}\x1f{customer_id}".encode()).digest()
    return int.from_bytes(drawn[:8]) % LOTS


def _group(group: Group, parts: tuple[Answer, ...]) -> Answer:
    """What settles a group is what has to change: of all, those that fail; of any, those that hold."""
    for_all = group.kind == "all"
    settling = [part for part in parts if part.holds is not for_all]
    holds = for_all is not bool(settling)
    if settling:
        # As long as one of them stays as it is. With a single one the group turns with it, if the others stay.
        ends = [part.until for part in settling]
        until = None if None in ends else max(end for end in ends if end is not None)
        others = earliest(part.until for part in parts if part.holds is for_all)
        turns = until is None or (len(ends) == 1 and settling[0].turns and (others is None or others > until))
    else:
        until = earliest(part.until for part in parts)
        turns = until is None or any(part.turns and part.until == until for part in parts)
    return Answer(group.path, not holds if group.kind == "none" else holds, until, parts=parts, turns=turns)


def _horizon(answer: Answer) -> datetime | None:
    """From when on something is unknown, such as what a model will say then; None: all is known."""
    if answer.parts:
        return earliest(_horizon(part) for part in answer.parts)
    return None if answer.turns else answer.until


def _fact(question: Question, fact: Fact, person: Person, at: datetime) -> Answer:
    found, value, ends = person.facts.get(fact.name), question.value, person.ends.get(fact.name)
    holds = compares(found, question.op, value, at)
    if isinstance(value, timedelta) and found is not None and found + value > at:
        turn = found + value
        if ends is None or turn < ends:
            return Answer(question.path, holds, turn, found)
    return Answer(question.path, holds, ends, found, turns=ends is None)


def _measured(question: Question, about: Measure, person: Person, at: datetime) -> Answer:
    """The loss that turns the answer is looked for, so that a count far above its bound wakes nobody."""
    series = person.series.get(about.events.of, NOTHING)
    op, value = question.op, question.value
    since = begins(about.events.window, at, person.zone)
    matching = found_in(about.events, series, at, since)
    exact_from, before = known_from(about, series, since)
    found: Any = None
    to_come = matching
    if about.function == "count":
        found = len(matching) + (before.count if before else 0)
        # Above the largest number it is compared with, one more or less makes no difference.
        most = max(value) if isinstance(value, tuple) else value
        assert isinstance(most, int)
        to_come = matching[max(0, len(matching) - max(most, 0) - 1) :]
    steps = course(about, to_come, before, at, person)
    start, now = next(steps)
    found = now if found is None else found
    holds = compares(now, op, value, at)
    until = None
    for when, then in steps:
        if isinstance(value, timedelta) and now is not None and start < now + value < when:
            until = now + value
        elif compares(then, op, value, when) is not holds:
            until = when
        if until is not None:
            break
        start, now = when, then
    if until is None and isinstance(value, timedelta) and now is not None and now + value > start:
        until = now + value
    unseen = next_unseen(series, at)
    turns = unseen is None or (until is not None and until < unseen)
    until = until if turns else unseen
    return Answer(question.path, holds, until, found, matching[-MAX_EVENTS_TOLD:], exact_from, turns=turns)


def compares(found: Any, op: str, value: Any, at: datetime) -> bool:
    """Whether it holds of what was found; what is not there satisfies `exists: false` alone, and what is of another
    kind than the value `exists: true` alone."""
    if found is None:
        return op == "exists" and value is False
    if isinstance(value, timedelta):
        return isinstance(found, datetime) and (at >= found + value) is (op == "older_than")
    if op not in ("exists", "contains"):
        sample = value[0] if isinstance(value, tuple) else value
        if type(found) is not type(sample):
            return False
    return bool(OPERATORS[op][0](found, value))


def _then_not(rule: ThenNot, person: Person, at: datetime) -> Answer:
    asked = unfollowed(rule, person, at)
    over = asked.over
    told = over[-MAX_EVENTS_TOLD:]
    return Answer(rule.path, bool(over), asked.until, len(over), told, asked.exact_from, turns=asked.turns)


def earliest(times: Iterable[datetime | None]) -> datetime | None:
    """The first of those that are times."""
    return min((each for each in times if each is not None), default=None)
