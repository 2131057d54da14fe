"""Ports that nobody listens on, for processes that are about to be started: no two that start at once get the same.

Each process that gives out ports holds a block of them, by its first port, for as long as it lives. The blocks lie
below the ports that systems dial out from: a client that keeps dialling the port of a server that is down could
otherwise be given that very port as its own, connect to itself, and keep the server from coming back.
"""

import atexit
import secrets
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
BLOCK = 100  # one to hold, and as many to give out as a test's servers and brokers need


class NoFreePort(RuntimeError):
    """Everything in PORTS is taken."""


def free_port() -> int:
    """One that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """As many, all of them different."""
    _, ports = _block()
    found: list[int] = []
    for port in islice(ports, BLOCK - 1):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise NoFreePort(f"fewer than {count} of {BLOCK} ports are free")


@cache
def _block() -> tuple[socket.socket, Iterator[int]]:
    """This process's. From the system's randomness: processes with the same seed must not try the same ones."""
    firsts = range(PORTS.start, PORTS.stop, BLOCK)
    for first in secrets.SystemRandom().sample(firsts, len(firsts)):
        held = socket.socket()
        try:
            held.bind((HOST, first))
        except OSError:  # another process's
            held.close()
        else:
            atexit.register(held.close)
            return held, cycle(range(first + 1, first + BLOCK))
    raise NoFreePort(f"all ports from {PORTS.start} to {PORTS.stop} are taken")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
