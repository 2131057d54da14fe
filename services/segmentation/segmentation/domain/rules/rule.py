"""A segment's rule, as data: made by `parse`, answered by `evaluate`.

A rule is a tree of groups (`all`, `any`, `none`) over questions about one customer at one instant.
"""

from datetime import timedelta
from typing import Literal

from msgspec import Struct

from common.predicate import Predicate, Scalar
from segmentation.domain.rules.windows import Ever, Window

Function = Literal["count", "sum", "average", "distinct", "first", "last"]
Kind = Literal["all", "any", "none"]


class Events(Struct, frozen=True):
    """Events of one kind in a window, those alone that a predicate holds for."""

    of: str
    window: Window = Ever()
    where: Predicate | None = None


class Fact(Struct, frozen=True):
    """A field of the profile; `name` is one of those in catalogue.FIELDS, or `attributes.` and a shop's own."""

    name: str


class Measure(Struct, frozen=True):
    """A number or a time made of events. `field` is what is summed, averaged or told apart."""

    function: Function
    events: Events
    field: str = ""


class Question(Struct, frozen=True):
    """Whether what is asked about compares so with the value. For times there are two operators more: `older_than`
    and `younger_than`, with a length of time."""

    path: str
    about: Fact | Measure
    op: str
    value: Scalar | timedelta | tuple[Scalar, ...]


class ThenNot(Struct, frozen=True):
    """Whether `first` happened and none of `then_not` followed within the time, which is over. With `same` only what
    has the same value in that field follows: the payment of this very order. `then_not` has no window of its own."""

    path: str
    first: Events
    then_not: Events
    within: timedelta
    same: str = ""


class InSegment(Struct, frozen=True):
    """Whether the customer is in another segment."""

    path: str
    segment: str


class InList(Struct, frozen=True):
    """Whether a static list holds the customer."""

    path: str
    list_name: str


class Bucket(Struct, frozen=True):
    """Whether the customer's lot lies in [low, high) of 100: the same for good, and another for each salt."""

    path: str
    salt: str
    low: int
    high: int


class Group(Struct, frozen=True):
    """Parts of which all, any or none must hold."""

    path: str
    kind: Kind
    parts: "tuple[Rule, ...]"


Rule = Question | ThenNot | InSegment | InList | Bucket | Group


class Segment(Struct, frozen=True):
    """A named rule. `reads` is what may change its answer besides time: kinds of events, facts, other segments
    (`segment:<name>`) and static lists (`list:<name>`)."""

    segment: str
    rule: Rule
    reads: frozenset[str]
    names: dict[str, str] = {}  # by locale
    version: int = 1
    revision: int = 0  # of the shop's rulebook when it was last edited; 0 of presets
    preset: bool = True
