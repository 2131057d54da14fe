"""The cheapest client that keeps connections busy: what it costs is taken from the server on the same machine.

Plain sockets and the system's selector; requests are encoded before the clock starts. Run it in a thread.
"""

import re
import selectors
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from time import perf_counter, time
from typing import NamedTuple

RECEIVE_BYTES = 262_144
STALLED_S = 30.0
LENGTH = re.compile(rb"content-length: (\d+)")
TAKEN = (b"HTTP/1.1 202 ", b"HTTP/1.1 200 ")  # events; and as platforms want it said


class Run(NamedTuple):
    """What became of the requests: seconds from first to last, and of each, sorted. Those of an offer are reckoned from
    the moment (`due`, seconds since 1970) that each was to be sent."""

    seconds: float
    latencies_s: list[float]
    due: Sequence[float] = ()

    def percentile_ms(self, part: float) -> float:
        """The latency that `part` (0 to 1) of the requests did not exceed."""
        return percentile(self.latencies_s, part) * 1000


def percentile(ordered: Sequence[float], part: float) -> float:
    """By the nearest rank; `ordered` is not empty."""
    return ordered[max(0, min(len(ordered) - 1, round(part * len(ordered)) - 1))]


def request(body: bytes, key: str) -> bytes:
    """A POST to ingest as its bytes."""
    head = f"POST /v1/events HTTP/1.1\r\nhost: bench\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.received = b""

    def send(self, request: bytes) -> None:
        self.sent_at = perf_counter()
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Reads what has come; whether it is the whole answer. Raises when that is a refusal."""
        part = self.socket.recv(RECEIVE_BYTES)
        if not part:
            raise ConnectionError("the server has hung up")
        self.received += part
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return False
        length = LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return False
        if not self.received.startswith(TAKEN):
            raise RuntimeError(f"not accepted: {self.received[:500]!r}")
        self.received = b""
        return True


@contextmanager
def _connected(port: int, connections: int) -> Iterator[tuple[selectors.BaseSelector, list[_Connection]]]:
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        made = [_Connection(port) for _ in range(connections)]
        for connection in made:
            stack.enter_context(connection.socket)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        yield selector, made


def post(port: int, requests: Sequence[bytes], connections: int) -> Run:
    """Posts all, each connection the next when the last is answered."""
    latencies: list[float] = []
    with _connected(port, connections) as (selector, made):
        waiting = iter(requests)
        began = perf_counter()
        for connection, first in zip(made, waiting, strict=False):
            connection.send(first)
        while len(latencies) < len(requests):
            if not (ready := selector.select(STALLED_S)):
                raise TimeoutError(f"no answer in {STALLED_S} s")
            for key, _ in ready:
                connection = key.data
                if connection.answered():
                    latencies.append(perf_counter() - connection.sent_at)
                    if (following := next(waiting, None)) is not None:
                        connection.send(following)
        return Run(perf_counter() - began, sorted(latencies))


def offer(port: int, requests: Sequence[bytes], rate: float, connections: int) -> Run:
    """Posts `rate` requests a second, whatever becomes of those before. One that finds no connection free waits, and
    its time runs."""
    due: list[float] = []
    latencies: list[float] = []
    with _connected(port, connections) as (selector, made):
        free = deque(made)  # by turns: the server hangs up on a connection that is silent for some seconds
        began, began_at = perf_counter(), time()
        while len(latencies) < len(requests):
            sent = len(due)
            pause_s = began + sent / rate - perf_counter() if free and sent < len(requests) else STALLED_S
            if pause_s <= 0:
                due.append(began_at + sent / rate)
                connection = free.popleft()
                connection.send(requests[sent])
                connection.sent_at = began + sent / rate
                continue
            ready = selector.select(pause_s)
            if not ready and pause_s == STALLED_S:
                raise TimeoutError(f"no answer in {STALLED_S} s")
            for key, _ in ready:
                if key.data.answered():
                    latencies.append(perf_counter() - key.data.sent_at)
                    free.append(key.data)
        return Run(perf_counter() - began, sorted(latencies), due)
