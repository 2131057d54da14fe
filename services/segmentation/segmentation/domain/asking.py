"""Asks the models and the segments that something concerns what they say of a customer now, and nobody else.

Each is asked once at most: a model after those before it, a segment after those it asks about. What nobody touched and
what time has not reached says what it said, and costs nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from common.contracts.envelope import Data
from common.contracts.segmentation import SegmentEntered, SegmentLeft
from segmentation.domain.models.model import Model
from segmentation.domain.profile.catalogue import OF_SEGMENT
from segmentation.domain.profile.person import Person, person_of
from segmentation.domain.profile.state import Kept, Place, Profile, Value
from segmentation.domain.rulebook import NONE, Numbers, Rulebook, lowest, numbers_of
from segmentation.domain.rules.evaluate import Answer
from segmentation.domain.rules.grid import CELLS, segment_id
from segmentation.domain.rules.rule import Segment

NEW_RULES = "new rules"
EDITED = "edited"
ARCHIVED = "archived"
LIFECYCLE, ACTIVITY = "lifecycle", "activity"
_SAID_NOTHING = Kept()
_IN, _OUT = Answer(path="", holds=True), Answer(path="", holds=False)


class Asking:
    """One decision about one customer. `touched` are the names of what became another, each with the reason, and
    `because` is the reason of all else; `answers` and `places` are what is kept afterwards, `told` the facts about
    segments. Of a new face, `before` is None and the profile holds what is said of nobody, unless everything is asked.
    """

    def __init__(
        self,
        book: Rulebook,
        shop_id: str,
        customer_id: str,
        before: Profile | None,
        profile: Profile,
        at: datetime,
        touched: dict[str, str],
        because: str,
        *,
        everything: bool,
    ) -> None:
        self._book, self._before, self._profile, self._at = book, before, profile, at
        self._ids = shop_id, customer_id
        self._because, self._everything = because, everything
        self.touched = touched
        self.answers = dict(profile.answers)
        self.places = dict(profile.places)
        self.told: list[Data] = []
        self._person = self._seen(profile, self.answers)

    def ask(self) -> None:
        """The models in their order, then the segments."""
        self._ask_models()
        if not self._profile.resting:
            self._ask_segments()
        if self._before is None:
            inside = sorted(self._book.numbers[name] for name, place in self.places.items() if place.inside)
            segments = [self._book.segments[number] for number in inside]
            self.told = [SegmentEntered(each.segment, self._reason(each, None), each.version) for each in segments]

    def fact(self, name: str) -> Any:
        """What a model says now."""
        return self._person.facts.get(name)

    def reason_of(self, *names: str) -> str:
        """Why any of these became another."""
        return next((reason for name, reason in self.touched.items() if name in names), self._because)

    def _seen(self, profile: Profile, answers: Mapping[str, Kept]) -> Person:
        return person_of(*self._ids, self._book.zone, profile, answers, self._book.model_of)

    # Models

    def _ask_models(self) -> None:
        book, resting = self._book, self._profile.resting
        waiting = _all(book.models) if self._everything else self._models_concerned()
        while waiting:
            number = lowest(waiting)
            waiting ^= 1 << number
            model = book.models[number]
            if resting and LIFECYCLE not in model.fields:
                continue
            for name in self._ask_model(model):
                waiting |= _after(number, book.models_by_reads.get(name, NONE))

    def _models_concerned(self) -> Numbers:
        book, at, revision = self._book, self._at, self._profile.revision
        found = NONE
        for name in self.touched:
            found |= book.models_by_reads.get(name, NONE)
        due = [name for name, known in self.answers.items() if (end := known.until) is not None and end <= at]
        if due:
            found |= numbers_of(book.model_numbers[name] for name in due if name in book.model_numbers)
        if revision < book.revision:
            found |= numbers_of(number for number, model in enumerate(book.models) if model.revision > revision)
        return found

    def _ask_model(self, model: Model) -> Sequence[str]:
        """The facts that are others now."""
        known = self.answers.get(model.name)
        said = model.answer(self._person, self._at)
        assert said.until is None or said.until > self._at, (
            f"{model.name} changes by {said.until}, not after {self._at}"
        )
        now = Kept(_plain(said.facts), said.until)
        if now == (known or _SAID_NOTHING):
            return ()
        if now == _SAID_NOTHING:
            del self.answers[model.name]
        else:
            self.answers[model.name] = now
        facts = known.facts if known is not None else {}
        changed = [name for name in model.fields if now.facts.get(name) != facts.get(name)]
        if changed:
            reason = self._why(model, known, now, said.reason)
            self.touched |= dict.fromkeys(changed, reason)
            cells = self._cell(facts), self._cell(now.facts)
            if cells[0] != cells[1]:
                self.touched |= dict.fromkeys((f"{OF_SEGMENT}{cell}" for cell in cells), reason)
        return changed

    def _why(self, model: Model, known: Kept | None, now: Kept, by_time: str) -> str:
        """By what the customer did, where it would not be so without that; else by time alone, else by the rules."""
        is_due = known is not None and known.until is not None and known.until <= self._at
        if not (is_due or self._everything or model.revision > self._profile.revision):
            return self._touch(model)  # nothing else can have changed it
        if not model.reads.isdisjoint(self.touched):
            before = self._before or Profile()
            without = model.answer(self._seen(before, before.answers), self._at)
            if _plain(without.facts) != now.facts:
                return self._touch(model)
        if self._before is None:
            return self._because
        return (by_time if is_due or known is None else "") or NEW_RULES

    def _touch(self, model: Model) -> str:
        """Why the first of what it reads became another."""
        return next(reason for name, reason in self.touched.items() if name in model.reads)

    # Segments

    def _ask_segments(self) -> None:
        book, at, facts = self._book, self._at, self._person.facts
        if book.revision > self._profile.revision or (self._everything and book.revision == self._profile.revision):
            self._leave_archived()
        waiting = _all(book.segments) if self._everything else self._concerned()
        others = _Others(self)
        segments, gates, asks = book.segments, book.gates, book.asks
        while waiting:
            number = lowest(waiting)
            waiting ^= 1 << number
            segment = segments[number]
            before = self.places.get(segment.segment)
            gate = gates[number]
            if before is None and gate is not None and facts.get(gate[0]) not in gate[1]:
                continue  # out for as long as nothing happens, and so it was
            holds, until, _ = asks[number](self._person, at, others)
            assert until is None or until > at, f"{segment.segment} changes by {until}"
            after = Place(holds, until, segment.version) if holds or until else None
            if after != before:
                self._put(segment.segment, after)
            if holds is not (before is not None and before.inside):
                reason = self._reason(segment, before)
                self._tell(segment.segment, reason, segment.version, entered=holds)
                waiting |= book.by_reads.get(f"{OF_SEGMENT}{segment.segment}", NONE)  # who asks stands behind

    def _concerned(self) -> Numbers:
        book, at, revision = self._book, self._at, self._profile.revision
        found = NONE
        for name in self.touched:
            found |= book.by_reads.get(name, NONE)
        if self._before is None:
            found |= book.drawn
        due = [name for name, place in self.places.items() if (end := place.until) is not None and end <= at]
        if due:
            found |= numbers_of(book.numbers[name] for name in due if name in book.numbers)
        if revision < book.revision:
            found |= numbers_of(number for number, each in enumerate(book.segments) if each.revision > revision)
        return found

    def _reason(self, segment: Segment, before: Place | None) -> str:
        """Why the customer is there now, or no more."""
        if self._because == NEW_RULES or segment.revision > self._profile.revision >= 0:
            return EDITED
        if before is not None and before.version != segment.version:
            return EDITED
        for name, reason in self.touched.items():
            if name in segment.reads:
                return reason
        return self._because or self._book.lapses[segment.segment]

    def _leave_archived(self) -> None:
        for name, place in [*self.places.items()]:
            if name not in self._book.numbers:
                self._put(name, None)
                if place.inside:
                    self._tell(name, ARCHIVED, place.version, entered=False)

    def _put(self, name: str, place: Place | None) -> None:
        if place is None:
            del self.places[name]
        else:
            self.places[name] = place

    def _tell(self, name: str, reason: str, version: int, *, entered: bool) -> None:
        self.told.append((SegmentEntered if entered else SegmentLeft)(name, reason, version))
        self.touched[f"{OF_SEGMENT}{name}"] = reason

    def holds(self, name: str) -> bool:
        """Whether the customer is in the segment, which was asked by now if it is to be."""
        if name in CELLS:
            return self._cell({name: self._person.facts.get(name) for name in (LIFECYCLE, ACTIVITY)}) == name
        place = self.places.get(name)
        return place is not None and place.inside

    @staticmethod
    def _cell(facts: Mapping[str, object]) -> str:
        lifecycle, activity = facts.get(LIFECYCLE), facts.get(ACTIVITY)
        return segment_id(lifecycle, activity) if lifecycle else ""  # type: ignore[arg-type]  # texts of the contract


def _all(those: Sequence[object]) -> Numbers:
    return (1 << len(those)) - 1


def _after(number: int, found: Numbers) -> Numbers:
    """Those of them that stand behind that one."""
    return found & ~((2 << number) - 1)


def _plain(facts: Mapping[str, Any]) -> dict[str, Value]:
    """What is known of a model's facts as they are kept: a time as text, which `person` reads."""
    return {name: _kept(value) for name, value in facts.items() if value is not None}


def _kept(value: Any) -> Value:
    if isinstance(value, datetime):
        return value.isoformat()
    return tuple(value) if isinstance(value, list) else value


def of_nobody(book: Rulebook, at: datetime) -> Profile | None:
    """What is said of everybody as long as nothing is known: asking about a new face begins there. None where that
    depends on the time."""
    asked = Asking(book, book.shop_id, "", None, Profile(), at, {}, "", everything=True)
    asked.ask()
    ends = {kept.until for kept in asked.answers.values()} | {place.until for place in asked.places.values()}
    if ends - {None}:
        return None
    return Profile(answers=asked.answers, places=asked.places, revision=book.revision, edition=book.edition)


class _Others(Mapping[str, Answer]):
    """Which segments the customer is in so far. Until when is not said: who asks is asked again when that changes."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def __getitem__(self, name: str) -> Answer:
        return _IN if self._asking.holds(name) else _OUT

    def __iter__(self) -> Iterator[str]:
        return iter(self._asking.places)

    def __len__(self) -> int:
        return len(self._asking.places)
