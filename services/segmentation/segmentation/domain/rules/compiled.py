"""Rules made ready for decisions: a function of each that says whether it holds, until when, and if it turns there.

It says the same as `evaluate`, of the same parts, but tells nothing on the way and stops at what settles it for good.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import NOTHING
from segmentation.domain.rules.evaluate import Others, evaluate, lot
from segmentation.domain.rules.measures import found_in, known_from
from segmentation.domain.rules.rule import Bucket, Fact, Group, InList, InSegment, Measure, Question, Rule, ThenNot
from segmentation.domain.rules.shorts import Short, comparing, of_fact, of_measure, or_unseen, settled
from segmentation.domain.rules.then_not import unfollowed
from segmentation.domain.rules.windows import begins

Ask = Callable[[Person, datetime, Others], Short]
_HOLDS: Short = (True, None, True)  # for good
_FAILS: Short = (False, None, True)


def compiled(rule: Rule) -> Ask:
    """Asks the rule, as `evaluate` does."""
    ask = _part(rule)

    def whole(person: Person, at: datetime, others: Others) -> Short:
        short = ask(person, at, others)
        if short[2] or short[1] is None:
            return short
        answer = evaluate(rule, person, at, others)  # looks further ahead, which is seldom needed
        return answer.holds, answer.until, answer.turns

    return whole if isinstance(rule, Group) else ask


def _part(rule: Rule) -> Ask:
    match rule:
        case Question(about=about):
            return _fact(rule, about) if isinstance(about, Fact) else _measure(rule, about)
        case Group():
            return _group(rule)
        case ThenNot():
            return lambda person, at, _: _then_not(rule, person, at)
        case InSegment(_, name):
            return lambda _, __, others: _in_segment(others, name)
        case InList(_, name):
            return lambda person, _, __: _HOLDS if name in person.lists else _FAILS
        case Bucket(_, salt, low, high):
            return lambda person, _, __: (
                _HOLDS if low <= lot(salt, person.shop_id, person.customer_id) < high else _FAILS
            )


def _fact(question: Question, fact: Fact) -> Ask:
    name, value, holds = fact.name, question.value, comparing(question.op, question.value)
    if isinstance(value, timedelta):
        return lambda person, at, _: of_fact(person.facts.get(name), value, holds, person.ends.get(name), at)

    def ask(person: Person, at: datetime, _: Others) -> Short:
        if person.ends:
            return of_fact(person.facts.get(name), value, holds, person.ends.get(name), at)
        return _HOLDS if holds(person.facts.get(name), at) else _FAILS

    return ask


def _measure(question: Question, about: Measure) -> Ask:
    events, value, holds = about.events, question.value, comparing(question.op, question.value)

    def ask(person: Person, at: datetime, _: Others) -> Short:
        series = person.series.get(events.of, NOTHING)
        since = begins(events.window, at, person.zone)
        matching = found_in(events, series, at, since)
        before = known_from(about, series, since)[1] if series.before is not None else None
        return or_unseen(of_measure(about, value, holds, matching, before, at, person)[1], series, at)

    return ask


def _then_not(rule: ThenNot, person: Person, at: datetime) -> Short:
    if not person.series.get(rule.first.of, NOTHING).records:
        return _FAILS
    asked = unfollowed(rule, person, at)
    return bool(asked.over), asked.until, asked.turns


def _in_segment(others: Others, name: str) -> Short:
    other = others[name]
    return other.holds, other.until, other.until is None


def _group(group: Group) -> Ask:
    kind, for_all = group.kind, group.kind == "all"
    asks = [_part(part) for part in group.parts]
    if_settled = _FAILS if for_all or kind == "none" else _HOLDS

    def ask(person: Person, at: datetime, others: Others) -> Short:
        parts: list[Short] = []
        changing = False
        for each in asks:
            part = each(person, at, others)
            if part[1] is None:
                if part[0] is not for_all:
                    return if_settled  # for good, whatever the others are
            else:
                changing = True
            parts.append(part)
        return settled(kind, parts) if changing else (_HOLDS if (kind != "any") else _FAILS)

    return ask
