"""Who watches the dashboard, and how each gets the same bytes: ``tick`` once a second, ``change`` as it happens.

Nobody who reads slowly costs memory or holds up the others. Of ticks only the newest waits for a watcher; one that was
not taken in time is gone, and an event ``gap`` says how many. What changed waits in a bounded queue of references to
bytes that all share; where that overflows the gap says so too, and the page asks for everything anew.
"""

import asyncio
import json
from collections import deque
from contextlib import suppress
from typing import Any, Final

from gatekeeper.control.feed import DroppedError, TooManyWatchersError
from gatekeeper.control.store.rows import Event

WATCHERS: Final = 100
"""Open pages at once. A connection, a task and at most two ticks each: about 100 KiB with what the kernel and the
framework hold for one that does not read."""
CHANGES: Final = 64
"""Changes that wait for one watcher; a page that is so far behind has to look at everything again in any case."""


class Watcher:
    """One page. ``next`` gives what is to be written."""

    def __init__(self) -> None:
        self._tick: bytes | None = None
        self._changes: deque[bytes] = deque()
        self._missed = 0
        self._wake = asyncio.Event()
        self.reason = ""

    def tick(self, data: bytes) -> None:
        self._missed += self._tick is not None
        self._tick = data
        self._wake.set()

    def change(self, data: bytes) -> None:
        if len(self._changes) >= CHANGES:
            self._changes.popleft()
            self._missed += 1
        self._changes.append(data)
        self._wake.set()

    def drop(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._wake.set()

    async def next(self, timeout: float) -> bytes:  # noqa: ASYNC109 - silence is an answer here, not an error
        """Everything that waits, "" after ``timeout`` seconds without anything. Raises DroppedError at the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        missed, self._missed = self._missed, 0
        changes, tick, self._tick = [*self._changes], self._tick, None
        self._changes.clear()
        self._wake.clear()
        if not changes and tick is None:
            if self.reason:
                raise DroppedError(self.reason)
            return b""
        if self.reason:
            self._wake.set()
        gap = [event("gap", {"missed": missed})] if missed else []
        parts = [*gap, *changes, *([tick] if tick is not None else [])]
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Live:
    """All watchers."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()

    def __len__(self) -> int:
        return len(self._watchers)

    @property
    def full(self) -> bool:
        return len(self._watchers) >= WATCHERS

    def watch(self) -> Watcher:
        """Raises TooManyWatchersError."""
        if self.full:
            raise TooManyWatchersError(f"{WATCHERS} pages are open already")
        watcher = Watcher()
        self._watchers.add(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def tick(self, data: bytes) -> None:
        for watcher in self._watchers:
            watcher.tick(data)

    def hear(self, happened: Event) -> None:
        """An event of the feed. Never waits or fails."""
        if self._watchers:
            data = event("change", happened.document(), happened.id)
            for watcher in self._watchers:
                watcher.change(data)

    def dismiss(self, reason: str) -> None:
        """End all, after what they have not read yet."""
        for watcher in self._watchers:
            watcher.drop(reason)


def event(name: str, document: dict[str, Any], number: int = 0) -> bytes:
    """One server-sent event; JSON has no line breaks, so no text can end it or begin another."""
    identity = b"id: %d\n" % number if number else b""
    data = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return b"%sevent: %s\ndata: %s\n\n" % (identity, name.encode(), data.encode("utf-8", "replace"))
