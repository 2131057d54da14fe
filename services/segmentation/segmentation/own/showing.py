"""A segment as it is shown: its rule, its versions, and how far its last edit is felt."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from segmentation.domain.rules.grid import CELLS
from segmentation.own import store
from segmentation.own.answers import ShownSegment, VersionOut, backfill_out
from segmentation.own.store import Version
from segmentation.rulebooks import jobs
from segmentation.rulebooks.held import Rulebooks
from segmentation.segments.wording import unknown_segment

MAX_VERSIONS = 100  # shown of one segment, the newest

Trees = Mapping[str, Mapping[str, Any]]  # rules of the presets' segments as they are written, by shop and segment


class Shown:
    """Segments of every shop, the presets' and the own ones."""

    def __init__(self, pool: asyncpg.Pool, rulebooks: Rulebooks, trees: Trees) -> None:
        self._pool, self._rulebooks, self._trees = pool, rulebooks, trees

    async def segment(self, shop_id: str, segment: str) -> ShownSegment:
        """The segment; a problem where there is none."""
        if (tree := self._preset(shop_id, segment)) is not None:
            preset = self._rulebooks.presets[shop_id].by_id.get(segment)
            names = preset.names if preset is not None else {}
            return ShownSegment(segment=segment, preset=True, state="live", version=1, names=names, rule=tree)
        async with self._pool.acquire() as connection:
            versions = await store.versions(connection, shop_id, segment, MAX_VERSIONS)
            if not versions:
                raise unknown_segment(segment)
            progress = await jobs.progress(connection, shop_id, versions[0].revision)
        last = versions[0]
        return ShownSegment(
            segment=segment,
            preset=False,
            state=last.state,
            version=last.version,
            names=last.names,
            rule=last.rule,
            versions=[_version(each) for each in versions],
            backfill=backfill_out(progress),
        )

    async def rule(self, shop_id: str, segment: str) -> Any:
        """The tree of its rule, to be copied."""
        return (await self.segment(shop_id, segment)).rule

    async def saved(self, shop_id: str, segment: str) -> ShownSegment:
        """After an edit, which this process knows at once and the others soon."""
        await self._rulebooks.refresh()
        return await self.segment(shop_id, segment)

    def _preset(self, shop_id: str, segment: str) -> Any:
        """The rule of a segment that every shop has, or that the shop's preset brings."""
        if (cell := CELLS.get(segment)) is not None:
            asked = {"lifecycle": cell.lifecycle} | ({"activity": cell.activity} if cell.activity else {})
            return {"all": [{"field": name, "op": "eq", "value": value} for name, value in asked.items()]}
        return self._trees.get(shop_id, {}).get(segment)


def _version(version: Version) -> VersionOut:
    return VersionOut(
        version=version.version,
        state=version.state,
        names=version.names,
        rule=version.rule,
        edited_at=version.edited_at,
        edited_by=version.edited_by,
    )
