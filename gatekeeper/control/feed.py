"""What happened, told to everybody who watches, in the order of the stored ids.

Two sources meet here. A command's events are written with the command, and the controller emits them once every worker
follows; what belongs to no command (a backend ejected, a worker replaced) is told with ``tell``, which never waits, and
written behind, as are audit rows of what made no revision (``note``). ``order`` keeps events in one line: whoever has
stored some but not emitted them yet holds it, so a watcher that has seen id 12 has seen 11, and resuming after 12 loses
nothing.

No watcher slows anybody: each has a bounded queue, and one that does not keep up is dropped with a reason. It comes
back with the last id it saw and reads the rest from the store.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from gatekeeper.clock import Clock
from gatekeeper.control.store.rows import Audit, Event
from gatekeeper.control.store.statefile import StoreError
from gatekeeper.errors import GatekeeperError

log = logging.getLogger("gatekeeper.events")

QUEUE: Final = 256
"""Events one watcher may be behind. At 300 bytes an event under 100 KiB each, and several seconds of a busy release."""
WATCHERS: Final = 64
"""Enough for every dashboard of a team; QUEUE * WATCHERS bounds the memory of all to about 5 MiB."""
BACKLOG: Final = 1_000
"""Told events, and audit rows, not written yet. A disk that hangs must not fill the memory: beyond it the oldest are
lost, counted."""

_LEVELS: Final = {
    **dict.fromkeys(
        (
            "backend_ejected",
            "backend_kept",
            "certificate_expiring",
            "dns_failed",
            "judge_log_failed",
            "logs_kept",
            "notify_failed",
            "tripped",
            "undone",
            "worker_died",
        ),
        logging.WARNING,
    ),
    **dict.fromkeys(
        (
            "certificate_expired",
            "certificate_refused",
            "handover_failed",
            "reload_refused",
            "store_failed",
            "tokens_refused",
        ),
        logging.ERROR,
    ),
}
"""What an operator must see also where ``log.level`` leaves everyday events out; the others are ``info``."""


class TooManyWatchersError(GatekeeperError):
    pass


class DroppedError(GatekeeperError):
    """The watcher did not keep up, or gatekeeper stops; the text says which."""


def write_line(event: Event) -> None:
    """The event's line in the log."""
    log.log(_LEVELS.get(event.kind, logging.INFO), event.kind, extra={"event": event.document()})


class EventStore(Protocol):
    async def tell(self, events: Sequence[Mapping[str, Any]], at: float) -> list[Event]: ...
    async def note(self, rows: Sequence[Audit]) -> None: ...
    async def last_events(self, limit: int) -> list[Event]: ...


class Watcher:
    """One reader's queue. ``next`` gives its events; ``drop`` ends it with a reason."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self.reason: str | None = None

    def offer(self, event: Event) -> None:
        if len(self._events) >= QUEUE:
            self.drop(f"more than {QUEUE} events behind; reconnect with Last-Event-ID to read the rest")
            return
        self._events.append(event)
        self._wake.set()

    def drop(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._wake.set()

    async def next(self, timeout: float) -> Event | None:  # noqa: ASYNC109 - silence is an answer here, not an error
        """The next event, or None after ``timeout`` seconds without one. Raises DroppedError."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        if not self._events:
            # What came in time is given out first, so that the last id seen is as new as it can be.
            if self.reason is not None:
                raise DroppedError(self.reason)
            return None
        event = self._events.popleft()
        if not self._events and self.reason is None:
            self._wake.clear()
        return event


class Feed:
    """``start`` before use; ``stop`` writes what was told and ends every watcher."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._watchers: set[Watcher] = set()
        self._told: deque[tuple[float, dict[str, Any]]] = deque()
        self._noted: deque[Audit] = deque()
        self._paused = False
        self._alone = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.listeners: list[Callable[[Event], None]] = []
        """Called with every event that is emitted; they must neither wait nor fail."""
        self.order = asyncio.Lock()
        self.latest = 0
        """The id of the last event emitted: what a reader of the store may see."""
        self.lost = 0
        """Told events and audit rows that fell out of the backlog."""
        self.dropped = 0
        """Watchers that did not keep up."""
        self.trouble: str | None = None
        """Why what was told last could not be stored; None while it can."""

    async def start(self) -> None:
        newest = await self._store.last_events(1)
        self.latest = newest[-1].id if newest else 0
        self._task = asyncio.create_task(self._write_behind(), name="feed")

    async def stop(self) -> None:
        if self._paused:
            self.resume()
        if self._task is not None:
            # Under the lock, so that what is being written is written: a cancelled write would lose its events.
            async with self.order:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self.flush()
        self.dismiss("gatekeeper is stopping")

    async def pause(self) -> None:
        """Write what was told, and no more until ``resume``; what is told meanwhile waits (see BACKLOG)."""
        await self.flush()
        await self.order.acquire()
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self.order.release()
        self._wake.set()

    def part(self) -> None:
        """Store nothing any more: the state file is another gatekeeper's now. What is told goes into the log."""
        self._alone = True
        if self._paused:
            self.resume()

    def dismiss(self, reason: str) -> None:
        """End all watchers, after what they have not read yet."""
        for watcher in self._watchers:
            watcher.drop(reason)

    async def flush(self) -> None:
        """Return when all that was told is stored and emitted."""
        while self._told or self._noted:
            await self._write_some()
            await self._write_notes()
        async with self.order:  # what another task took out is then written, too
            pass

    def watch(self) -> Watcher:
        """Every event emitted from now on. Raises TooManyWatchersError."""
        if self.full:
            raise TooManyWatchersError(f"{WATCHERS} watchers are connected already")
        watcher = Watcher()
        self._watchers.add(watcher)
        return watcher

    @property
    def full(self) -> bool:
        """Whether ``watch`` would raise."""
        return len(self._watchers) >= WATCHERS

    def leave(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def emit(self, events: Sequence[Event]) -> None:
        """Pass on events that are stored (or could not be: id 0). Never waits."""
        for event in events:
            write_line(event)
            self.latest = max(self.latest, event.id)
            for listen in self.listeners:
                listen(event)
            for watcher in self._watchers:
                if watcher.reason is None:
                    watcher.offer(event)
                    self.dropped += watcher.reason is not None

    def tell(self, event: Mapping[str, Any]) -> None:
        """An event (``kind`` and what else there is) of no command: stored and passed on soon. Never waits or fails."""
        if len(self._told) >= BACKLOG:
            self._told.popleft()
            self.lost += 1
        self._told.append((self._clock.wall(), dict(event)))
        self._wake.set()

    def note(self, row: Audit) -> None:
        """An audit row of what made no revision: stored soon. Never waits or fails."""
        if len(self._noted) >= BACKLOG:
            self._noted.popleft()
            self.lost += 1
        self._noted.append(row)
        self._wake.set()

    async def _write_behind(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()

    async def _write_some(self) -> None:
        """Write and emit what was told at one moment; all of it at once would blur when it happened."""
        async with self.order:
            if not self._told:
                return
            at = self._told[0][0]
            batch = []
            while self._told and self._told[0][0] == at:
                batch.append(self._told.popleft()[1])
            try:
                events = await self._store.tell(batch, at) if not self._alone else _unstored(batch, at)
                self.trouble = None
            except StoreError as error:
                self.trouble = str(error)
                log.error("event not stored", extra={"reason": str(error)})  # noqa: TRY400 - the reason says it all
                events = _unstored(batch, at)
            self.emit(events)

    async def _write_notes(self) -> None:
        async with self.order:
            rows, self._noted = [*self._noted], deque()
            if not rows or self._alone:
                return
            try:
                await self._store.note(rows)
            except StoreError as error:
                for row in rows:
                    log.error("audit not stored", extra={"reason": str(error), "audit": row.document()})  # noqa: TRY400


def _unstored(batch: Sequence[Mapping[str, Any]], at: float) -> list[Event]:
    return [
        Event(0, at, str(data["kind"]), None, {key: value for key, value in data.items() if key != "kind"})
        for data in batch
    ]
