"""Which process holds which feed, so that each is connected once; and what is said of each. Two would do no harm."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg

HELD_S = 15  # a process that has gone holds its feeds for so long

# A feed of one's own, one that nobody has held yet, one whose holder has not been heard of: all in one look, by the
# database's clock, which is the same for all who ask.
CLAIM = """
INSERT INTO feeds (source_id, holder, held_until)
SELECT source_id, $2, now() + $3 FROM sources
WHERE kind = ANY($1) AND options @> '{"connect": true}' ORDER BY source_id
ON CONFLICT (source_id) DO UPDATE SET holder = EXCLUDED.holder, held_until = EXCLUDED.held_until
WHERE feeds.holder = EXCLUDED.holder OR feeds.held_until < now()
RETURNING source_id
"""
# All that makes a feed what it is: when any of it changes, it begins anew.
LOOK = """
SELECT s.source_id, s.options::text || ' ' || COALESCE(string_agg(k.id::text, ',' ORDER BY k.id), '') AS is
FROM sources s LEFT JOIN source_secrets k USING (source_id) WHERE s.source_id = ANY($1) GROUP BY s.source_id
"""
RELEASE = "UPDATE feeds SET held_until = '-infinity', said = 'stopped' WHERE holder = $1"
SAY = "UPDATE feeds SET said = $3, said_at = $4 WHERE source_id = $1 AND holder = $2"


class Claims:
    """One process's."""

    def __init__(self, pool: asyncpg.Pool, holder: str) -> None:
        self._pool, self._holder = pool, holder

    async def claim(self, kinds: Sequence[str]) -> Mapping[str, str]:
        """The feeds that are this process's for a while, by source, and what each is."""
        rows = await self._pool.fetch(CLAIM, list(kinds), self._holder, timedelta(seconds=HELD_S))
        if not rows:
            return {}
        found = await self._pool.fetch(LOOK, [row["source_id"] for row in rows])
        return {row["source_id"]: row["is"] for row in found}

    async def release(self) -> None:
        """Others may have them now."""
        await self._pool.execute(RELEASE, self._holder)

    async def say(self, source_id: str, said: str, at: datetime) -> None:
        """How the feed does, for people to read."""
        await self._pool.execute(SAY, source_id, self._holder, said, at)
