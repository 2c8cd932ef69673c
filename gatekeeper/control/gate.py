"""The gate to the data plane: sockets, blocks, health, workers, as one thing that takes up states.

Everything that exists once per run and that traffic depends on is made here and ended here; what decides (controller,
store) and what shows (admin, metrics) only hold on to it.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from gatekeeper.clock import Clock
from gatekeeper.control.health import Monitor
from gatekeeper.control.keyring import Keyring
from gatekeeper.control.orphans import Identity, WorkerTable
from gatekeeper.control.pace import DrainReport
from gatekeeper.control.probe import probe_http
from gatekeeper.control.publish import Acks
from gatekeeper.control.publish import Slots as SlotsOf
from gatekeeper.control.sockets import Listeners
from gatekeeper.control.workers import Fleet
from gatekeeper.core.model import BackendTls, HealthCheck, State
from gatekeeper.telemetry.block import Block
from gatekeeper.telemetry.exposition import View
from gatekeeper.telemetry.slots import CAPACITY, Slots
from gatekeeper.telemetry.totals import read
from gatekeeper.telemetry.window import Window
from gatekeeper.tls.material import Material

log = logging.getLogger("gatekeeper.gate")

FIRST_ROUND_SECONDS: Final = 10.0
"""Starting waits this long for the first answer of every backend; what has not answered by then starts as pending."""
ORPHAN_SECONDS: Final = 30.0
"""A worker without a supervisor drains at most this long; then it is ended."""
SAMPLE_SECONDS: Final = 1.0


class Gate:
    """``open`` makes it, ``start`` lets traffic in, ``publish`` as often as needed, ``drain`` and ``close`` end it."""

    def __init__(self, state: State, state_path: str, tell: Callable[[Mapping[str, Any]], None], clock: Clock) -> None:
        """``state`` is the one to start with, ``state_path`` the file it is kept in. Opens nothing yet."""
        self._state = state
        self._tell = tell
        self._clock = clock
        self._started = clock.wall()
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._table = WorkerTable(Path(state_path + ".workers"))
        self._orphans: list[Identity] = []
        self._alone = asyncio.Event()
        """Set when no worker of an earlier supervisor accepts connections any more."""
        self.blocks: list[Block] = []
        self.slots = Slots(CAPACITY, self._reusable)
        self.keyring = Keyring(tell, self._send_credentials, clock)
        self.window = Window(lambda: self.blocks, self.slots.names)

    # Set by ``open``, in this order.
    listeners: Listeners
    monitor: Monitor
    fleet: Fleet

    async def open(self) -> None:
        """Take the listening addresses and make what workers inherit. Raises ListenError, KeyringError, OSError."""
        settings = self._state.settings
        await self.keyring.open(self._state)
        workers = settings.workers or len(os.sched_getaffinity(0))
        self._orphans = self._table.survivors()
        self.listeners = Listeners.open(settings.listen, workers, shared=bool(self._orphans))
        self._stack.callback(self.listeners.close)
        for _ in range(workers):
            self.blocks.append(Block.create(CAPACITY))
            self._stack.callback(self.blocks[-1].close)
        self.fleet = Fleet(
            self.blocks,
            [self.listeners.slot(index) for index in range(workers)],
            self.assign,
            self._tell,
            changed=self._record_workers,
            clock=self._clock,
        )
        self.monitor = Monitor(self._tell, self.fleet.show_backends, probe=self._probe)

    async def start(self) -> None:
        """Ask every backend once, then start the workers; returns when they serve. Raises FleetError."""
        self._stack.push_async_callback(self.monitor.stop)
        self.monitor.follow(self._state)
        if not await self.monitor.first_round(FIRST_ROUND_SECONDS):
            log.warning("some health checks took too long; their backends start as pending")
        self._stack.callback(self._record_workers)
        self._stack.push_async_callback(self.fleet.kill)
        await self.fleet.start(self._state, self.monitor.picture(), self.keyring.material)
        self._stack.push_async_callback(self._end_tasks)
        self._task(self._sample())
        self._task(self.keyring.watch())

    async def replace_orphans(self) -> None:
        """Send away the workers an earlier supervisor left behind. Until then ``publish`` waits.

        To be called when nothing can fail any more: up to here they serve, whatever becomes of this start.
        """
        if self._orphans:
            found = len(self._orphans)
            self._orphans = await self._table.end(self._orphans, ORPHAN_SECONDS)
            self._tell({"kind": "old_workers_replaced", "found": found, "still_draining": len(self._orphans)})
            self._task(self._reap())
        self._alone.set()

    async def publish(self, previous: State, state: State) -> Acks:
        """Take ``state`` up everywhere. Raises ChannelError when it is too large to send, and KeyringError.

        ``previous`` is what the caller took the workers to have; the fleet knows by itself.
        """
        del previous
        await self._alone.wait()
        material = await self.keyring.follow(state)
        changed = self.monitor.follow(state)
        acks = await self.fleet.publish(state, self.monitor.picture() if changed else None, material)
        self._state = state
        self.keyring.settle(state)
        return acks

    def assign(self, state: State) -> SlotsOf:
        """The slots of all versions of ``state`` in the metrics blocks."""
        # The names of the state before count as in use: workers route by it until the new one is taken up.
        found = self.slots.assign([*_names(self._state), *_names(state)])
        return {
            name: {version: found[name][version] for version in service.definition.versions}
            for name, service in state.services.items()
        }

    async def drain(self) -> DrainReport:
        """Accept nothing more and let the workers finish, for the longest ``timeouts.drain`` of all services."""
        self.listeners.close()
        return await self.fleet.drain(self.drain_seconds)

    async def close(self) -> None:
        """End whatever is left, in the reverse order of its beginning."""
        await self._stack.aclose()

    # What is shown

    @property
    def drain_seconds(self) -> float:
        return max((each.definition.timeouts.drain for each in self._state.services.values()), default=0.0)

    def view(self, state: State) -> View:
        workers = self.fleet.view()
        return View(
            state=state,
            started=self._started,
            workers=sum(worker.state == "ready" for worker in workers),
            restarts=sum(worker.restarts for worker in workers),
            backends=self.monitor.picture(),
        )

    def workers(self) -> Sequence[Mapping[str, Any]]:
        return [worker.document() for worker in self.fleet.view()]

    # Behind the scenes

    async def _probe(self, url: str, check: HealthCheck, tls: BackendTls) -> str:
        if not url.startswith("https:"):
            return await probe_http(url, check)
        return await probe_http(url, check, context=self.keyring.contexts.client(tls), name=tls.server_name)

    async def _send_credentials(self, material: Material) -> None:
        await self.fleet.renew(material)

    def _reusable(self, slot: int) -> bool:
        if read(self.blocks, slot).in_flight:
            return False
        for block in self.blocks:
            block.clear_slot(slot)
        return True

    async def _sample(self) -> None:
        while True:
            self.window.sample(self._clock.monotonic())
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _reap(self) -> None:
        killed = await self._table.reap(self._orphans, ORPHAN_SECONDS)
        self._orphans = []
        self._record_workers()
        if killed:
            self._tell({"kind": "old_workers_ended", "killed": killed, "reason": "did not drain in time"})

    def _record_workers(self) -> None:
        try:
            self._table.record(self.fleet.pids, self._orphans)
        except OSError as error:
            log.warning("workers not recorded", extra={"reason": str(error)})

    def _task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", exc_info=error)

    async def _end_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _names(state: State) -> Iterable[tuple[str, str]]:
    return ((name, version) for name, service in state.services.items() for version in service.definition.versions)
