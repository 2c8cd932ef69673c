"""Open pages of the dashboard without a browser: each signs in, reads its stream, and asks anew after a change."""

import contextlib
import json
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Self

from benchmarks.processes import BenchmarkError

RECEIVE_BYTES = 4096
"""Of a page that does not read: the smallest buffer the kernel gives, so that it is gatekeeper that holds the rest."""


class Page:
    """One open stream, and what came by it."""

    def __init__(self, port: int, token: str, *, deaf: bool = False) -> None:
        """Sign in and open it. Raises BenchmarkError when that is refused."""
        self.port = port
        self.ticks = self.changes = self.gaps = 0
        self.ended = False
        self._rest = b""
        answer = self._asked("POST", "/session", body=json.dumps({"token": token}))
        if answer.status != 204:
            raise BenchmarkError(f"a sign-in was answered {answer.status}")
        self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        self.socket = socket.socket()
        if deaf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self.socket.connect(("127.0.0.1", port))
        head = f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {self.cookie}\r\n\r\n"
        self.socket.sendall(head.encode())

    def read(self) -> None:
        """Count what is there; must not be called where nothing is."""
        data = self.socket.recv(1 << 16)
        self.ended = not data
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        self.ticks += lines.count(b"event: tick")
        self.changes += lines.count(b"event: change")
        self.gaps += lines.count(b"event: gap")

    def ask(self, path: str) -> None:
        """As the page does after a change. Raises BenchmarkError."""
        answer = self._asked("GET", path, headers={"Cookie": self.cookie})
        if answer.status != 200:
            raise BenchmarkError(f"GET {path} was answered {answer.status}")

    def _asked(self, method: str, path: str, **more: Any) -> HTTPResponse:
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as asking:
            asking.request(method, path, **more)
            answer = asking.getresponse()
            answer.read()
            return answer


class Reading:
    """Reads all pages in a thread of its own; ``asks`` are the paths that a page asks for after a change."""

    def __init__(self, pages: list[Page], asks: tuple[str, ...] = ()) -> None:
        self.pages = pages
        self._asks = asks
        self._stop = threading.Event()
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                for page in self.pages:
                    selector.register(page.socket, selectors.EVENT_READ, page)
                while not self._stop.is_set():
                    for key, _ in selector.select(0.1):
                        self._take(key.data)
        except (OSError, BenchmarkError) as error:
            self._problem = error

    def _take(self, page: Page) -> None:
        before = page.changes
        page.read()
        if page.ended:
            raise BenchmarkError("gatekeeper ended a stream")
        if page.changes > before:
            for path in self._asks:
                page.ask(path)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def check(self, seconds: float) -> None:
        """Raises BenchmarkError unless every page got every tick of that time: who is not served costs nothing."""
        if self._problem is not None:
            raise BenchmarkError(f"a page failed: {self._problem}")
        for page in self.pages:
            if page.ticks < seconds - 2:
                raise BenchmarkError(f"a page got {page.ticks} ticks in {seconds:.0f} s, and {page.gaps} gaps")


@contextlib.contextmanager
def opened(count: int, port: int, token: str, *, deaf: bool = False) -> Iterator[list[Page]]:
    """So many pages, closed after."""
    pages: list[Page] = []
    try:
        pages += (Page(port, token, deaf=deaf) for _ in range(count))
        time.sleep(1.5)  # what is big comes first: the minutes before
        yield pages
    finally:
        for page in pages:
            page.socket.close()
