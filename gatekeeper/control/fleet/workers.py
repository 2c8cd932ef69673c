"""The fleet: one worker process per slot, replaced whenever it dies, hangs or does not follow.

A slot lives as long as the supervisor and owns what must survive a worker: its listening sockets and its metrics
block. Its keeper task starts a process, waits for the end of it, says why it ended, and starts the next. What makes a
process end:

* it died: seen at once by its exit;
* it hangs: PINGS_UNANSWERED pings went by without a word (pings, not seconds: when the supervisor itself was stopped,
  nobody else is to blame);
* it did not acknowledge a revision in time, or refused it: it must not route by the old one any more.

Each is ended by SIGKILL, since what does not answer does not drain either.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from gatekeeper import channel
from gatekeeper.clock import Clock, SystemClock
from gatekeeper.control.fleet import publish, pulse
from gatekeeper.control.fleet.pace import DrainReport, Pace, WorkerView
from gatekeeper.control.fleet.publish import Acks, Picture, Slots, Warm
from gatekeeper.control.fleet.slot import Memory, Slot
from gatekeeper.control.fleet.sockets import Endpoint
from gatekeeper.control.fleet.worker_process import WORKER_COMMAND, Phase, Recorded, WorkerProcess
from gatekeeper.core.model import State
from gatekeeper.errors import GatekeeperError
from gatekeeper.tls.material import Material

Emit = Callable[[Mapping[str, Any]], None]
Outcomes = Callable[[int, float, Sequence[Sequence[Any]]], None]
"""Takes a worker's slot, when its process started (monotonic seconds), and its rows, see ``Monitor.hear``."""


class FleetError(GatekeeperError):
    """The workers cannot be started. The text says which, why and where to look."""


class Fleet:
    """All workers. ``start`` first; then ``publish`` and ``show_backends`` as often as needed; ``drain`` at the end."""

    def __init__(
        self,
        memories: Sequence[Memory],
        endpoints: Sequence[Sequence[Endpoint]],
        assign: Callable[[State], Slots],
        emit: Emit,
        *,
        command: Sequence[str] = WORKER_COMMAND,
        pace: Pace | None = None,
        warm: Callable[[], Warm] = dict,
        outcomes: Outcomes = lambda _worker, _started, _rows: None,
        recorded: Recorded = lambda _pid, _message: None,
        clock: Clock | None = None,
    ) -> None:
        """``memories`` and ``endpoints`` are by slot."""
        self._slots = [Slot(i, m, e) for i, (m, e) in enumerate(zip(memories, endpoints, strict=True))]
        self._assign = assign
        self._emit = emit
        self._command = tuple(command)
        self._pace = pace or Pace()
        self._warm = warm
        self._outcomes = outcomes
        self._recorded = recorded
        self._clock = clock or SystemClock()
        self._state: State | None = None
        self._picture: Picture = {}
        self._material = Material()
        self._serial = 0
        """How many materials were sent."""
        self._stopped = asyncio.Event()
        self._cut = asyncio.Event()
        self._told: dict[str, bytes] = {}
        """What holds for every worker beside the state, as it was sent last, by the type of the message."""
        self._doors = False
        """Whether workers may let traffic in."""
        self._watcher: asyncio.Task[None] | None = None

    # Life

    async def start(self, state: State, picture: Picture, material: Material | None = None) -> None:
        """Start a worker in every slot; returns when all of them are ready.

        None lets traffic in before all can: a start that fails has taken no connection from anybody. Raises FleetError
        when one ends or is not ready in ``Pace.start`` seconds; all are ended then.
        """
        self._state, self._picture, self._material = state, picture, material or Material()
        for slot in self._slots:
            slot.keeper = asyncio.create_task(self._keep(slot))
        self._watcher = asyncio.create_task(pulse.watch(self._slots, self._pace))
        ends: list[str] = []
        try:
            async with asyncio.timeout(self._pace.start):
                ends = await asyncio.gather(*(self._able(slot) for slot in self._slots))
                if not any(ends):
                    self._open_doors()
                    ends = await asyncio.gather(*(asyncio.shield(slot.first) for slot in self._slots))
        except TimeoutError:
            ends = [f"was not ready within {self._pace.start:g} s"]
        failed = [f"worker {index}: {reason}" for index, reason in enumerate(ends) if reason]
        if failed:
            await self.kill()
            raise FleetError(f"the workers do not start ({'; '.join(failed)}); look for their messages on stderr")

    async def _able(self, slot: Slot) -> str:
        """Wait until the slot's first worker routes by the state; "", or why it never will."""
        assert self._state is not None  # noqa: S101 - start sets it
        filled = asyncio.create_task(slot.filled.wait())
        waits: set[asyncio.Future[Any]] = {filled, slot.first}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            filled.cancel()
        worker = slot.worker
        if worker is None:
            return await asyncio.shield(slot.first)
        refused = await worker.acknowledgement(self._state.revision)
        if refused and worker.alive:
            worker.kill(f"did not take up revision {self._state.revision}: {refused}")
        return await asyncio.shield(slot.first) if refused else ""

    def _open_doors(self) -> None:
        self._doors = True
        self.show_backends(self._picture)

    async def drain(self, seconds: float, shared: Collection[tuple[str, int]] = ()) -> DrainReport:
        """Let every worker finish its requests, for at most ``seconds``; ends what remains. ``cut`` shortens it.

        ``shared`` are names and slots of the sockets that others accept from by now.
        """
        draining = [(slot, slot.worker) for slot in self._slots if slot.worker is not None]
        workers = [worker for _, worker in draining]
        self._halt()
        for slot, worker in draining:
            names = [each.name for each in slot.endpoints if (each.name, slot.index) in shared]
            worker.phase = Phase.DRAINING
            worker.send(channel.encode({"type": "drain", "seconds": seconds, "shared": names}))
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._cut.wait()), asyncio.create_task(_gone(workers))]
        await asyncio.wait(waits, timeout=seconds + self._pace.grace, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        left = [worker for worker in workers if worker.alive]
        await self.kill()
        return DrainReport(
            finished=sum(int(worker.report.get("finished", 0)) for worker in workers),
            # A worker that had to be ended cannot say what it cut; its block can.
            cut=sum(int(worker.report.get("cut", slot.lost)) for slot, worker in draining),
            killed=len(left),
        )

    def cut(self) -> None:
        """Stop waiting: a running drain ends the workers at once."""
        self._cut.set()

    async def kill(self) -> None:
        """End all workers at once and wait until they are gone."""
        self._halt()
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.kill("the supervisor stopped")
        await asyncio.gather(*(slot.keeper for slot in self._slots if slot.keeper is not None))

    def _halt(self) -> None:
        """No more successors. Keepers are told, not cancelled: a process half started must not be forgotten."""
        self._stopped.set()
        if self._watcher is not None:
            self._watcher.cancel()

    # What goes down

    async def publish(self, state: State, picture: Picture | None = None, material: Material | None = None) -> Acks:
        """Send what changed since the last state to every worker and wait for all acks.

        ``picture``, where given, are the states of the new state's backends, in force with it and not before;
        ``material``, where given, what the files hold that this state and the one before name. When
        this returns no process routes by an earlier revision: who did not acknowledge in ``Pace.acknowledge`` seconds,
        or refused, was ended. Its successor, which starts with ``state``, is waited for too, unless it keeps dying.
        Not for two callers at once. Raises ChannelError when the state is too large to send; nothing was sent then.
        """
        previous = self._state
        slots = self._assign(state)
        message = publish.whole(state, slots) if previous is None else publish.changes(previous, state, slots)
        frames = [channel.encode(message)]
        if picture is not None:
            # A backend without an entry counts as ready. So the new ones are named before the state that brings them,
            # and the old ones as long as requests may still be decided by the state before.
            frames.insert(0, self._backends(publish.union(self._picture, picture)))
            frames.append(self._backends(picture))
            self._picture = picture
        if material is not None:
            frames.insert(0, channel.encode(self._credentials(material)))
        self._state = state
        frame = b"".join(frames)
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.send(frame)
        results = await asyncio.gather(*(self._followed(slot, state.revision) for slot in self._slots))
        return Acks(sum(results), len(self._slots))

    async def _followed(self, slot: Slot, revision: int) -> bool:
        """Whether the slot's worker, or else the one that replaces it, routes by ``revision``."""
        try:
            async with asyncio.timeout(self._pace.start):
                while slot.failures <= self._pace.patience:
                    await slot.filled.wait()
                    worker = slot.worker
                    if worker is not None and await self._acknowledged(worker, revision):
                        return True
                    if slot.worker is worker:
                        # It is dead; its keeper may not have noticed, and sets this again with the next one.
                        slot.filled.clear()
        except TimeoutError:
            pass
        return False

    async def _acknowledged(self, worker: WorkerProcess, revision: int) -> bool:
        # A worker that is just starting may have to load Python first; it serves nobody before its first state, but
        # might then serve by the state it was started with.
        seconds = self._pace.start if worker.phase is Phase.STARTING else self._pace.acknowledge
        try:
            async with asyncio.timeout(seconds):
                refused = await worker.acknowledgement(revision)
        except TimeoutError:
            refused = f"no answer within {seconds:g} s"
        if not refused:
            return True
        worker.kill(f"did not take up revision {revision}: {refused}")
        with contextlib.suppress(TimeoutError):
            # After SIGKILL no instruction of it runs any more; gone it is when the kernel has cleaned up.
            async with asyncio.timeout(self._pace.acknowledge):
                await asyncio.shield(worker.exited)
        return False

    async def renew(self, material: Material) -> None:
        """Give every worker new certificates and wait until it uses them; who does not is replaced by one that does.

        Raises ChannelError when they are too large to send; nothing was sent then.
        """
        frame = channel.encode(self._credentials(material))
        serial = self._serial
        waits = []
        for slot in self._slots:
            if slot.worker is not None:
                waits.append(self._renewed(slot.worker, slot.worker.renewal(serial)))
                slot.worker.send(frame)
        await asyncio.gather(*waits)

    async def _renewed(self, worker: WorkerProcess, renewal: "asyncio.Future[str]") -> None:
        seconds = self._pace.start if worker.phase is Phase.STARTING else self._pace.acknowledge
        try:
            async with asyncio.timeout(seconds):
                refused = await renewal
        except TimeoutError:
            refused = f"no answer within {seconds:g} s"
        if refused:
            worker.kill(f"did not take up new certificates: {refused}")

    def _credentials(self, material: Material) -> channel.Message:
        self._material = material
        self._serial += 1
        return {"type": "credentials", "serial": self._serial, **material.message()}

    def _backends(self, picture: Picture) -> bytes:
        return channel.encode(publish.backends(picture, self._warm()))

    def show_backends(self, picture: Picture) -> None:
        """Tell every worker the states of all backends."""
        self._picture = picture
        if not self._doors:
            return  # a worker's first picture lets traffic in
        frame = self._backends(picture)
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.send(frame)

    def judge(self, cases: Sequence[channel.Message], kind: str = "judge") -> None:
        """Tell every worker what to record for judges: all of it each time, for those of flags as ``judge_flags``."""
        self._tell({"type": kind, "cases": cases})

    def mirror(self, checks: Sequence[Sequence[Any]]) -> None:
        """Tell every worker which checks want copies of requests, as ``control.shadow`` has them: all each time."""
        self._tell({"type": "mirror", "checks": checks})

    def _tell(self, message: channel.Message) -> None:
        frame = self._told[message["type"]] = channel.encode(message)
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.send(frame)

    # What is shown

    def view(self) -> list[WorkerView]:
        """All slots, in order. A slot between two processes has no pid and the state ``dead``."""
        return [
            WorkerView(
                index=slot.index,
                pid=slot.worker.pid if slot.worker is not None else None,
                state=(slot.worker.phase if slot.worker is not None else Phase.DEAD).value,
                revision=slot.worker.revision if slot.worker is not None else 0,
                restarts=slot.restarts,
                last_end=slot.last_end,
                load=slot.worker.load if slot.worker is not None else {},
            )
            for slot in self._slots
        ]

    @property
    def workers(self) -> list[WorkerProcess]:
        """Those that run, starting and draining ones as well."""
        return [slot.worker for slot in self._slots if slot.worker is not None]

    @property
    def pids(self) -> list[int]:
        return [slot.worker.pid for slot in self._slots if slot.worker is not None]

    @property
    def serving(self) -> list[int]:
        """The pids of those that take requests."""
        return [each.pid for each in self.workers if each.phase is Phase.READY]

    @property
    def ready(self) -> bool:
        """Whether at least one worker serves: then no connection is refused."""
        return any(slot.worker is not None and slot.worker.phase is Phase.READY for slot in self._slots)

    # Keeping a slot filled

    async def _keep(self, slot: Slot) -> None:
        while not self._stopped.is_set():
            began = self._clock.monotonic()
            try:
                slot.worker = await WorkerProcess.spawn(
                    slot.index,
                    slot.block.fd,
                    slot.endpoints,
                    lambda _: self._is_ready(slot),
                    self._command,
                    partial(self._outcomes, slot.index, began),
                    self._recorded,
                )
            except OSError as error:
                pid, reason = None, f"could not be started: {error}"
            else:
                pid, reason = slot.worker.pid, await self._live(slot, slot.worker)
            slot.worker = None
            slot.filled.clear()
            connections, slot.lost = slot.block.settle()
            if not slot.first.done():
                slot.first.set_result(reason)
            if self._stopped.is_set():
                return
            lived = self._clock.monotonic() - began
            slot.failures = 1 if lived >= self._pace.settled else slot.failures + 1
            slot.restarts += 1
            slot.last_end = reason
            delay = self._pace.delay(slot.failures)
            self._emit(
                {
                    "kind": "worker_died",
                    "worker": slot.index,
                    "pid": pid,
                    "reason": reason,
                    "lived": round(lived, 3),
                    "connections_lost": connections,
                    "requests_lost": slot.lost,
                    "replaced_in": delay,
                }
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopped.wait()

    async def _live(self, slot: Slot, worker: WorkerProcess) -> str:
        """From the first state to the end; returns the reason of the end."""
        slot.filled.set()
        if self._stopped.is_set():
            worker.kill("the supervisor stopped")
        assert self._state is not None  # noqa: S101 - start sets it before the first keeper runs
        if self._serial or self._material.pairs or self._material.authorities:
            worker.send(channel.encode(self._credentials(self._material)))
        worker.send(channel.encode(publish.whole(self._state, self._assign(self._state))))
        worker.send(b"".join(self._told.values()))
        if self._doors:
            worker.send(self._backends(self._picture))
        return await worker.exited

    def _is_ready(self, slot: Slot) -> None:
        if not slot.first.done():
            slot.first.set_result("")
        if slot.restarts and slot.worker is not None:
            self._emit({"kind": "worker_replaced", "worker": slot.index, "pid": slot.worker.pid})


async def _gone(workers: Sequence[WorkerProcess]) -> None:
    for worker in workers:
        await asyncio.shield(worker.exited)
