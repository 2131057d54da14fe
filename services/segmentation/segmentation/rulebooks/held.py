"""The shops' rulebooks as this process has them: the presets and each shop's own segments, read anew when edited.

A process learns of an edit within REFRESH_EVERY_S. Until then it decides by the revision that it has, and says so in
the profile, so that one who knows better asks again.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime, timedelta

import asyncpg
import structlog

from common.beside import repeat
from common.db.engine import Connection
from segmentation.domain.models.model import Model
from segmentation.domain.rulebook import Rulebook
from segmentation.lists.store import revisions_of_lists
from segmentation.own import store
from segmentation.own.definition import Faulty, compose
from segmentation.rulebooks import jobs

REFRESH_EVERY_S = 2.0
WAIT = timedelta(seconds=3 * REFRESH_EVERY_S)  # of a back-fill, until every process has the edited rulebook

# What the shop's models are now, where they rest on something that is kept in the database and changes.
ModelsOf = Callable[[Connection, Rulebook], Awaitable[tuple[Model, ...]]]

log = structlog.get_logger()


class Unreadable(ValueError):
    """An own segment that this version of the service cannot read; names it and says why."""


async def preset_models(_connection: Connection, presets: Rulebook) -> tuple[Model, ...]:
    """Those of the preset, which never change."""
    return presets.models


class Rulebooks(Mapping[str, Rulebook]):
    """By shop. What it was made of, the presets, is there from the start; `refresh` adds what the shops made."""

    def __init__(self, pool: asyncpg.Pool, presets: Mapping[str, Rulebook], models: ModelsOf = preset_models) -> None:
        self._pool, self.presets, self._models = pool, presets, models
        self._held: dict[str, Rulebook] = dict(presets)
        self._unreadable: set[tuple[str, int]] = set()

    def __getitem__(self, shop_id: str) -> Rulebook:
        return self._held[shop_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    async def run(self) -> None:
        """Until cancelled."""
        await repeat(self._look, REFRESH_EVERY_S, "rulebooks stay as they are")

    async def load(self, now: datetime) -> None:
        """For the start: begins to ask everybody by presets that are new here. Raises Unreadable where a shop's own
        segments cannot be read."""
        for shop_id, presets in self.presets.items():
            async with self._pool.acquire() as connection, connection.transaction():
                revision = await store.take_edition(connection, shop_id, presets.edition)
                if revision is not None:
                    await jobs.begin(connection, shop_id, revision, now, "presets", WAIT)
        await self._refresh(at_start=True)

    async def refresh(self) -> None:
        """Reads those that were edited: one query where none was."""
        await self._refresh(at_start=False)

    async def _look(self) -> bool:
        await self.refresh()
        return False

    async def _refresh(self, *, at_start: bool) -> None:
        async with self._pool.acquire() as connection:
            told = await store.revisions(connection)
            for shop_id, revision in told.items():
                known = self._held.get(shop_id)
                if known is None or known.revision >= revision or (shop_id, revision) in self._unreadable:
                    continue
                try:
                    async with connection.transaction(isolation="repeatable_read", readonly=True):
                        found = await read(connection, self.presets[shop_id], self._models)
                    if found.revision > self._held[shop_id].revision:  # another reading may have been faster
                        self._held[shop_id] = found
                except Unreadable as error:
                    if at_start:
                        raise
                    self._unreadable.add((shop_id, revision))  # made by a newer version of us; who can read it asks
                    log.warning("rulebook stays as it is", shop=shop_id, revision=known.revision, cause=str(error))


async def read(connection: Connection, presets: Rulebook, models: ModelsOf) -> Rulebook:
    """A shop's rulebook as it stands. Raises Unreadable."""
    shop_id = presets.shop_id
    revision = (await store.revisions(connection)).get(shop_id, 0)
    versions = store.live(list((await store.newest(connection, shop_id)).values()))
    lists = await revisions_of_lists(connection, shop_id)
    try:
        segments = compose(presets, {version.segment: version for version in versions}, lists)
    except Faulty as faulty:
        raise Unreadable(f"shop {shop_id}: {faulty}") from None
    return Rulebook(
        shop_id=shop_id,
        zone=presets.zone,
        currency=presets.currency,
        models=await models(connection, presets),
        segments=segments,
        revision=revision,
        edition=presets.edition,
    )
