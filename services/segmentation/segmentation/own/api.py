"""Routes of own segments: made, edited, archived, shown with their rules and versions."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, WithJsonSchema

from common.shops import Shop
from common.web.auth import Reader, shop_of
from common.web.paging import PlainId
from common.web.problems import Problem
from segmentation.own.answers import Operator, RuleTree, ShownSegment, problems
from segmentation.own.editing import Editing, Wording
from segmentation.own.showing import Shown

# Looked at with the rule, not by FastAPI, so that every fault of a segment is told at once.
SegmentName = Annotated[Any, WithJsonSchema({"type": "string"})]
Names = Annotated[Any, WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}})]  # by locale


class NewSegment(BaseModel):
    """A segment to make: by a rule, or as a copy of one there is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["segment"]})

    segment: SegmentName = None
    names: Names = {}
    rule: RuleTree = None
    copy_of: PlainId | None = None


class EditedSegment(BaseModel):
    """A segment as it is to be; `version`, where given, is the one that this was made of."""

    model_config = ConfigDict(extra="forbid")

    names: Names = {}
    rule: RuleTree
    version: int | None = None


def router(shops: Mapping[str, Shop], editing: Editing, shown: Shown) -> APIRouter:
    """Own segments' routes."""
    routes = APIRouter(tags=["segments"])

    @routes.post("/v1/segments", status_code=201)
    async def post_segment(new: NewSegment, caller: Operator) -> ShownSegment:
        """Makes a segment. Who is in it is known once its back-fill has ended."""
        shop_of(shops, caller)
        if new.copy_of is not None and new.rule is not None:
            raise Problem(422, "Invalid request", "give one of the two: in, a rule, or copy_of, a segment", path="$.in")
        rule = new.rule if new.copy_of is None else await shown.rule(caller.shop_id, new.copy_of)
        with problems(new.segment):
            made = await editing.create(caller, new.segment, Wording(new.names, rule))
        return await shown.saved(caller.shop_id, made.segment)

    @routes.put("/v1/segments/{segment}")
    async def put_segment(segment: PlainId, edited: EditedSegment, caller: Operator) -> ShownSegment:
        """Edits a segment: a new version. One that was archived is live again."""
        shop_of(shops, caller)
        with problems(segment):
            made = await editing.edit(caller, segment, Wording(edited.names, edited.rule), edited.version)
        return await shown.saved(caller.shop_id, made.segment)

    @routes.post("/v1/segments/{segment}/archive")
    async def archive_segment(segment: PlainId, caller: Operator) -> ShownSegment:
        """Archives a segment: everybody leaves it, its versions stay. Refused while another asks about it."""
        shop_of(shops, caller)
        with problems(segment):
            made = await editing.archive(caller, segment)
        return await shown.saved(caller.shop_id, made.segment)

    @routes.get("/v1/segments/{segment}")
    async def get_segment(segment: PlainId, caller: Reader) -> ShownSegment:
        """A segment with its rule, its versions, and how far its last edit is felt."""
        shop_of(shops, caller)
        return await shown.segment(caller.shop_id, segment)

    return routes
