"""A customer as it would be decided at an instant at which nothing happened: for questions, nothing is told or kept.

What is due by then and not decided yet is asked. Unlike a decision, which is woken anyway when something that a rule
asks about changes, this says of every answer until when it stays, facts of models and other segments included.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from common.decision import Occasion, Timer
from segmentation.domain.decide import CHANGE, decider
from segmentation.domain.profile.person import Person, person_of
from segmentation.domain.profile.state import Profile
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.evaluate import Answer, evaluate
from segmentation.domain.rules.grid import CELLS, Cell
from segmentation.domain.rules.rule import Fact, Group, Question, Rule


class Now(Mapping[str, Answer]):
    """The answers of all segments, each worked out when it is asked for; those of the grid's cells too."""

    def __init__(self, book: Rulebook, customer_id: str, profile: Profile, at: datetime) -> None:
        self._book, self._at = book, at
        occasion = Occasion(book.shop_id, customer_id, Timer(at, CHANGE), at, at, historic=False, cause="now")
        self.profile = decider({book.shop_id: book})(profile, occasion).state
        self.person = seen(book, customer_id, self.profile)
        self._answers: dict[str, Answer] = {}

    def rule(self, segment: str) -> Rule:
        """What the segment asks; of a cell of the grid too."""
        return rule_of(CELLS[segment]) if segment in CELLS else self._book.by_id[segment].rule

    def is_in(self, segment: str) -> bool:
        """Whether the customer is in it: who is to be forgotten is in none but its cell of the grid."""
        return self[segment].holds and (segment in CELLS or not self.profile.resting)

    def __getitem__(self, segment: str) -> Answer:
        if segment not in self._answers:
            self._answers[segment] = evaluate(self.rule(segment), self.person, self._at, self)
        return self._answers[segment]

    def __iter__(self) -> Iterator[str]:
        yield from CELLS
        yield from self._book.by_id

    def __len__(self) -> int:
        return len(CELLS) + len(self._book.by_id)

    def __contains__(self, segment: object) -> bool:
        return segment in CELLS or segment in self._book.by_id


def rule_of(cell: Cell) -> Rule:
    """A cell of the grid as a rule."""
    asked = {"lifecycle": cell.lifecycle} | ({"activity": cell.activity} if cell.activity else {})
    questions = [
        Question(f"$.all[{number}]", Fact(name), "eq", value) for number, (name, value) in enumerate(asked.items())
    ]
    return Group("$", "all", tuple(questions))


def seen(book: Rulebook, customer_id: str, profile: Profile) -> Person:
    """The customer as it was last decided, with the moments at which facts of models next change."""
    ends = {
        field: kept.until
        for model in book.models
        if (kept := profile.answers.get(model.name)) is not None and kept.until is not None
        for field in model.fields
    }
    return person_of(book.shop_id, customer_id, book.zone, profile, profile.answers, book.model_of, ends=ends)
