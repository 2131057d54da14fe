"""Whether a rule holds for a customer at an instant, why, and until when at least that stays so if nothing happens.

`until` is never too late: from the instant of the question up to, not including, `until` the answer is the same as
long as no event comes. None is for good.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from common.predicate import OPERATORS
from segmentation.domain.person import Person
from segmentation.domain.records import Record, Series
from segmentation.domain.rule import Bucket, Events, Fact, Group, InSegment, Measure, Question, Rule, ThenNot
from segmentation.domain.windows import Ever, begins, inside, next_loss

LOTS = 100
LOOK_AHEAD = 8  # losses that are looked through for the one that turns the answer; the next one after is taken for it
MAX_EVENTS_TOLD = 5  # of those behind an answer

_NOTHING = Series()


class Answer(Struct, frozen=True):
    """To one part of a rule and, in `parts`, to the parts of that. `found` is what was compared, `events` the names of
    the newest events behind it. With `exact_from` older events have a part in it that are not known one by one."""

    path: str
    holds: bool
    until: datetime | None = None
    found: Any = None
    events: tuple[str, ...] = ()
    exact_from: datetime | None = None
    parts: "tuple[Answer, ...]" = ()


Others = Mapping[str, Answer]  # of the segments that rules may ask about, answered before


def evaluate(rule: Rule, person: Person, at: datetime, others: Others) -> Answer:
    """The answer at `at`, no event being later than that."""
    match rule:
        case Group():
            return _group(rule, tuple(evaluate(part, person, at, others) for part in rule.parts))
        case Question(path, Fact(name)):
            answer = _compared(rule, Answer(path, holds=False, found=person.facts.get(name)), at)
            return replace(answer, until=earliest((answer.until, person.ends.get(name))))
        case Question():
            return _measured(rule, person, at)
        case ThenNot():
            return _then_not(rule, person, at)
        case InSegment(path, segment):
            other = others[segment]
            return Answer(path, other.holds, other.until, found=segment)
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
        # As long as one of them stays as it is.
        ends = [part.until for part in settling]
        until = None if None in ends else max(end for end in ends if end is not None)
    else:
        until = earliest(part.until for part in parts)
    return Answer(group.path, not holds if group.kind == "none" else holds, until, parts=parts)


def _measured(question: Question, person: Person, at: datetime) -> Answer:
    """The loss that turns the answer is looked for, so that a count far above its bound wakes nobody."""
    about = question.about
    assert isinstance(about, Measure)
    series = person.series.get(about.events.of, _NOTHING)
    first = answer = _at(question, about, series, at, person.zone)
    for _ in range(LOOK_AHEAD):
        if answer.until is None or answer.holds is not first.holds:
            break
        when = answer.until
        answer = _at(question, about, series, when, person.zone)
        if answer.holds is not first.holds:
            return replace(first, until=when)
    return replace(first, until=answer.until)


def _at(question: Question, about: Measure, series: Series, at: datetime, zone: ZoneInfo) -> Answer:
    events = about.events
    found = matching(events, series, at, zone)
    since = begins(events.window, at, zone)
    whole = isinstance(events.window, Ever) and events.where is None and about.function != "distinct"
    dropped = series.exact_from is not None and (since is None or since < series.exact_from)
    named = Answer(
        question.path,
        holds=False,
        found=_value(about, found, series if whole else None),
        events=tuple(record.name for record in found[-MAX_EVENTS_TOLD:]),
        exact_from=series.exact_from if dropped and not whole else None,
    )
    answer = _compared(question, named, at)
    return replace(answer, until=earliest((answer.until, next_loss(events.window, found, at, zone))))


def _value(about: Measure, found: Sequence[Record], series: Series | None) -> Any:
    """`series`, where what was dropped counts too."""
    before = series.before if series is not None else None
    count = len(found) + (before.count if before else 0)
    match about.function:
        case "count":
            return count
        case "distinct":
            return len({each for record in found for each in _each(record.about.get(about.field))})
        case "first":
            return before.first_at if before else (found[0].at if found else None)
        case "last":
            return max([record.at for record in found[-1:]] + ([before.last_at] if before else []), default=None)
        case _:
            total = sum(record.about.get(about.field) or 0 for record in found)
            total += before.totals.get(about.field, 0) if before else 0
            return total if about.function == "sum" else (total // count if count else None)


def _each(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _compared(question: Question, answer: Answer, at: datetime) -> Answer:
    """With what was found; what is not there satisfies `exists: false` alone."""
    found, value = answer.found, question.value
    if found is None:
        return replace(answer, holds=question.op == "exists" and value is False)
    if isinstance(value, timedelta):
        turns = found + value
        old = at >= turns
        return replace(answer, holds=old is (question.op == "older_than"), until=None if old else turns)
    return replace(answer, holds=bool(OPERATORS[question.op][0](found, value)))


def _then_not(rule: ThenNot, person: Person, at: datetime) -> Answer:
    begun = matching(rule.first, person.series.get(rule.first.of, _NOTHING), at, person.zone)
    answers = matching(rule.then_not, person.series.get(rule.then_not.of, _NOTHING), at, person.zone)
    open_ones = [
        record for record in begun if not any(record.at <= one.at <= record.at + rule.within for one in answers)
    ]
    over = [record for record in open_ones if record.at + rule.within <= at]
    due = earliest(record.at + rule.within for record in open_ones if record.at + rule.within > at)
    lost = next_loss(rule.first.window, begun, at, person.zone)
    forgiven = next_loss(rule.then_not.window, answers, at, person.zone)  # an answer out of its window is none
    return Answer(
        rule.path,
        holds=bool(over),
        until=earliest((due, lost, forgiven)),
        found=len(over),
        events=tuple(record.name for record in over[-MAX_EVENTS_TOLD:]),
    )


def matching(events: Events, series: Series, at: datetime, zone: ZoneInfo) -> list[Record]:
    """The records in the window that the filter holds for, oldest first."""
    found = inside(events.window, series.records, at, zone)
    where = events.where
    return found if where is None else [record for record in found if where.matches(record.about)]


def earliest(times: Iterable[datetime | None]) -> datetime | None:
    """The first of those that are times."""
    return min((each for each in times if each is not None), default=None)
