"""Edits of a shop's own segments and lists, each one transaction: what is refused, and what an edit comes to.

Within a shop edits wait for each other, so that what one asks about cannot be archived by another meanwhile.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from common.clock import Clock
from common.contracts.envelope import Rejection
from common.db.engine import Connection
from common.web import audit
from common.web.auth import Caller
from segmentation.domain.profile.catalogue import OF_LIST
from segmentation.domain.rulebook import Rulebook
from segmentation.domain.rules.rule import Segment
from segmentation.lists import store as lists
from segmentation.own import store
from segmentation.own.definition import Faulty, compose, fault_of_name, readers_of
from segmentation.own.store import Version
from segmentation.rulebooks import jobs
from segmentation.rulebooks.held import WAIT

MAX_OWN = 500  # live segments of one shop
MAX_LISTS = 200  # of one shop
THERE = "is there already: edit changes it (PUT, or `regulars segments edit`)"
UNSAVED = "preview"  # a name that none can have


class Conflict(ValueError):
    """Nothing is wrong with the edit itself, but it does not fit what is there."""


class Unknown(ValueError):
    """There is no own segment of that name."""


class Wording(Struct, frozen=True):
    """A segment as it is to be: its names by locale, and the tree of its rule, as they were sent."""

    names: Any
    rule: Any


class Editing:
    """Of the shops of one installation."""

    def __init__(
        self, pool: asyncpg.Pool, presets: Mapping[str, Rulebook], clock: Clock, wait: timedelta = WAIT
    ) -> None:
        self._pool, self._presets, self._clock, self._wait = pool, presets, clock, wait

    async def create(self, caller: Caller, segment: Any, wording: Wording) -> Version:
        """A new segment. Raises Faulty or Conflict."""
        async with self._pool.acquire() as connection, connection.transaction():
            if fault := fault_of_name(segment, self._presets[caller.shop_id].by_id):
                others = await self._faults_of(connection, caller.shop_id, wording)
                raise Faulty(Rejection("$.segment", fault), *others)
            revision = await store.raise_revision(connection, caller.shop_id)
            known = await store.newest(connection, caller.shop_id)
            if segment in known:
                hint = "is archived: edit it to have it back" if known[segment].state == "archived" else THERE
                raise Conflict(f"the segment {segment!r} {hint}")
            if len(store.live(list(known.values()))) >= MAX_OWN:
                raise Conflict(f"the shop has {MAX_OWN} segments of its own, the most there can be: archive some")
            return await self._save(connection, caller, known, segment, wording, revision)

    async def edit(self, caller: Caller, segment: str, wording: Wording, based_on: int | None) -> Version:
        """The segment's next version; one that is archived is live again. Raises Faulty, Conflict or Unknown."""
        async with self._pool.acquire() as connection, connection.transaction():
            self._refuse_preset(caller.shop_id, segment)
            revision = await store.raise_revision(connection, caller.shop_id)
            known = await store.newest(connection, caller.shop_id)
            if segment not in known:
                raise Unknown
            if based_on is not None and based_on != known[segment].version:
                raise Conflict(
                    f"the segment {segment!r} has been edited since: it is at version {known[segment].version}"
                )
            return await self._save(connection, caller, known, segment, wording, revision)

    async def archive(self, caller: Caller, segment: str) -> Version:
        """Everybody leaves it. Raises Conflict while another segment asks about it, or Unknown."""
        async with self._pool.acquire() as connection, connection.transaction():
            self._refuse_preset(caller.shop_id, segment)
            await store.lock(connection, caller.shop_id)
            known = await store.newest(connection, caller.shop_id)
            last = known.get(segment)
            if last is None:
                raise Unknown
            if last.state == "archived":
                return last
            revision = await store.raise_revision(connection, caller.shop_id)
            if readers := readers_of(await self._composed(connection, caller.shop_id, known), segment):
                raise Conflict(f"asked about by {', '.join(readers)}: edit or archive those first")
            return await self._add(connection, caller, last, Wording(last.names, last.rule), revision, archived=True)

    async def put_list(self, caller: Caller, name: str, customers: Sequence[str]) -> lists.Changes:
        """The list holds these customers and no others. Raises Faulty or Conflict."""
        async with self._pool.acquire() as connection, connection.transaction():
            if fault := fault_of_name(name, ()):
                raise Faulty(Rejection("$.list", fault))
            await store.lock(connection, caller.shop_id)
            known = await lists.revisions_of_lists(connection, caller.shop_id)
            if name not in known and len(known) >= MAX_LISTS:
                raise Conflict(f"the shop has {MAX_LISTS} lists, the most there can be")
            if name in known and await lists.holds(connection, caller.shop_id, name, customers):
                return lists.Changes(put_on=0, taken_off=0)
            revision = await store.raise_revision(connection, caller.shop_id)
            now = self._clock.now()
            changes = await lists.put(connection, caller.shop_id, name, customers, revision, now, caller.key_id)
            reason = f"list {name}"
            await jobs.begin(connection, caller.shop_id, revision, now, reason, self._wait, list_=name)
            await audit.note(connection, caller, "list.put", name)
            return changes

    async def delete_list(self, caller: Caller, name: str) -> None:
        """There is no such list any more, and nobody stands on it. Raises Conflict while a segment asks about it, or
        Unknown."""
        async with self._pool.acquire() as connection, connection.transaction():
            await store.lock(connection, caller.shop_id)
            if name not in await lists.revisions_of_lists(connection, caller.shop_id):
                raise Unknown
            known = await store.newest(connection, caller.shop_id)
            segments = await self._composed(connection, caller.shop_id, known)
            if readers := [each.segment for each in segments if f"{OF_LIST}{name}" in each.reads]:
                raise Conflict(f"asked about by {', '.join(sorted(readers))}: edit or archive those first")
            revision, now = await store.raise_revision(connection, caller.shop_id), self._clock.now()
            await lists.delete(connection, caller.shop_id, name, revision)
            await jobs.begin(connection, caller.shop_id, revision, now, f"list {name}", self._wait, list_=name)
            await audit.note(connection, caller, "list.deleted", name)

    async def check(self, connection: Connection, shop_id: str, wording: Wording) -> tuple[Rulebook, Segment]:
        """The segment that would be made, and the rulebook that it would stand in; nothing is saved. Raises Faulty."""
        known = await store.newest(connection, shop_id)
        wanted = Version(UNSAVED, 1, 0, "live", wording.names, wording.rule, self._clock.now(), "")
        segments = await self._composed(connection, shop_id, known, wanted)
        rulebook = replace(self._presets[shop_id], segments=segments)
        return rulebook, rulebook.by_id[UNSAVED]

    async def _faults_of(self, connection: Connection, shop_id: str, wording: Wording) -> Sequence[Rejection]:
        """What is wrong with a segment besides its name."""
        try:
            await self.check(connection, shop_id, wording)
        except Faulty as faulty:
            return faulty.faults
        return ()

    async def _save(
        self,
        connection: Connection,
        caller: Caller,
        known: Mapping[str, Version],
        segment: str,
        wording: Wording,
        revision: int,
    ) -> Version:
        now = self._clock.now()
        last = known.get(segment) or Version(segment, 0, 0, "live", {}, None, now, "")
        wanted = Version(segment, 1, 0, "live", wording.names, wording.rule, now, "")
        await self._composed(connection, caller.shop_id, known, wanted)
        return await self._add(connection, caller, last, wording, revision, archived=False)

    async def _add(
        self, connection: Connection, caller: Caller, last: Version, wording: Wording, revision: int, *, archived: bool
    ) -> Version:
        now = self._clock.now()
        made = Version(
            segment=last.segment,
            version=last.version + 1,
            revision=revision,
            state="archived" if archived else "live",
            names=wording.names,
            rule=wording.rule,
            edited_at=now,
            edited_by=caller.key_id,
        )
        await store.add(connection, caller.shop_id, made)
        reason = f"segment {made.segment} version {made.version}"
        await jobs.begin(connection, caller.shop_id, revision, now, reason, self._wait)
        action: audit.Action = (
            "segment.archived" if archived else "segment.edited" if last.version else "segment.created"
        )
        await audit.note(connection, caller, action, made.segment)
        return made

    async def _composed(
        self, connection: Connection, shop_id: str, known: Mapping[str, Version], wanted: Version | None = None
    ) -> tuple[Segment, ...]:
        """All segments of the shop, the wanted version among them. Raises Faulty, with paths of the wanted one."""
        live = {version.segment: version for version in store.live(list(known.values()))}
        if wanted is not None:
            live[wanted.segment] = wanted
        lists_there = await lists.revisions_of_lists(connection, shop_id)
        try:
            return compose(self._presets[shop_id], live, lists_there)
        except Faulty as faulty:
            if wanted is None:
                raise
            raise Faulty(*(_of(wanted, fault) for fault in faulty.faults)) from None

    def _refuse_preset(self, shop_id: str, segment: str) -> None:
        if segment in self._presets[shop_id].by_id:
            raise Conflict(
                f"{segment!r} comes with the shop's preset, which is a file: make a copy of it under a name of your "
                f"own (POST /v1/segments with copy_of: {segment}) and edit that"
            )


def _of(wanted: Version, fault: Rejection) -> Rejection:
    """The fault with the path in what was sent; one of another segment, in a circle with it, is told at the rule."""
    name, _, path = fault.path.partition(": ")
    return (
        Rejection(path, fault.reason) if name == wanted.segment else Rejection("$.in", f"{fault.path}: {fault.reason}")
    )
