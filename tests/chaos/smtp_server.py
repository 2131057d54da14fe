"""A real SMTP server beside the run: it counts what it took, message by message, and fails when it is told to."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from email import message_from_bytes

from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"
TAKEN, NOT_NOW = "250 OK", "451 4.3.0 not now"


class SmtpServer:
    """`took` counts by Message-ID what was answered 250, and what was taken when the line went dead."""

    def __init__(self) -> None:
        self.took: Counter[str] = Counter()
        self.unanswered = 0  # of those, taken without an answer
        self.port = 0
        self._defers = False
        self._hang_ups = 0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["SmtpServer"]:
        """Takes mail for as long as the context lasts."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(self, loop=loop, enable_SMTPUTF8=True), HOST, 0)
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield self
        finally:
            server.close()

    async def defer(self, seconds: float) -> None:
        """Answers 451 for a while."""
        self._defers = True
        try:
            await asyncio.sleep(seconds)  # waits: it defers for as long as the schedule says
        finally:
            self._defers = False

    async def hang_up(self, seconds: float) -> None:
        """Takes the next message and hangs up instead of answering; if none comes for a while, it does not."""
        self._hang_ups = 1
        await asyncio.sleep(seconds)  # waits: for a message to come
        self._hang_ups = 0

    async def handle_DATA(self, server: SMTP, _: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """A message has come."""
        if self._defers:
            return NOT_NOW
        content = envelope.content
        assert isinstance(content, bytes)
        self.took[message_from_bytes(content)["Message-ID"].strip()] += 1
        if self._hang_ups:
            self._hang_ups -= 1
            self.unanswered += 1
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return TAKEN
