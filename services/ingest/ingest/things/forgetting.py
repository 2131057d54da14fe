"""Carts that nobody has touched for long are forgotten, some at a time: else an old shop would keep every cart ever."""

from datetime import timedelta

import asyncpg

from common.beside import repeat
from common.clock import Clock
from ingest.things import store as things_store

# Should somebody come back to a cart after that, all that is in it is told as added once more.
CARTS_KEPT = timedelta(days=90)
CARTS_AT_ONCE = 1_000
LOOK_S = 3_600.0
PAUSE_S = 1.0  # between two deletions while there is more


class Forgetting:
    """Deletes old carts beside the traffic."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock

    async def run(self) -> None:
        """Forgets until cancelled; what fails because the database is away is tried again at the next look."""

        async def step() -> bool:
            return await self.forget() == CARTS_AT_ONCE

        await repeat(step, LOOK_S, "old carts wait", PAUSE_S)

    async def forget(self) -> int:
        """Deletes the oldest that are due, at most CARTS_AT_ONCE; how many."""
        before = (self._clock.now() - CARTS_KEPT).date()
        async with self._pool.acquire() as connection:
            return await things_store.forget_carts(connection, before, CARTS_AT_ONCE)
