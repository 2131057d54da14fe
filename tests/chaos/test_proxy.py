"""What stands between the processes really passes, cuts, stalls and closes: else a run proves less than it says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.chaos.proxy import HOST, Proxy, Streams

LONG_S = 5.0
SHORT_S = 0.2


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(1024):
        writer.write(chunk)
    writer.close()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Proxy, Streams]]:
    """A connection through a proxy to who repeats everything."""
    server = await asyncio.start_server(echo, HOST, 0)
    async with server, Proxy((HOST, server.sockets[0].getsockname()[1])).listening() as proxy:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        try:
            yield proxy, (reader, writer)
        finally:
            await end(writer)


async def end(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def said(streams: Streams, words: bytes) -> bytes:
    reader, writer = streams
    writer.write(words)
    return await asyncio.wait_for(reader.readexactly(len(words)), LONG_S)


async def test_it_passes() -> None:
    async with connected() as (_, streams):
        assert await said(streams, b"a word") == b"a word"
        assert await said(streams, b"x" * 1_000_000) == b"x" * 1_000_000


async def test_a_cut_ends_connections_and_lets_new_ones_through() -> None:
    async with connected() as (proxy, streams):
        await said(streams, b"a word")
        proxy.cut()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await said(streams, b"another")
        again = await asyncio.open_connection(HOST, proxy.port)
        assert await said(again, b"a word") == b"a word"
        await end(again[1])


async def test_a_stall_passes_nothing_and_ends_nothing() -> None:
    async with connected() as (proxy, streams), asyncio.TaskGroup() as tasks:
        await said(streams, b"a word")
        stalled = tasks.create_task(proxy.stall(SHORT_S))
        answered = tasks.create_task(said(streams, b"another"))
        await stalled
        assert not answered.done()
        assert await answered == b"another"


async def test_closed_lets_nobody_through_for_a_while() -> None:
    async with connected() as (proxy, streams), asyncio.TaskGroup() as tasks:
        await said(streams, b"a word")
        closed = tasks.create_task(proxy.close(SHORT_S))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await said(streams, b"another")
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), LONG_S)
        await end(writer)
        await closed
        again = await asyncio.open_connection(HOST, proxy.port)
        assert await said(again, b"a word") == b"a word"
        await end(again[1])
