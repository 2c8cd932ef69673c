"""All that runs for releases, as one thing: the runner, its checks, the judges (of flags, too), shadow traffic,
webhooks.
"""

import asyncio
import logging

from gatekeeper.channel import Message
from gatekeeper.clock import Clock
from gatekeeper.control.controller import Controller
from gatekeeper.control.feed import Feed
from gatekeeper.control.flags.judging import FlagJudging
from gatekeeper.control.gate import Gate
from gatekeeper.control.judging.judging import Judging
from gatekeeper.control.releases.checks import Examiner
from gatekeeper.control.releases.notify import Notifier
from gatekeeper.control.releases.runner import Runner
from gatekeeper.control.shadow.shadowing import Shadowing
from gatekeeper.control.store.store import Store

log = logging.getLogger("gatekeeper.release")


class Office:
    """``start`` once the controller takes commands, ``stop`` before it ends, ``close`` at the very end."""

    def __init__(
        self, controller: Controller, gate: Gate, feed: Feed, store: Store, clock: Clock, directory: str
    ) -> None:
        """``directory`` is that of the configuration file."""
        self._feed = feed
        self._examiner = Examiner(
            probe=gate.probe, ids=gate.monitor.ids, directory=directory, state_path=gate.state_path, clock=clock
        )
        self.runner = Runner(controller, self._examiner, gate.monitor.ready, clock)
        self.judging = Judging(
            controller=controller,
            crew=gate.fleet,
            store=store,
            tell=feed.tell,
            clock=clock,
            steady=self.runner.steady,
            world=self.runner.world,
            state_path=gate.state_path,
        )
        self.flag_judging = FlagJudging(
            controller=controller, crew=gate.fleet, tell=feed.tell, clock=clock, state_path=gate.state_path
        )
        self.shadowing = Shadowing(
            controller=controller, crew=gate.fleet, totals=gate.shadowed, clock=clock, state_path=gate.state_path
        )
        self._examiner.mirrored = self.shadowing.check
        gate.recorded = self._hear
        self.notifier = Notifier(lambda: controller.state.releasing.notify, feed.tell, clock)

    async def start(self) -> None:
        self.notifier.start()
        self._feed.listeners.append(self.notifier.hear)
        # Before any check is made again: two of one kind at once could do harm.
        if found := await self._examiner.end_earlier():
            log.warning("programs of earlier checks were ended", extra={"found": found})
        # Before anything goes on by itself: who is judged is judged from the first moment.
        await self.judging.start()
        await self.flag_judging.start()
        await self.shadowing.start()
        self.runner.start()

    async def stop(self) -> None:
        """Make no more commands, and end what is checked; who is told of releases still is."""
        await asyncio.gather(self.runner.stop(), self.judging.stop(), self.flag_judging.stop(), self.shadowing.stop())

    async def pause(self) -> None:
        """Write down what is known, and change no more on disk until ``resume``: another program goes on with it."""
        await asyncio.gather(self.judging.pause(), self.flag_judging.pause(), self.shadowing.pause())

    async def resume(self) -> None:
        """The other program failed: go on."""
        await asyncio.gather(self.judging.resume(), self.flag_judging.resume(), self.shadowing.resume())

    def _hear(self, worker: int, message: Message) -> None:
        hears = {"shadow": self.shadowing.hear, "flag_seconds": self.flag_judging.hear}
        hears.get(message["type"], self.judging.hear)(worker, message)

    async def close(self) -> None:
        """Return when no program of a check runs any more."""
        await self.stop()
        if self.notifier.hear in self._feed.listeners:
            self._feed.listeners.remove(self.notifier.hear)
        await asyncio.gather(self.notifier.stop(), self._examiner.close())
