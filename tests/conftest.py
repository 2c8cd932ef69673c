"""What every test may use: programs from outside, and ports that are free.

``@pytest.mark.outside("nginx")`` skips a test on a machine without that program. With ``CI`` set it fails instead: a
run that is trusted must not pass because it tested less.
"""

import errno
import os
import random
import shutil
import socket
from collections.abc import Callable

import pytest

# nginx and haproxy live in sbin, which an ordinary user's PATH on Debian leaves out.
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])

# Below the kernel's ephemeral ports (32768 on Linux): a load of outgoing connections can then never take a port
# between the moment it was found free and the moment its server listens.
PORTS = range(20_000, 32_000)
PORT_TRIES = 1_000


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("outside"):
        for program in mark.args:
            if shutil.which(program):
                continue
            if os.environ.get("CI"):
                pytest.fail(f"{program} is not installed, and CI must not skip what needs it", pytrace=False)
            pytest.skip(f"{program} is not installed")


def _take(held: list[socket.socket]) -> int:
    """A port of 127.0.0.1 nobody listens on; its bound socket is added to ``held``."""
    for _ in range(PORT_TRIES):
        port = random.choice(PORTS)
        taken = socket.socket()
        held.append(taken)
        try:
            taken.bind(("127.0.0.1", port))
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise
            continue
        return port
    pytest.fail(f"no free port found in {PORTS} after {PORT_TRIES} tries", pytrace=False)


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """``free_ports(n)`` gives n different ports of 127.0.0.1; no two calls in one test give the same."""
    given: set[int] = set()

    def find(count: int) -> list[int]:
        held: list[socket.socket] = []
        try:
            found: list[int] = []
            while len(found) < count:
                port = _take(held)
                if port not in given:
                    given.add(port)
                    found.append(port)
            return found
        finally:
            for taken in held:
                taken.close()

    return find


@pytest.fixture
def free_port(free_ports: Callable[[int], list[int]]) -> int:
    return free_ports(1)[0]
