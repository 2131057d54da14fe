"""The benchmark's client, against a server that answers as it is told."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from time import perf_counter, sleep, time

import pytest

from regulars.bench.client import offer, percentile, post, request

ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n"
REQUESTS = [request(b'{"n": %d}' % number, "key") for number in range(40)]


def _serve(listener: socket.socket, heard: list[bytes], answer: Callable[[socket.socket], None]) -> None:
    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client may hang up first
            while data := connection.recv(65_536):
                heard.append(data)
                answer(connection)

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=one, args=(connection,), daemon=True).start()


Server = Callable[[Callable[[socket.socket], None]], tuple[int, list[bytes]]]


@pytest.fixture
def server() -> Iterator[Server]:
    """Starts a server whose answer is given; its port, and what it heard."""
    listeners: list[socket.socket] = []

    def start(answer: Callable[[socket.socket], None]) -> tuple[int, list[bytes]]:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        heard: list[bytes] = []
        threading.Thread(target=_serve, args=(listener, heard, answer), daemon=True).start()
        return int(listener.getsockname()[1]), heard

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_percentile_is_the_nearest_rank() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, part) for part in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert percentile([7.0], 0.5) == 7


def test_every_request_is_sent_once_and_its_answer_waited_for(server: Server) -> None:
    def in_pieces(connection: socket.socket) -> None:
        for piece in (ANSWER[:20], ANSWER[20:], b"{", b"}"):
            connection.sendall(piece)
            sleep(0.001)  # waits: for the client to read this piece alone

    port, heard = server(in_pieces)
    run = post(port, REQUESTS, connections=4)
    assert sorted(heard) == sorted(REQUESTS)
    assert len(run.latencies_s) == len(REQUESTS)
    assert 0 < run.percentile_ms(0.5) <= run.percentile_ms(0.99) <= run.seconds * 1000


def test_a_refusal_ends_the_run(server: Server) -> None:
    port, _ = server(lambda connection: connection.sendall(ANSWER.replace(b"202", b"503") + b"{}"))
    with pytest.raises(RuntimeError, match="503"):
        post(port, REQUESTS, connections=4)


def test_a_server_that_hangs_up_ends_the_run(server: Server) -> None:
    port, _ = server(lambda connection: connection.shutdown(socket.SHUT_RDWR))
    with pytest.raises(ConnectionError):
        post(port, REQUESTS, connections=1)


def test_offered_at_a_rate_whatever_the_answers_take(server: Server) -> None:
    def slowly(connection: socket.socket) -> None:
        sleep(0.1)  # waits: for more requests to fall due than there are connections
        connection.sendall(ANSWER + b"{}")

    port, heard = server(slowly)
    before, began = time(), perf_counter()
    run = offer(port, REQUESTS, rate=200, connections=2)  # two connections can do only 20 a second
    due = run.due
    assert perf_counter() - began > len(REQUESTS) / 2 * 0.1
    assert sorted(heard) == sorted(REQUESTS)
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert gaps == pytest.approx([1 / 200] * len(gaps), rel=0.01)  # due by the rate, not by what was free
    assert due[0] >= before
    assert run.percentile_ms(1.0) > 1_000  # the last waited for a connection, and its time ran
