"""One connection to a platform: what it hands out is taken, and confirmed when that is durable."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from websockets.asyncio.client import ClientConnection, connect

from common.clock import Clock
from ingest.feeds.port import Conversation, Handed, Malformed, Wire

log = structlog.get_logger()

OPEN_S = 15.0  # for the connection, and again for being let in
CLOSE_S = 2.0
PING_S, PONG_WITHIN_S = 30.0, 60.0  # a connection that is only half there is noticed so
FRAME_MAX_BYTES = 2**20
BURST_MAX = 64  # messages on their way into the database at once: one flush takes them together

Take = Callable[[Handed], Awaitable[None]]
Opened = Callable[[], Awaitable[None]]


async def converse(conversation: Conversation, clock: Clock, take: Take, opened: Opened) -> None:
    """Talks until the connection ends; then, and when a message could not be taken, it raises. Calls `opened` once."""
    async with connect(
        conversation.address(clock.now()),
        open_timeout=OPEN_S,
        close_timeout=CLOSE_S,
        ping_interval=PING_S,
        ping_timeout=PONG_WITHIN_S,
        max_size=FRAME_MAX_BYTES,
    ) as socket:
        if (hello := conversation.hello(clock.now())) is not None:
            await socket.send(hello)
        early: list[Handed] = []
        async with asyncio.timeout(OPEN_S):
            while not conversation.is_open:
                if (handed := _heard(conversation, await socket.recv())) is not None:
                    early.append(handed)
        await opened()
        line = _Line(conversation, socket, clock, take)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(line.listen(early))
            tasks.create_task(line.work())
            tasks.create_task(line.beat())


def _heard(conversation: Conversation, frame: Wire) -> Handed | None:
    """A frame that cannot be read names nothing to confirm: it is passed over, and will be handed out again."""
    try:
        return conversation.heard(frame)
    except Malformed as malformed:
        log.warning("a frame that cannot be read", cause=str(malformed), size=len(frame))
        return None


class _Line:
    """A connection that is open."""

    def __init__(self, conversation: Conversation, socket: ClientConnection, clock: Clock, take: Take) -> None:
        self._conversation, self._socket, self._clock, self._take = conversation, socket, clock, take
        self._waiting: asyncio.Queue[Handed] = asyncio.Queue(BURST_MAX)  # when it is full, the platform waits too

    async def listen(self, early: list[Handed]) -> None:
        for handed in early:
            await self._waiting.put(handed)
        while True:
            handed_ = _heard(self._conversation, await self._socket.recv())
            if handed_ is not None:
                await self._waiting.put(handed_)

    async def work(self) -> None:
        """As many as have come, together; in the order they came, as far as the flusher is concerned."""
        while True:
            burst = [await self._waiting.get()]
            while not self._waiting.empty() and len(burst) < BURST_MAX:
                burst.append(self._waiting.get_nowait())
            async with asyncio.TaskGroup() as tasks:
                for handed in burst:
                    tasks.create_task(self._settle(handed))

    async def _settle(self, handed: Handed) -> None:
        await self._take(handed)
        if handed.receipt is not None:  # committed: only now
            await self._socket.send(self._conversation.confirm(handed.receipt, self._clock.now()))

    async def beat(self) -> None:
        while True:
            await self._socket.send(self._conversation.beat(self._clock.now()))
            await asyncio.sleep(self._conversation.beat_s)
