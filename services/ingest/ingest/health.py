"""How each source does: counted in memory, written once a second, so that deliveries do not queue for one row.

Who is killed loses up to a second of counts; nothing rests on them.
"""

import asyncio
from collections import Counter
from datetime import datetime

import asyncpg
import structlog

from common.db.engine import is_outside

log = structlog.get_logger()

WRITE_S = 1.0
COUNTS = ("accepted", "repeated", "ignored", "refused", "signature_failures")

# In the order of ids, so that two processes never wait for each other in a circle.
ADD_UP = """
WITH told AS (SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[],
        $6::bigint[], $7::bigint[]) AS t (source_id, at, accepted, repeated, ignored, refused, signature_failures)),
    locked AS (SELECT source_id FROM sources JOIN told USING (source_id) ORDER BY source_id FOR UPDATE OF sources)
UPDATE sources s SET last_delivery_at = GREATEST(s.last_delivery_at, t.at), accepted = s.accepted + t.accepted,
    repeated = s.repeated + t.repeated, ignored = s.ignored + t.ignored, refused = s.refused + t.refused,
    signature_failures = s.signature_failures + t.signature_failures
FROM told t JOIN locked USING (source_id) WHERE s.source_id = t.source_id
"""


class Health:
    """What became of deliveries since it was last written."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._counts: dict[str, Counter[str]] = {}
        self._latest: dict[str, datetime] = {}

    def count(self, source_id: str, at: datetime, **counts: int) -> None:
        """Something came from the source; one that was not signed is counted, and is not its last delivery."""
        self._counts.setdefault(source_id, Counter()).update(counts)
        if not counts.get("signature_failures"):
            self._latest[source_id] = at

    async def run(self) -> None:
        """Writes until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(WRITE_S)
                await self.write()
        finally:
            await self.write()

    async def write(self) -> None:
        """Writes what was counted; when the database is away it is counted on."""
        counts, latest = self._counts, self._latest
        if not counts:
            return
        self._counts, self._latest = {}, {}
        ids = list(counts)
        columns = ([each[name] for each in counts.values()] for name in COUNTS)
        try:
            await self._pool.execute(ADD_UP, ids, [latest.get(id_) for id_ in ids], *columns)
        except Exception as error:
            if not is_outside(error):
                raise
            log.warning("sources' counts wait", cause=repr(error))
            for id_, each in counts.items():
                self._counts.setdefault(id_, Counter()).update(each)
            self._latest = latest | self._latest
