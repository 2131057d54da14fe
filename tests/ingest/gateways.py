"""Platforms that hand out messages, on this machine: they speak the real protocols, and do what servers do on bad days.

A message is handed out again on every connection until it is confirmed.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ingest.feeds.pdd import path
from ingest.feeds.tmc import signature
from ingest.feeds.tmc_frames import CONFIRM, CONNECT, CONNECTACK, DATA, KIND, PULL, SEND, Frame, decode, encode

SECRET = "a-secret-of-the-app"
TOKEN = "tok"


async def _nothing() -> int:
    return 0


class Gateway:
    """What both have in common. `known` is asked whenever a message is confirmed: what is committed by then."""

    def __init__(self, known: Callable[[], Awaitable[int]] = _nothing) -> None:
        self.known = known
        self.waiting: dict[int, Any] = {}  # not confirmed yet, by id
        self.confirmed: list[tuple[int, int]] = []  # which, and what was known then
        self.handed_out: list[int] = []
        self.beats = 0
        self.connections: set[ServerConnection] = set()
        self.came = 0
        self.drop_after: int | None = None  # of the next connection, so many messages
        self.deaf = 0  # confirmations that get lost
        self.port = 0

    def put(self, *messages: Any) -> None:
        """Messages to hand out; a number of their own each."""
        for message in messages:
            self.waiting[6142200092063758446 + len(self.waiting) + len(self.confirmed)] = message

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator["Gateway"]:
        """Listens for as long as the context lasts."""
        async with serve(self._talk, "127.0.0.1", port, process_request=self.let_in) as server:
            self.port = _port(server)
            yield self

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def close_all(self) -> None:
        """As a server does that is restarted."""
        for connection in list(self.connections):
            await connection.close()

    def let_in(self, _connection: ServerConnection, _request: Request) -> Response | None:
        return None

    async def _talk(self, connection: ServerConnection) -> None:
        self.connections.add(connection)
        self.came += 1
        try:
            await self.talk(connection)
        except ConnectionClosed:
            return
        finally:
            self.connections.discard(connection)

    async def talk(self, connection: ServerConnection) -> None:
        raise NotImplementedError

    async def hand_out(self, connection: ServerConnection, sent: set[int], write: Callable[[int, Any], Any]) -> None:
        """All that waits, once on each connection."""
        for id_, message in list(self.waiting.items()):
            if id_ in sent:
                continue
            sent.add(id_)
            self.handed_out.append(id_)
            await connection.send(write(id_, message))
            if self.drop_after is not None:
                self.drop_after -= 1
                if self.drop_after <= 0:
                    self.drop_after = None
                    connection.transport.abort()
                    return

    async def confirm(self, id_: int) -> None:
        if self.deaf:
            self.deaf -= 1
            return
        if self.waiting.pop(id_, None) is not None:
            self.confirmed.append((id_, await self.known()))


class TmcGateway(Gateway):
    """Taobao's: hands out when it is asked to."""

    code_bits = 32

    async def talk(self, connection: ServerConnection) -> None:
        sent: set[int] = set()
        async for raw in connection:
            assert isinstance(raw, bytes)
            said = decode(raw)
            if said.type == CONNECT:
                signed = {name: str(said.values[name]) for name in ("app_key", "group_name", "timestamp")}
                if said.values["sign"] != signature(signed, SECRET):
                    refused = Frame(CONNECTACK, code=41, phrase="sign check error")
                    await connection.send(encode(refused, self.code_bits))
                    continue
                await connection.send(encode(Frame(CONNECTACK, token=TOKEN)))
                continue
            assert (said.type, said.token) == (SEND, TOKEN)
            if said.values[KIND] == PULL:
                self.beats += 1
                await self.hand_out(connection, sent, self._written)
            elif said.values[KIND] == CONFIRM:
                await self.confirm(int(str(said.values["id"])))

    @staticmethod
    def _written(id_: int, message: Any) -> bytes:
        if isinstance(message, bytes):
            return message
        topic, content = message
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        return encode(Frame(SEND, {KIND: DATA, "id": id_, "topic": topic, "content": text, "userid": 1}))


class PddGateway(Gateway):
    """Pinduoduo's: hands out by itself."""

    def let_in(self, connection: ServerConnection, request: Request) -> Response | None:
        _, _, client_id, millis, _ = request.path.split("/")
        if request.path != path(client_id, SECRET, int(millis)):
            return connection.respond(HTTPStatus.FORBIDDEN, "sign check error\n")
        return None

    async def talk(self, connection: ServerConnection) -> None:
        sent: set[int] = set()
        async for raw in connection:
            assert isinstance(raw, str)
            said = json.loads(raw)
            if said["commandType"] == "HeartBeat":
                self.beats += 1
                await connection.send('{"commandType":"HeartBeat"}')
                await self.hand_out(connection, sent, self._written)
            else:
                assert said.keys() == {"commandType", "time", "id", "sendTime", "type", "mallID"}
                assert said["commandType"] == "Ack"
                await self.confirm(said["id"])

    @staticmethod
    def _written(id_: int, message: Any) -> str:
        if isinstance(message, bytes):
            return message.decode(errors="replace")
        kind, content = message
        text = content if isinstance(content, str) else json.dumps(content)
        inner = {"type": kind, "mallID": 100, "content": text}
        return json.dumps({"id": id_, "commandType": "Common", "sendTime": 1767232800000, "message": inner})


def _port(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])
