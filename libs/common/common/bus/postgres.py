"""The bus on PostgreSQL: readers read the owners' outboxes, the mark is the offset, nothing is copied.

Members of a group share the partitions by session advisory locks: a member that dies loses them with its connection.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from zlib import crc32

import asyncpg

from common.bus.bell import Bell, wait
from common.bus.port import LoadMarks, Mark, Message, Slot
from common.db import outbox
from common.db.engine import Connection
from common.db.marks import check_server
from common.db.tables import view_of
from common.ids import PARTITIONS

SHARE_OUT_EVERY_S = 1.0  # how soon a new member gets partitions, a dead one loses them

MEMBERSHIP = PARTITIONS  # the advisory lock that every member of a group holds in share mode
JOIN = "SELECT pg_advisory_lock_shared($1, $2)"
# Among all members of the group, oldest backend first: who am I, and of how many?
RANK = """
SELECT count(*) FILTER (WHERE pid < pg_backend_pid()), count(*) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND classid = $1::bigint::oid AND objid = $2::bigint::oid AND mode = 'ShareLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
TAKE = "SELECT pg_try_advisory_lock($1, $2)"
GIVE = "SELECT pg_advisory_unlock($1, $2)"


class PostgresBus:
    """Reads through the service's own pool; one per process and service."""

    def __init__(self, pool: asyncpg.Pool, bell: Bell) -> None:
        self._pool, self._bell = pool, bell

    @asynccontextmanager
    async def subscribe(
        self, group: str, topics: tuple[str, ...], load_marks: LoadMarks
    ) -> AsyncIterator["PostgresSubscription"]:
        """Joins the group on a connection of its own."""
        async with AsyncExitStack() as stack:
            seat = await stack.enter_async_context(self._pool.acquire())
            bell = stack.enter_context(self._bell.listen(topics))
            subscription = PostgresSubscription(self._pool, seat, bell, group, topics, load_marks)
            await subscription.join()
            try:
                yield subscription
            finally:
                await subscription.leave()


class PostgresSubscription:
    """See port.Subscription. `seat` is the connection whose locks are the membership."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        seat: Connection,
        bell: asyncio.Event,
        group: str,
        topics: tuple[str, ...],
        load_marks: LoadMarks,
    ) -> None:
        self.marks: dict[Slot, Mark] = {}
        self._pool, self._seat, self._bell, self._group = pool, seat, bell, group
        self._topics, self._load_marks = topics, load_marks
        self._lock_space = crc32(group.encode()) >> 1  # advisory lock keys are signed 32 bit
        self._parts: set[int] = set()
        self._shared_out_at = 0.0

    async def join(self) -> None:
        """Takes a seat in the group."""
        await self._seat.execute(JOIN, self._lock_space, MEMBERSHIP)
        await self._share_out()

    async def leave(self) -> None:
        """Tells how far it came and gives everything back; a connection that is lost has given it back already."""
        with suppress(OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
            await self._seat.execute("SELECT pg_advisory_unlock_all()")

    async def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """See port."""
        if time.monotonic() - self._shared_out_at > SHARE_OUT_EVERY_S:
            await self._share_out()
        if not (messages := await self._read(max_messages)):
            await wait(self._bell, timeout_s)
            messages = await self._read(max_messages)
        return messages

    async def _read(self, max_messages: int) -> list[Message]:
        found: list[Message] = []
        for topic in self._topics:
            marks = {part: mark for (of, part), mark in self.marks.items() if of == topic}
            found += await outbox.read_after(self._seat, view_of(topic), topic, marks, max_messages - len(found))
        return found

    def advance(self, marks: Mapping[Slot, Mark]) -> None:
        """See port."""
        self.marks |= {slot: mark for slot, mark in marks.items() if slot in self.marks}

    async def reset(self) -> None:
        """See port."""
        self.marks = await self._load_marks(self.marks.keys())

    async def _share_out(self) -> None:
        """Gives back what is more than a fair share, takes what is free of it."""
        (rank, members), *_ = await self._seat.fetch(RANK, self._lock_space, MEMBERSHIP)
        fair = {part for part in range(PARTITIONS) if part % members == rank}
        for part in self._parts - fair:
            self.marks = {slot: mark for slot, mark in self.marks.items() if slot[1] != part}
            await self._seat.execute(GIVE, self._lock_space, part)
        self._parts &= fair
        gained = {part for part in fair - self._parts if await self._seat.fetchval(TAKE, self._lock_space, part)}
        self._parts |= gained
        if gained:
            self.marks |= await self._load_marks([(topic, part) for topic in self._topics for part in gained])
            await check_server(self._seat, self.marks.values())
        self._shared_out_at = time.monotonic()
