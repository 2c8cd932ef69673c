"""Connections of our own to backends, for copies only: no user's request waits for one, and none is taken from users.

They are counted apart, too: what a copy costs a backend is no load by which users' requests are spread, and what comes
of it says nothing of the backend to health checks, the trip-wire or the judge.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, cast

from gatekeeper.dataplane.backends import Backend, Secure

if TYPE_CHECKING:
    from gatekeeper.dataplane.shadow.copies import Copy

MOST_LINES: Final = 256
"""Connections for copies in one worker, idle ones included. Copies take turns well below that: 5 % of 2,000 requests a
second, answered after 100 ms and asked twice, are 20 at a time."""
IDLE_SECONDS: Final = 10.0
"""How long an unused one is kept: what copies come now and then for would hold descriptors for nothing."""

monotonic = time.monotonic


class Line(asyncio.Protocol):
    """One connection. ``copy`` is what it carries; ``used`` says that it has carried one before."""

    __slots__ = ("_lines", "_made", "backend", "copy", "idle_since", "secure", "transport", "used")

    def __init__(self, lines: "Lines", backend: Backend) -> None:
        self._lines = lines
        self._made = False
        self.backend = backend
        self.secure: Secure | None = backend.secure
        """By which means it was connected."""
        self.copy: Copy | None = None
        self.used = False
        self.idle_since = 0.0
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)

    def end(self) -> None:
        """Close it at once; its copy hears nothing."""
        self.copy = None
        if self._made:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._made = True
        self._lines.opened(self)

    def data_received(self, data: bytes) -> None:
        if self.copy is not None:
            self.copy.on_data(data)
        else:
            self.transport.abort()  # nobody asked: it must not be taken for the next copy's answer

    def eof_received(self) -> bool:
        copy, self.copy = self.copy, None
        if copy is not None:
            copy.on_lost(None)
        self.transport.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lines.closed(self)
        copy, self.copy = self.copy, None
        if copy is not None:
            copy.on_lost(exc)


class Lines:
    """All of one worker's. Idle ones are known by backend."""

    __slots__ = ("_idle", "_open", "making")

    def __init__(self) -> None:
        self._open: set[Line] = set()
        self._idle: dict[Backend, list[Line]] = {}
        self.making = 0
        """Connections that are being made."""

    def __len__(self) -> int:
        return len(self._open) + self.making

    def _unused(self) -> Iterator[Line]:
        return (line for lines in self._idle.values() for line in lines)

    def room(self, most: int = MOST_LINES) -> bool:
        """Whether another one may be made, so that there are at most ``most``; an idle one is closed for it."""
        most = min(most, MOST_LINES)
        if len(self) >= most:
            oldest = min(self._unused(), key=lambda line: line.idle_since, default=None)
            if oldest is not None:
                self.closed(oldest)
                oldest.end()
        return len(self) < most

    def take(self, backend: Backend) -> Line | None:
        """An idle connection to this backend; the one used last."""
        idle = self._idle.get(backend)
        while idle:
            line = idle.pop()
            if line.secure == backend.secure and not line.transport.is_closing():
                line.used = True
                return line
            line.end()
        return None

    def give(self, line: Line, now: float) -> None:
        """Keep a clean connection for the next copy."""
        if line.backend.kept:
            line.idle_since = now
            self._idle.setdefault(line.backend, []).append(line)
        else:
            line.end()

    def opened(self, line: Line) -> None:
        self._open.add(line)

    def closed(self, line: Line) -> None:
        self._open.discard(line)
        idle = self._idle.get(line.backend)
        if idle is not None and line in idle:
            idle.remove(line)
            if not idle:
                del self._idle[line.backend]

    def sweep(self, now: float) -> None:
        """Close those that nobody uses, or that lead to a backend which gets nothing any more."""
        for line in list(self._unused()):
            if line.idle_since < now - IDLE_SECONDS or not line.backend.kept:
                self.closed(line)
                line.end()

    def close(self) -> None:
        """All of them."""
        for line in list(self._open):
            line.end()
        self._idle.clear()
