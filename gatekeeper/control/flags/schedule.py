"""Turning flags on and off at the moments their schedules name.

What is due says ``core``; here is when it is asked. Moments are of the wall clock, and so is this: whoever sets the
clock moves them. What became due while nothing ran is made up for at the start.
"""

import logging
from typing import ClassVar, Final

from gatekeeper.clock import Clock
from gatekeeper.control.punctual import LOOK_SECONDS, Controller, Punctual, again
from gatekeeper.core.command import Refused
from gatekeeper.core.flags.commands import ScheduleFlags
from gatekeeper.core.flags.schedule import due, next_moment
from gatekeeper.core.model import State

log = logging.getLogger("gatekeeper.flags")

ACTOR: Final = "schedule"


class Schedule(Punctual):
    """See the module."""

    name: ClassVar[str] = "flags"

    def __init__(self, controller: Controller, clock: Clock) -> None:
        super().__init__(controller, clock)
        self._again = float("-inf")
        """Not to be tried before then, by the steady clock."""
        self._tries = 0

    def _waits(self, state: State) -> bool:
        return next_moment(state) is not None

    async def _act(self, state: State) -> bool:
        if not due(state, self._clock.wall()) or self._clock.monotonic() < self._again:
            return False
        # Should it be due after all, it must not be tried without a pause.
        self._again = self._clock.monotonic() + LOOK_SECONDS
        try:
            await self._controller.submit(ScheduleFlags(actor=ACTOR), via="gatekeeper")
            self._tries = 0
        except Refused as refusal:
            self._tries += 1
            wait = again(self._tries)
            self._again = self._clock.monotonic() + wait
            log.error("schedule not kept yet", extra={"reason": str(refusal), "again": wait})  # noqa: TRY400
        return True
