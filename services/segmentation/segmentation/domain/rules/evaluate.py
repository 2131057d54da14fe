"""Whether a rule holds for a customer at an instant, why, and until when at least that stays so if nothing happens.

`until` is never too late: from the instant of the question up to, not including, `until` the answer is the same as
long as no event comes. None is for good. With `turns` the answer is known to be another at `until`; without it, that
is when somebody has to ask again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import NOTHING, Record
from segmentation.domain.rules.measures import found_in, known_from
from segmentation.domain.rules.rule import Bucket, Fact, Group, InList, InSegment, Measure, Question, Rule, ThenNot
from segmentation.domain.rules.shorts import comparing, earliest, of_fact, of_measure, or_unseen, settled
from segmentation.domain.rules.then_not import unfollowed
from segmentation.domain.rules.windows import begins

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
    holds, until, turns = settled(group.kind, [(part.holds, part.until, part.turns) for part in parts])
    return Answer(group.path, holds, until, parts=parts, turns=turns)


def _horizon(answer: Answer) -> datetime | None:
    """From when on something is unknown, such as what a model will say then; None: all is known."""
    if answer.until is None:
        return None  # whatever its parts will be
    if answer.parts:
        return earliest(_horizon(part) for part in answer.parts)
    return None if answer.turns else answer.until


def _fact(question: Question, fact: Fact, person: Person, at: datetime) -> Answer:
    found, value = person.facts.get(fact.name), question.value
    short = of_fact(found, value, comparing(question.op, value), person.ends.get(fact.name), at)
    return Answer(question.path, short[0], short[1], found, turns=short[2])


def _measured(question: Question, about: Measure, person: Person, at: datetime) -> Answer:
    series, value = person.series.get(about.events.of, NOTHING), question.value
    since = begins(about.events.window, at, person.zone)
    matching = found_in(about.events, series, at, since)
    exact_from, before = known_from(about, series, since)
    found, short = of_measure(about, value, comparing(question.op, value), matching, before, at, person)
    short = or_unseen(short, series, at)
    return Answer(question.path, short[0], short[1], found, matching[-MAX_EVENTS_TOLD:], exact_from, turns=short[2])


def _then_not(rule: ThenNot, person: Person, at: datetime) -> Answer:
    asked = unfollowed(rule, person, at)
    over = asked.over
    told = over[-MAX_EVENTS_TOLD:]
    return Answer(rule.path, bool(over), asked.until, len(over), told, asked.exact_from, turns=asked.turns)
