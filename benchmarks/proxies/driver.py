"""An open loop: requests come when they are due, whatever became of those before. As a program, see ``main``.

What is measured counts from the moment a request was due (no coordinated omission): a proxy that stalls makes all wait
that come meanwhile, and all of them say so. What the driver itself is late by is measured apart: from the moment a
request was due and a connection was free, to the moment it was sent. It is part of the times as well, so whoever reads
them has to look at it.
"""

import argparse
import contextlib
import ctypes
import gc
import json
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.proxies import heads
from benchmarks.proxies.figures import Times

PATIENCE = 10.0
"""How long answers may take after the last request was sent; who has none then has failed."""
LEAD = 0.05
PR_SET_TIMERSLACK = 29


@dataclass(slots=True)
class Slice:
    """A part of the time, from ``at`` seconds on: how many were answered well, how many not, and when."""

    at: float = 0.0
    failed: int = 0
    error: str = ""
    took: Times = field(default_factory=Times)
    late: Times = field(default_factory=Times)

    @property
    def answered(self) -> int:
        return self.took.total()


class Connection:
    """One request at a time."""

    __slots__ = ("data", "due", "freed", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.data = b""
        self.due = self.freed = 0.0

    def answered(self) -> bool:
        """Read what is there; whether the answer is whole. Raises ValueError for one that is not 2xx, and OSError."""
        try:
            more = self.socket.recv(65536)
        except BlockingIOError:
            return False
        if not more:
            raise ValueError("the connection was closed without an answer")
        data = self.data = self.data + more if self.data else more
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not data.startswith(b"HTTP/1.1 2"):
            raise ValueError(f"answered {data[:40]!r}")
        _, found, rest = data[:end].lower().partition(b"content-length:")
        if not found:
            raise ValueError("the answer has no length")
        if len(data) < end + 4 + int(rest.split(b"\r\n", 1)[0]):
            return False
        self.data = b""
        return True


class Driver:
    """Connections that take turns. ``drive`` may be called again."""

    def __init__(self, port: int, requests: Sequence[bytes], connections: int) -> None:
        self._port = port
        self._requests = requests
        self._poll = select.epoll()
        self._all: dict[int, Connection] = {}
        self._free: deque[Connection] = deque()
        for _ in range(connections):
            self._connect()
        self._slice = Slice()

    def _connect(self) -> None:
        made = Connection(self._port)
        made.freed = time.monotonic()
        self._all[made.socket.fileno()] = made
        self._poll.register(made.socket, select.EPOLLIN)
        self._free.append(made)

    def close(self) -> None:
        for each in self._all.values():
            each.socket.close()
        self._poll.close()

    def _failed(self, connection: Connection, problem: Exception) -> None:
        self._slice.failed += 1
        self._slice.error = self._slice.error or repr(problem)
        self._replace(connection)

    def _replace(self, connection: Connection) -> None:
        self._poll.unregister(connection.socket)
        del self._all[connection.socket.fileno()]
        connection.socket.close()
        with contextlib.suppress(OSError):  # who cannot be reached any more makes the next ones wait, and they say so
            self._connect()

    def _send(self, connection: Connection, request: bytes, due: float) -> None:
        connection.due = due
        now = time.monotonic()
        self._slice.late.add(now - max(due, connection.freed))
        try:
            connection.socket.send(request)
        except OSError as problem:
            self._failed(connection, problem)

    def _receive(self) -> None:
        for handle, _ in self._poll.poll(0):
            connection = self._all[handle]
            try:
                if not connection.answered():
                    continue
            except (OSError, ValueError) as problem:
                if connection in self._free:
                    # An idle one that was ended: nothing was asked of it.
                    self._free.remove(connection)
                    self._replace(connection)
                else:
                    self._failed(connection, problem)
                continue
            now = connection.freed = time.monotonic()
            self._slice.took.add(now - connection.due)
            self._free.append(connection)

    def drive(self, rate: float, seconds: float, every: float = float("inf")) -> Iterator[Slice]:
        """So many requests a second for so long; a Slice for each ``every`` seconds, at the end for the rest."""
        requests, free, poll, clock = self._requests, self._free, [self._poll.fileno()], time.monotonic
        total, gap, number, kinds = int(rate * seconds), 1 / rate, 0, len(requests)
        began = clock() + LEAD
        end = began + seconds + PATIENCE
        self._slice, cut = Slice(), began + every
        while number < total or len(free) < len(self._all):
            now = clock()
            while number < total and free and began + number * gap <= now:
                self._send(free.popleft(), requests[number % kinds], began + number * gap)
                number += 1
                now = clock()
            if now > end or not self._all:
                break
            wait = min(0.1, max(0.0, began + number * gap - now)) if number < total and free else 0.1
            # select knows microseconds where epoll's own wait knows milliseconds.
            if select.select(poll, (), (), wait)[0]:
                self._receive()
            if now >= cut:
                yield self._slice
                self._slice = Slice(at=cut - began)
                cut += every
        missing = total - number + len(self._all) - len(free)
        if missing:
            self._slice.failed += missing
            self._slice.error = self._slice.error or f"{missing} were not answered within {PATIENCE:g} s"
        yield self._slice


def said(line: str) -> Slice:
    """What ``tell`` told."""
    found = json.loads(line)
    return Slice(found["at"], found["failed"], found["error"], Times.of(found["took"]), Times.of(found["late"]))


def tell(each: Slice) -> str:
    return json.dumps({name: getattr(each, name) for name in ("at", "failed", "error", "took", "late")})


def main() -> None:
    parser = argparse.ArgumentParser(description="Prints a line of JSON for each slice of the time.")
    parser.add_argument("port", type=int)
    parser.add_argument("requests", type=Path, help="a file that heads.write wrote")
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--every", type=float, default=float("inf"))
    options = parser.parse_args()
    # A wait may end 50 us late by default, so that wake-ups can be gathered: prctl(2).
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1)
    gc.disable()  # nothing here is a cycle
    driver = Driver(options.port, heads.read(options.requests), options.connections)
    for each in driver.drive(options.rate, options.seconds, options.every):
        sys.stdout.write(tell(each) + "\n")
        sys.stdout.flush()
    driver.close()


if __name__ == "__main__":
    main()
