"""What the routes of own segments and lists answer, and how they say what is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, Field

from common.web.auth import Caller, requires
from common.web.problems import MAX_ERRORS, Problem
from segmentation.own.definition import Faulty
from segmentation.own.editing import Conflict, Unknown
from segmentation.own.store import State
from segmentation.rulebooks import jobs
from segmentation.segments.wording import unknown_segment

Operator = Annotated[Caller, Depends(requires("operate"))]
RuleTree = Annotated[Any, Field(alias="in")]


class BackfillOut(BaseModel):
    """How far an edit is felt: `passed` of `customers` were looked at in this `round`, `asked` were told to look again
    in all rounds. It has `ended` once a round found nobody behind, or was given up after 30 rounds: then `behind` is
    above 0."""

    customers: int
    passed: int
    asked: int
    round: int
    begun_at: datetime
    ended: bool
    behind: int


class VersionOut(BaseModel):
    """One version; `edited_by` is the id of a key, or cli."""

    model_config = ConfigDict(populate_by_name=True)

    version: int
    state: State
    names: dict[str, str]
    rule: RuleTree
    edited_at: datetime
    edited_by: str


class ShownSegment(BaseModel):
    """A segment with its rule; of the shop's own with its versions, newest first, and the back-fill of the last."""

    model_config = ConfigDict(populate_by_name=True)

    segment: str
    preset: bool
    state: State
    version: int
    names: dict[str, str]
    rule: RuleTree
    versions: list[VersionOut] = []
    backfill: BackfillOut | None = None


def backfill_out(progress: jobs.Progress | None) -> BackfillOut | None:
    """As it is told."""
    if progress is None:
        return None
    return BackfillOut(
        customers=progress.customers,
        passed=min(progress.passed, progress.customers),
        asked=progress.asked,
        round=progress.pass_,
        begun_at=progress.at,
        ended=progress.ended_at is not None,
        behind=progress.behind if progress.ended_at is not None else 0,
    )


@contextmanager
def problems(segment: str) -> Iterator[None]:
    """What is wrong with an edit, as an answer."""
    try:
        yield
    except Faulty as faulty:
        raise invalid(faulty) from None
    except Conflict as conflict:
        raise Problem(409, "Conflict", str(conflict)) from None
    except UnicodeEncodeError:  # half a character, which JSON can say and nothing can keep
        raise Problem(422, "Invalid request", "holds a text that is not Unicode", path="$") from None
    except Unknown:
        raise unknown_segment(segment) from None


def invalid(faulty: Faulty) -> Problem:
    """Every fault with its path, the first one in front."""
    first, *_ = faulty.faults
    errors = [{"path": fault.path, "reason": fault.reason} for fault in faulty.faults[:MAX_ERRORS]]
    return Problem(422, "Invalid request", f"{first.path}: {first.reason}", first.path, extra={"errors": errors})
