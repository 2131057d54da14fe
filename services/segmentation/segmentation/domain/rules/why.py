"""An answer told so that a person, or a program, can see why: each question in words, what was found, and what settled.

The shape follows the rule: a group has its parts below it, those that hold and those that do not.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct

from segmentation.domain.rules.evaluate import Answer
from segmentation.domain.rules.rule import Group, Rule
from segmentation.domain.rules.words import words


class Behind(Struct, frozen=True):
    """An event behind an answer: its name among those of its kind (an order's is the order), and when it was."""

    name: str
    at: datetime


class Why(Struct, frozen=True):
    """One part of a rule. `settles`: without it, the group above might be answered otherwise. `until`: the answer stays
    till then at least if nothing happens, None: for good; with `turns` it is known to be another there. `exact_from`:
    older events have a part in it that are not known one by one any more."""

    path: str
    asked: str
    holds: bool
    settles: bool
    found: Any
    events: tuple[Behind, ...]
    until: datetime | None
    turns: bool
    exact_from: datetime | None
    parts: "tuple[Why, ...]" = ()


def why(rule: Rule, answer: Answer, *, settles: bool = True) -> Why:
    """The answer to the rule, in the order of the rule's parts."""
    parts: tuple[Why, ...] = ()
    if isinstance(rule, Group):
        # One that fails settles `all`, one that holds `any` and `none`; where there is no such one, all of them do.
        decisive = rule.kind != "all"
        alone = any(part.holds is decisive for part in answer.parts)
        parts = tuple(
            why(each, part, settles=settles and (part.holds is decisive or not alone))
            for each, part in zip(rule.parts, answer.parts, strict=True)
        )
    return Why(
        path=answer.path,
        asked=words(rule),
        holds=answer.holds,
        settles=settles,
        found=answer.found,
        events=tuple(Behind(record.name, record.at) for record in answer.events),
        until=answer.until,
        turns=answer.turns,
        exact_from=answer.exact_from,
        parts=parts,
    )
