"""Routes of own segments: made, edited, archived, and looked at before they are saved."""

import asyncio
from collections.abc import Mapping
from contextlib import contextmanager
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import asyncpg
import msgspec
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from common.clock import Clock
from common.shops import Shop
from common.web.auth import Caller, Reader, requires, shop_of
from common.web.paging import PlainId
from common.web.problems import MAX_ERRORS, Problem, unavailable
from segmentation.domain.segments import BY_ID as CELLS
from segmentation.own import jobs, store
from segmentation.own.definition import Faulty
from segmentation.own.editing import Conflict, Editing, Unknown, Wording
from segmentation.own.preview import preview
from segmentation.own.rulebooks import Rulebooks
from segmentation.own.store import State, Version

MAX_VERSIONS = 100  # shown of one segment, the newest
WAITING_MAX = 4  # previews at a time; further callers are asked to come again

Operator = Annotated[Caller, Depends(requires("operate"))]
Names = dict[str, Any]  # by locale


class NewSegment(BaseModel):
    """A segment to make: by a rule, or as a copy of one there is."""

    model_config = ConfigDict(extra="forbid")

    segment: PlainId
    names: Names = {}
    rule: Annotated[Any, Field(alias="in")] = None
    copy_of: PlainId | None = None


class EditedSegment(BaseModel):
    """A segment as it is to be; `version`, where given, is the one that this was made of."""

    model_config = ConfigDict(extra="forbid")

    names: Names = {}
    rule: Annotated[Any, Field(alias="in")]
    version: int | None = None


class Asked(BaseModel):
    """A rule to look at."""

    model_config = ConfigDict(extra="forbid")

    rule: Annotated[Any, Field(alias="in")]


class BackfillOut(BaseModel):
    """How far an edit is felt: `passed` of `customers` were looked at in this `round`, `asked` were told to look again
    in all rounds. It has `ended` once a round found nobody behind."""

    customers: int
    passed: int
    asked: int
    round: int
    begun_at: datetime
    ended: bool


class VersionOut(BaseModel):
    """One version; `edited_by` is the id of a key, or cli."""

    model_config = ConfigDict(populate_by_name=True)

    version: int
    state: State
    names: dict[str, str]
    rule: Annotated[Any, Field(alias="in")]
    edited_at: datetime
    edited_by: str


class SegmentOut(BaseModel):
    """A segment with its rule; of the shop's own with its versions, newest first, and the back-fill of the last."""

    model_config = ConfigDict(populate_by_name=True)

    segment: str
    preset: bool
    state: State
    version: int
    names: dict[str, str]
    rule: Annotated[Any, Field(alias="in")]
    versions: list[VersionOut] = []
    backfill: BackfillOut | None = None


class SampledOut(BaseModel):
    """A customer that the rule holds for; `why` are the rule's parts with their answers."""

    customer_id: str
    why: dict[str, Any]


class PreviewOut(BaseModel):
    """How many customers a rule would hold for: `exact`, or estimated from a random sample (`looked_at` of `of`), then
    `error` more or less, 19 times of 20."""

    customers: int
    exact: bool
    error: int
    looked_at: int
    of: int
    sample: list[SampledOut]


def router(
    pool: asyncpg.Pool,
    shops: Mapping[str, Shop],
    rulebooks: Rulebooks,
    trees: Mapping[str, Mapping[str, Any]],
    clock: Clock,
) -> APIRouter:
    """Own segments' routes. `trees` are the rules of the presets' segments as they are written, by shop."""
    routes = APIRouter(tags=["segments"])
    editing = Editing(pool, rulebooks.presets, clock)
    turn = asyncio.Semaphore(1)
    waiting = 0

    @routes.post("/v1/segments", status_code=201)
    async def post_segment(new: NewSegment, caller: Operator) -> SegmentOut:
        """Makes a segment. Who is in it is known once its back-fill has ended."""
        shop_of(shops, caller)
        if (new.copy_of is None) is (new.rule is None):
            raise Problem(422, "Invalid request", "give one of the two: in, a rule, or copy_of, a segment", path="$.in")
        rule = new.rule if new.copy_of is None else await _rule_of(caller.shop_id, new.copy_of)
        with _problems(new.segment):
            made = await editing.create(caller, new.segment, Wording(new.names, rule))
        return await _saved(caller, made)

    @routes.put("/v1/segments/{segment}")
    async def put_segment(segment: PlainId, edited: EditedSegment, caller: Operator) -> SegmentOut:
        """Edits a segment: a new version. One that was archived is live again."""
        shop_of(shops, caller)
        with _problems(segment):
            made = await editing.edit(caller, segment, Wording(edited.names, edited.rule), edited.version)
        return await _saved(caller, made)

    @routes.post("/v1/segments/{segment}/archive")
    async def archive_segment(segment: PlainId, caller: Operator) -> SegmentOut:
        """Archives a segment: everybody leaves it, its versions stay. Refused while another asks about it."""
        shop_of(shops, caller)
        with _problems(segment):
            made = await editing.archive(caller, segment)
        return await _saved(caller, made)

    @routes.post("/v1/segments/preview")
    async def post_preview(asked: Asked, caller: Reader) -> PreviewOut:
        """How many customers a rule would hold for, and some of them with the reason. Nothing is saved."""
        nonlocal waiting
        shop_of(shops, caller)
        if waiting >= WAITING_MAX:
            raise unavailable("Too many previews at a time.")
        waiting += 1
        try:
            async with turn:
                with _problems(""):
                    async with pool.acquire() as connection:
                        book, segment = await editing.check(connection, caller.shop_id, asked.rule)
                found = await preview(pool, book, segment, clock.now())
        finally:
            waiting -= 1
        return PreviewOut(**msgspec.to_builtins(found))

    @routes.get("/v1/segments/{segment}")
    async def get_segment(segment: PlainId, caller: Reader) -> SegmentOut:
        """A segment with its rule, its versions, and how far its last edit is felt."""
        shop_of(shops, caller)
        return await _segment(caller.shop_id, segment)

    async def _saved(caller: Caller, made: Version) -> SegmentOut:
        await rulebooks.refresh()  # here at once, in other processes soon
        return await _segment(caller.shop_id, made.segment)

    async def _segment(shop_id: str, segment: str) -> SegmentOut:
        if (tree := _preset_tree(shop_id, segment)) is not None:
            preset = rulebooks.presets[shop_id].by_id.get(segment)
            names = preset.names if preset is not None else {}
            return SegmentOut(segment=segment, preset=True, state="live", version=1, names=names, rule=tree)
        async with pool.acquire() as connection:
            versions = await store.versions(connection, shop_id, segment, MAX_VERSIONS)
            if not versions:
                raise unknown_segment(segment)
            progress = await jobs.progress(connection, shop_id, versions[0].revision)
        last = versions[0]
        return SegmentOut(
            segment=segment,
            preset=False,
            state=last.state,
            version=last.version,
            names=last.names,
            rule=last.rule,
            versions=[
                VersionOut(
                    version=each.version,
                    state=each.state,
                    names=each.names,
                    rule=each.rule,
                    edited_at=each.edited_at,
                    edited_by=each.edited_by,
                )
                for each in versions
            ],
            backfill=backfill_out(progress),
        )

    async def _rule_of(shop_id: str, segment: str) -> Any:
        return (await _segment(shop_id, segment)).rule

    def _preset_tree(shop_id: str, segment: str) -> Any:
        if (cell := CELLS.get(segment)) is not None:
            asked = {"lifecycle": cell.lifecycle} | ({"activity": cell.activity} if cell.activity else {})
            return {"all": [{"field": name, "op": "eq", "value": value} for name, value in asked.items()]}
        return trees.get(shop_id, {}).get(segment)

    return routes


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
    )


def unknown_segment(segment: str) -> Problem:
    """Another shop's, or nobody's."""
    return Problem(404, "Unknown segment", f"there is no segment {segment!r}; GET /v1/segments lists them")


@contextmanager
def _problems(segment: str) -> Iterator[None]:
    """What is wrong with an edit, as an answer."""
    try:
        yield
    except Faulty as faulty:
        raise invalid(faulty) from None
    except Conflict as conflict:
        raise Problem(409, "Conflict", str(conflict)) from None
    except Unknown:
        raise unknown_segment(segment) from None


def invalid(faulty: Faulty) -> Problem:
    """Every fault with its path, the first one in front."""
    first, *_ = faulty.faults
    errors = [{"path": fault.path, "reason": fault.reason} for fault in faulty.faults[:MAX_ERRORS]]
    return Problem(422, "Invalid request", f"{first.path}: {first.reason}", first.path, extra={"errors": errors})
