"""Undoing what nobody confirmed: each change that waits for it is taken back once its time is over.

The deadline is in the state, in wall seconds, so a change whose time passed while nothing ran is taken back at the
start. While this runs the steady clock decides, by the time that was left when it first saw the change: a wall clock
that is set must neither take a change back early nor let it stand.
"""

import logging
from typing import ClassVar

from gatekeeper.clock import Clock
from gatekeeper.control.punctual import AGAIN_MOST, Controller, Punctual, again
from gatekeeper.core.command import Expire, Refused
from gatekeeper.core.model import State

log = logging.getLogger("gatekeeper.control")


class Deadlines(Punctual):
    """See the module."""

    name: ClassVar[str] = "deadlines"

    def __init__(self, controller: Controller, clock: Clock) -> None:
        super().__init__(controller, clock)
        self._due: dict[int, float] = {}
        """Revision of a change that waits -> when its time is over, or it is tried again, by the steady clock."""
        self._tried: dict[int, int] = {}

    def _waits(self, state: State) -> bool:
        del state
        return bool(self._due)

    async def _act(self, state: State) -> bool:
        self._follow(state)
        over = [revision for revision, due in self._due.items() if due <= self._clock.monotonic()]
        for revision in over:
            await self._expire(revision)
        return bool(over)

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
            wait = again(tries)
            self._due[revision] = self._clock.monotonic() + wait
            told = {"undo": revision, "reason": str(refusal), "again": wait}
            log.error("not undone yet", extra=told)  # noqa: TRY400 - the reason says it all
