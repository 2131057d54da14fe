"""Ports that are given out: free, each once, and never the same to two processes."""

import socket
import subprocess
import sys

from regulars.ports import BLOCK, HOST, PORTS, free_port, free_ports

OTHER = "from regulars.ports import free_ports; print(*free_ports(20), flush=True); input()"


def test_two_processes_are_given_others() -> None:
    given: list[list[int]] = []
    others = [
        subprocess.Popen([sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for other in others:
        assert other.stdout is not None
        given.append([int(port) for port in other.stdout.readline().split()])
    given.append(free_ports(20))
    for other in others:
        other.communicate("\n")
    ports = [port for each in given for port in each]
    assert len(set(ports)) == len(ports) == 60
    assert set(ports) <= set(PORTS)


def test_one_that_is_listened_on_is_passed_over() -> None:
    taken = free_port()
    with socket.create_server((HOST, taken)):
        assert taken not in {free_port() for _ in range(2 * BLOCK)}
