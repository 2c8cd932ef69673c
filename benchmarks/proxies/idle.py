"""What ten thousand kept-alive connections cost in memory while nobody asks anything on them."""

import contextlib
import socket
import time
from dataclasses import dataclass

from benchmarks.processes import BenchmarkError, memory
from benchmarks.proxies import heads
from benchmarks.proxies.cases import MANY, PROXIES, Case
from benchmarks.proxies.contestants import CONTESTANTS
from benchmarks.proxies.job import Job
from benchmarks.proxies.measure import fitting, staged

NAME = "idle"
TITLE = "Memory of idle kept-alive connections"
RIVALS = PROXIES
SETTLE_SECONDS = 3.0
"""Less than any proxy waits before it closes a connection, more than allocators take to give back what they will."""
PROBES = 50
CASE = Case(NAME, TITLE, job=Job(connections=MANY))


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes before and with so many connections."""

    contestant: str
    connections: int
    before: int
    held: int

    @property
    def added(self) -> int:
        return self.held - self.before


def _asked(client: socket.socket, request: bytes) -> None:
    client.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            raise BenchmarkError("an idle connection was closed")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise BenchmarkError(f"answered {head[:60]!r}")
    missing = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]) - len(body)
    while missing > 0:
        more = client.recv(65536)
        if not more:
            raise BenchmarkError("an answer was cut")
        missing -= len(more)


def play(name: str, connections: int = MANY) -> Held:
    """Each connection had a request with its answer, and some are asked again at the end. Raises BenchmarkError."""
    count = fitting(connections)
    with staged(CASE, CONTESTANTS[name]) as stage, contextlib.ExitStack() as stack:
        requests = heads.requests(stage.ports, CASE.job, CASE.shape)
        with socket.create_connection(("127.0.0.1", stage.ports.proxy), timeout=10) as first:
            for request in requests * 20:
                _asked(first, request)
        before = memory(stage.pid)
        clients = []
        for number in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", stage.ports.proxy), timeout=10))
            _asked(client, requests[number % len(requests)])
            clients.append(client)
        time.sleep(SETTLE_SECONDS)
        held = memory(stage.pid)
        for client in clients[:: max(1, count // PROBES)]:
            _asked(client, requests[0])  # all of them are still there
        return Held(name, count, before, held)
