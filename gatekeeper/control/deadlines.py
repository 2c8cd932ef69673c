"""Undoing what nobody confirmed: each change that waits for it is taken back once its time is over.

The deadline is in the state, in wall seconds, so a change whose time passed while nothing ran is taken back at the
start. While this runs the steady clock decides, by the time that was left when it first saw the change: a wall clock
that is set must neither take a change back early nor let it stand.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Final, Protocol

from gatekeeper.clock import Clock
from gatekeeper.core.command import Command, Expire, Refused
from gatekeeper.core.model import State

log = logging.getLogger("gatekeeper.control")

LOOK_SECONDS: Final = 1.0
"""At most this long between two looks at the clock: a clock in a test's hand cannot wake a sleeper."""
AGAIN_SECONDS: Final = 2.0
AGAIN_MOST: Final = 60.0
"""After a refusal (the disk is full, the queue is) it is tried again, first soon, then every minute, without end: what
was promised to undo itself is undone as soon as it can be."""


class Controller(Protocol):
    @property
    def state(self) -> State: ...
    async def changed(self, after: int) -> State: ...
    async def submit(self, command: Command, *, via: str = "") -> object: ...


class Deadlines:
    """``start`` once the controller takes commands; ``stop`` before it ends."""

    def __init__(self, controller: Controller, clock: Clock) -> None:
        self._controller = controller
        self._clock = clock
        self._due: dict[int, float] = {}
        """Revision of a change that waits -> when its time is over, or it is tried again, by the steady clock."""
        self._tried: dict[int, int] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="deadlines")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            state = self._controller.state
            self._follow(state)
            over = [revision for revision, due in self._due.items() if due <= self._clock.monotonic()]
            for revision in over:
                await self._expire(revision)
            if over:
                continue  # the state has moved on, or the next try is later
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._due else None):
                    await self._controller.changed(state.revision)

    def _follow(self, state: State) -> None:
        waiting = {pending.revision: pending.deadline for pending in state.pending}
        for revision in [revision for revision in self._due if revision not in waiting]:
            del self._due[revision]
            self._tried.pop(revision, None)
        now, wall = self._clock.monotonic(), self._clock.wall()
        for revision, deadline in waiting.items():
            self._due.setdefault(revision, now + deadline - wall)

    async def _expire(self, revision: int) -> None:
        # Should it still wait after all, it must not be tried without a pause; once it is gone, so is this.
        self._due[revision] = self._clock.monotonic() + AGAIN_MOST
        try:
            await self._controller.submit(Expire(actor="gatekeeper", revision=revision), via="gatekeeper")
        except Refused as refusal:
            tries = self._tried[revision] = self._tried.get(revision, 0) + 1
            wait = min(AGAIN_SECONDS * 2 ** min(tries - 1, 10), AGAIN_MOST)
            self._due[revision] = self._clock.monotonic() + wait
            told = {"undo": revision, "reason": str(refusal), "again": wait}
            log.error("not undone yet", extra=told)  # noqa: TRY400 - the reason says it all
