"""Who sends a shop's history: noted when it begins, not with each of its thousands of requests."""

from datetime import datetime, timedelta

import asyncpg

from common.web import audit
from common.web.auth import Caller

QUIET = timedelta(hours=1)  # without history from a key: what comes after it is another import


class Imports:
    """The keys by which history came to this process, and when last."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._last: dict[str, datetime] = {}

    async def came(self, caller: Caller, now: datetime) -> None:
        """Notes the import that this request begins, if it begins one; before anything of it is taken."""
        last = self._last.get(caller.key_id)
        if last is None or now - last > QUIET:
            async with self._pool.acquire() as connection:
                await audit.note(connection, caller, "import.begun", caller.shop_id)
        self._last[caller.key_id] = now
