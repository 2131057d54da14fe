"""Ports that are given out: free, each once, and never the same to two processes."""

import socket
import subprocess
import sys
from contextlib import ExitStack

from regulars.ports import BLOCK, HOST, free_port

PROCESSES = 3
# As many blocks as processes, none of which a running one has: each must find the one that is left.
OTHER = f"""
from regulars import ports
ports.PORTS = range(19_000, 19_000 + {PROCESSES} * ports.BLOCK)
print(*ports.free_ports(20), flush=True)
input()
"""


def test_processes_are_given_others() -> None:
    given: list[int] = []
    with ExitStack() as stack:
        for _ in range(PROCESSES):
            command = [sys.executable, "-c", OTHER]
            other = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(other.kill)
            assert other.stdout is not None
            given += [int(port) for port in other.stdout.readline().split()]
    assert len(set(given)) == len(given) == PROCESSES * 20


def test_one_that_is_listened_on_is_passed_over() -> None:
    taken = free_port()
    with socket.create_server((HOST, taken)):
        assert taken not in {free_port() for _ in range(2 * BLOCK)}
