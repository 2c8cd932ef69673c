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
from dataclasses import replace
from typing import Any, Final

from gatekeeper.channel import Message
from gatekeeper.clock import Clock
from gatekeeper.control.fleet.orphans import Identity, Orphans
from gatekeeper.control.fleet.pace import DrainReport
from gatekeeper.control.fleet.publish import Acks, Picture
from gatekeeper.control.fleet.publish import Slots as SlotsOf
from gatekeeper.control.fleet.sockets import Listeners
from gatekeeper.control.fleet.worker_process import Recorded, worker_command
from gatekeeper.control.fleet.workers import Fleet
from gatekeeper.control.health.departures import Departures
from gatekeeper.control.health.monitor import Monitor
from gatekeeper.control.health.probe import probe_http
from gatekeeper.control.health.proof import Prover
from gatekeeper.control.health.resolver import parts_of
from gatekeeper.control.health.roster import hosts_of
from gatekeeper.control.health.tripwire import Submit, Watch
from gatekeeper.control.keyring import Keyring
from gatekeeper.control.succession.estate import Estate
from gatekeeper.control.succession.given import Gifts
from gatekeeper.control.succession.inheritance import leave_counters, take_counters
from gatekeeper.control.tracing import Exporter
from gatekeeper.core.model import BackendTls, HealthCheck, State, Version
from gatekeeper.telemetry.block import Block
from gatekeeper.telemetry.carry import Ledger
from gatekeeper.telemetry.exposition import View
from gatekeeper.telemetry.flagged import Flagged
from gatekeeper.telemetry.shadowed import Shadowed
from gatekeeper.telemetry.slots import CAPACITY, Slots
from gatekeeper.telemetry.totals import answered, read
from gatekeeper.telemetry.window import Window
from gatekeeper.tls.material import Material

log = logging.getLogger("gatekeeper.gate")

FIRST_ROUND_SECONDS: Final = 10.0
"""Starting waits this long for the first answer of every backend; what has not answered by then starts as pending."""
LEARN_SECONDS: Final = 2.0
"""A change waits this long for host names that are new with it; name servers answer in milliseconds or not at all."""
ORPHAN_SECONDS: Final = 30.0
"""A worker without a supervisor drains at most this long; then it is ended."""
HANDOVER_ROUND_SECONDS: Final = 1.0
"""The same where the program before knows the backends' states: commands wait meanwhile."""
SAMPLE_SECONDS: Final = 1.0


class Gate:
    """``open`` makes it, ``start`` lets traffic in, ``publish`` as often as needed, ``drain`` and ``close`` end it."""

    def __init__(
        self,
        state: State,
        state_path: str,
        tell: Callable[[Mapping[str, Any]], None],
        clock: Clock,
        *,
        estate: Estate | None = None,
        gifts: Gifts | None = None,
    ) -> None:
        """``state`` is the one to start with, ``state_path`` the file it is kept in. Opens nothing yet.

        ``estate`` is what an earlier program leaves, ``gifts`` the listening sockets that are given.
        """
        self._state = state
        self._tell = tell
        self._clock = clock
        self._started = clock.wall()
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self.state_path = state_path
        self._earlier = Orphans(state_path)
        self._estate = estate or Estate()
        self._gifts = gifts or Gifts()
        self._orphans: list[Identity] = []
        self._aside = False
        """Whether a successor is being tried: what both would keep up is left to it."""
        self._alone = asyncio.Event()
        """Set when no worker of an earlier supervisor accepts connections any more."""
        self.ledger: Ledger[Identity] = Ledger()
        self.blocks = self.ledger.own
        self.slots = Slots(CAPACITY, self._reusable)
        self.restarts = self._estate.restarts
        """Workers replaced by earlier programs."""
        self.keyring = Keyring(tell, self._send_credentials, clock)
        self.exporter = Exporter(lambda: self._state.settings)
        self.window = Window(self.ledger.all, self.slots.names)
        self.flagged = Flagged()
        self.shadowed = Shadowed()

    # Set by ``open``, in this order.
    listeners: Listeners
    monitor: Monitor
    fleet: Fleet
    departures: Departures
    _prover: Prover
    recorded: Recorded | None = None
    """Who is told what workers recorded for judges."""
    _watch: Watch | None = None
    _told: Callable[[], None] | None = None
    sampled: Callable[[], None] | None = None
    """Called after each sample of ``window``; must not fail."""

    async def open(self) -> None:
        """Take the listening addresses and make what workers inherit. Raises ListenError, KeyringError, OSError."""
        settings = self._state.settings
        await self.keyring.open(self._state)
        workers = settings.workers or len(os.sched_getaffinity(0))
        self._orphans = self._earlier.found()
        # The program that hands over gives its sockets; whoever else has an address then is a stranger.
        shared = bool(self._orphans) and not self._estate.pid
        self.listeners = Listeners.open(settings.listen, workers, shared=shared, given=self._gifts)
        self._stack.callback(self.listeners.close)
        self._stack.callback(self.ledger.close)
        for one in take_counters(self._estate, self.ledger, self.slots):
            if one not in self._orphans:
                self._orphans.append(one)
        for _ in range(workers):
            self.blocks.append(Block.create(CAPACITY))
        self.monitor = Monitor(self._tell, self._show, probe=self.probe, clock=self._clock)
        self.fleet = Fleet(
            self.blocks,
            [self.listeners.slot(index) for index in range(workers)],
            self.assign,
            self._tell,
            command=worker_command(self.state_path),
            warm=self.monitor.warm,
            outcomes=self.monitor.hear,
            recorded=self._hear_recorded,
            clock=self._clock,
        )
        self.departures = Departures(self._tell, lambda: self.fleet.workers, self._clock)
        self._prover = Prover(self.monitor.resolver, self.keyring.lend)

    async def start(self) -> None:
        """Ask every backend once, then start the workers; returns when they serve. Raises FleetError."""
        self._stack.push_async_callback(self.monitor.stop)
        self.monitor.follow(self._state)
        self.monitor.adopt(self._estate.picture)
        for service, version, cause, count in self._estate.counters.get("ejections", ()):
            self.monitor.ejections[service, version, cause] = count
        self.exporter.exported, self.exporter.dropped = self._estate.counters.get("spans", (0, 0))
        self.hear_flagged(self._estate.counters.get("flags", ()))
        with contextlib.suppress(ValueError):
            self.shadowed.take(self._estate.counters.get("shadow", ()))
        patience = HANDOVER_ROUND_SECONDS if self._estate.pid else FIRST_ROUND_SECONDS
        if not await self.monitor.first_round(patience):
            log.warning("some health checks took too long; their backends start as pending")
        self._stack.push_async_callback(self.exporter.stop)
        self.exporter.start()
        self._stack.push_async_callback(self.fleet.kill)
        await self.fleet.start(self._state, self.monitor.picture(), self.keyring.material)
        self._stack.push_async_callback(self.departures.stop)
        self._stack.push_async_callback(self._end_tasks)
        self._task(self._sample())
        self._task(self.keyring.watch())

    async def replace_orphans(self, *, shared: bool = False) -> None:
        """Send away the workers an earlier supervisor left behind. Until then ``publish`` waits.

        To be called when nothing can fail any more: up to here they serve, whatever becomes of this start. ``shared``
        says that they accept from the very sockets our workers have.
        """
        if self._orphans:
            found = len(self._orphans)
            self._orphans = await self._earlier.end(self._orphans, ORPHAN_SECONDS, shared=shared)
            self._tell({"kind": "old_workers_replaced", "found": found, "still_draining": len(self._orphans)})
            self._task(self._reap(ORPHAN_SECONDS))
        self.listeners.keep()
        self._alone.set()

    def succeed(self) -> None:
        """The program that handed over leaves: its places are ours, its workers drain. See to it that they end."""
        self.listeners.keep()
        if self._orphans:
            self._task(self._reap(self._estate.drain + ORPHAN_SECONDS))
        self._alone.set()

    async def publish(self, previous: State, state: State) -> Acks:
        """Take ``state`` up everywhere. Raises ChannelError when it is too large to send, and KeyringError.

        ``previous`` is what the caller took the workers to have; the fleet knows by itself.
        """
        del previous
        await self._alone.wait()
        material = await self.keyring.follow(state)
        # A version whose backends nobody has found yet would have none, and may be the one that everybody uses.
        await self.monitor.resolver.learn(hosts_of(state), LEARN_SECONDS)
        changed = self.monitor.follow(state)
        acks = await self.fleet.publish(state, self.monitor.picture() if changed else None, material)
        former, self._state = self._state, state
        self.departures.follow(former, state)
        self.keyring.settle(state)
        return acks

    def guard(self, submit: Submit, told: Callable[[], None]) -> None:
        """Begin with the trip-wire. ``told`` is called whenever a backend's condition has changed."""
        self._told = told
        self._watch = Watch(lambda: self._state, self._answered, self.monitor.conditions, submit, self._clock)
        self._task(self._watch.run())

    async def prove(self, service: str, version: Version, seconds: float) -> Mapping[str, str]:
        """The backends of a version that are not well within ``seconds``, each with its reason, see ``Parts``."""
        well, wrong = await self._prover.prove(version, seconds)
        self.monitor.prove(service, version.name, well)
        return wrong

    async def probe(self, backend: str, check: HealthCheck, tls: BackendTls) -> str:
        """Ask a backend, by its id, once; see ``watched.Probe``."""
        url, address = parts_of(backend)
        context = self.keyring.contexts.client(tls) if url.startswith("https:") else None
        return await probe_http(url, check, address=address, context=context, name=tls.server_name)

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

    # Handing over

    def estate(self) -> Estate:
        """What a successor gets: descriptors stay ours."""
        estate = leave_counters(self.ledger, self.slots, {each.index: each.pid for each in self.fleet.view()})
        estate.drain = self.drain_seconds
        estate.restarts = self.restarts + sum(worker.restarts for worker in self.fleet.view())
        estate.counters = {
            "ejections": [[*key, count] for key, count in self.monitor.ejections.items()],
            "spans": [self.exporter.exported, self.exporter.dropped],
            "flags": self.flagged.hand_over(),
            "shadow": self.shadowed.dump(),
        }
        estate.picture = self.monitor.picture()
        estate.sockets = self.listeners.given()
        return estate

    def set_aside(self) -> None:
        """While a successor is tried, leave to it what only one can keep up: carried counters."""
        self._aside = True

    async def take_back(self, successor_state: str) -> None:
        """The successor failed, and its process is gone: go on. Workers it left behind drain, beside ours.

        ``successor_state`` is the path of its state file.
        """
        self._aside = False
        left = Orphans(successor_state)
        if strangers := [one for one in left.found() if one not in self._orphans]:
            log.warning("workers of the program that failed drain", extra={"found": len(strangers)})
            self._orphans += await left.end(strangers, ORPHAN_SECONDS, settle=0.0, shared=True)
            self._task(self._reap(ORPHAN_SECONDS))

    async def leave(self, taken: set[tuple[str, int]]) -> DrainReport:
        """After a successor has ``taken`` sockets (by name and slot): let the workers finish, and end."""
        await self._end_tasks()
        await self.monitor.stop()
        seconds = self.drain_seconds
        self.listeners.hand_over(taken)
        report = await self.fleet.drain(seconds, taken)
        return replace(report, counted=self.flagged.rest())

    async def close(self) -> None:
        """End whatever is left, in the reverse order of its beginning."""
        await self._stack.aclose()

    # What is shown

    @property
    def drain_seconds(self) -> float:
        return max((each.definition.timeouts.drain for each in self._state.services.values()), default=0.0)

    def troubles(self) -> list[str]:
        """What is wrong with certificates, host names and traces, in words."""
        return [*self.keyring.troubles(), *self.monitor.resolver.troubles(), *self.exporter.troubles()]

    def view(self, state: State, problems: int) -> View:
        workers = self.fleet.view()
        return View(
            state=state,
            started=self._started,
            workers=sum(worker.state == "ready" for worker in workers),
            restarts=self.restarts + sum(worker.restarts for worker in workers),
            backends=self.monitor.picture(),
            ejections=self.monitor.ejections,
            memory=[int(worker.load.get("rss", 0)) for worker in workers],
            problems=problems,
            spans=(self.exporter.exported, self.exporter.dropped),
            now=self._clock.wall(),
        )

    def workers(self) -> Sequence[Mapping[str, Any]]:
        return [worker.document() for worker in self.fleet.view()]

    # Behind the scenes

    def _show(self, picture: Picture) -> None:
        self.fleet.show_backends(picture)
        if self._watch is not None:
            self._watch.look_soon()
        if self._told is not None:
            self._told()

    def _hear_recorded(self, pid: int, message: Message) -> None:
        if message["type"] == "spans":
            self.exporter.hear(message["spans"])
        elif message["type"] == "flags":
            self.hear_flagged(message.get("of"))
        elif self.recorded is not None:
            self.recorded(pid, message)

    def hear_flagged(self, rows: Any) -> None:
        """What a worker, or the program before, counted of flags. Never fails."""
        try:
            self.flagged.hear(rows)
        except ValueError as error:
            log.error("what was counted of flags cannot be read", extra={"reason": str(error)})  # noqa: TRY400

    def _answered(self, service: str, version: str) -> tuple[int, int]:
        slot = self.slots.slot(service, version)
        return answered(self.ledger.all(), slot) if slot is not None else (0, 0)

    async def _send_credentials(self, material: Material) -> None:
        await self.fleet.renew(material)

    def _reusable(self, slot: int) -> bool:
        if read(self.ledger.all(), slot).in_flight:
            return False
        for block in self.ledger.all():
            block.clear_slot(slot)
        return True

    async def _sample(self) -> None:
        while True:
            self.window.sample(self._clock.monotonic())
            if self.sampled is not None:
                self.sampled()
            if not self._aside and self.ledger.settle(self._earlier.lives):
                log.info("counters of an earlier program carried on", extra={"left": len(self.ledger.former)})
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _reap(self, seconds: float) -> None:
        orphans = list(self._orphans)
        killed = await self._earlier.reap(orphans, seconds)
        self._orphans = [one for one in self._orphans if one not in orphans]
        if killed:
            self._tell({"kind": "old_workers_ended", "killed": killed, "reason": "did not drain in time"})

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
