"""What segments are called by people, and what is said of one that is not there."""

from typing import Literal

from common.web.problems import Problem
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.grid import CELLS, DEFAULT_LOCALE

Kind = Literal["grid", "preset", "own"]


def name_of(book: Rulebook, segment: str, locale: str) -> str:
    """In the shop's language, else in English, else as it is called; of one that is archived by now, its id."""
    if segment in CELLS:
        return CELLS[segment].name(locale)
    names = book.by_id[segment].names if segment in book.by_id else {}
    return names.get(locale) or names.get(DEFAULT_LOCALE) or segment


def kind_of(book: Rulebook, segment: str) -> Kind:
    """A cell of lifecycle x activity, a preset's segment, or the shop's own."""
    if segment in CELLS:
        return "grid"
    return "preset" if book.by_id[segment].preset else "own"


def is_known(book: Rulebook, segment: str) -> bool:
    """Whether somebody may be in it."""
    return segment in CELLS or segment in book.by_id


def unknown_segment(segment: str) -> Problem:
    """It is another shop's, archived, or nobody's."""
    return Problem(404, "Unknown segment", f"there is no segment {segment!r}; GET /v1/segments lists them")
