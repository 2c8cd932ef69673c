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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gatekeeper import channel
from gatekeeper.clock import Clock, SystemClock
from gatekeeper.control import publish
from gatekeeper.control.pace import DrainReport, Pace, WorkerView
from gatekeeper.control.publish import Acks, Picture, Slots
from gatekeeper.control.sockets import Endpoint
from gatekeeper.control.worker_process import WORKER_COMMAND, Phase, WorkerProcess
from gatekeeper.core.model import State
from gatekeeper.errors import GatekeeperError
from gatekeeper.tls.material import Material

Emit = Callable[[Mapping[str, Any]], None]


class Memory(Protocol):
    """A metrics block: what a worker counts into, and what its death leaves to be put in order."""

    fd: int

    def settle(self) -> tuple[int, int]: ...


class FleetError(GatekeeperError):
    """The workers cannot be started. The text says which, why and where to look."""


@dataclass(slots=True)
class _Slot:
    index: int
    block: Memory
    endpoints: Sequence[Endpoint]
    worker: WorkerProcess | None = None
    keeper: "asyncio.Task[None] | None" = None
    first: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Done with "" once the first worker of this slot is ready, or with the reason why it never was."""
    restarts: int = 0
    failures: int = 0
    """Deaths in a row without a settled life between them."""
    lost: int = 0
    """Requests that were in flight in the last worker when it ended."""
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while there is a worker."""
    last_end: str = ""


class Fleet:
    """All workers. ``start`` first; then ``publish`` and ``show_backends`` as often as needed; ``drain`` at the end."""

    def __init__(
        self,
        memories: Sequence[Memory],
        endpoints: Sequence[Sequence[Endpoint]],
        assign: Callable[[State], Slots],
        emit: Emit,
        *,
        changed: Callable[[], None] = lambda: None,
        command: Sequence[str] = WORKER_COMMAND,
        pace: Pace | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``memories`` and ``endpoints`` are by slot. ``changed`` is called when a process was started or ended."""
        self._slots = [_Slot(i, m, e) for i, (m, e) in enumerate(zip(memories, endpoints, strict=True))]
        self._assign = assign
        self._emit = emit
        self._changed = changed
        self._command = tuple(command)
        self._pace = pace or Pace()
        self._clock = clock or SystemClock()
        self._state: State | None = None
        self._picture: Picture = {}
        self._material = Material()
        self._serial = 0
        """How many materials were sent."""
        self._stopped = asyncio.Event()
        self._cut = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    # Life

    async def start(self, state: State, picture: Picture, material: Material | None = None) -> None:
        """Start a worker in every slot; returns when all of them are ready.

        Raises FleetError when one ends or is not ready in ``Pace.start`` seconds; all are ended then.
        """
        self._state, self._picture, self._material = state, picture, material or Material()
        for slot in self._slots:
            slot.keeper = asyncio.create_task(self._keep(slot))
        self._watcher = asyncio.create_task(self._watch())
        ends: list[str] = []
        try:
            async with asyncio.timeout(self._pace.start):
                ends = await asyncio.gather(*(asyncio.shield(slot.first) for slot in self._slots))
        except TimeoutError:
            ends = [f"was not ready within {self._pace.start:g} s"]
        failed = [f"worker {index}: {reason}" for index, reason in enumerate(ends) if reason]
        if failed:
            await self.kill()
            raise FleetError(f"the workers do not start ({'; '.join(failed)}); look for their messages on stderr")

    async def drain(self, seconds: float) -> DrainReport:
        """Let every worker finish its requests, for at most ``seconds``; ends what remains. ``cut`` shortens it."""
        draining = [(slot, slot.worker) for slot in self._slots if slot.worker is not None]
        workers = [worker for _, worker in draining]
        frame = channel.encode({"type": "drain", "seconds": seconds})
        self._halt()
        for worker in workers:
            worker.phase = Phase.DRAINING
            worker.send(frame)
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
            frames.insert(0, channel.encode(publish.backends(publish.union(self._picture, picture))))
            frames.append(channel.encode(publish.backends(picture)))
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

    async def _followed(self, slot: _Slot, revision: int) -> bool:
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

    def show_backends(self, picture: Picture) -> None:
        """Tell every worker the states of all backends."""
        self._picture = picture
        frame = channel.encode(publish.backends(picture))
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
    def pids(self) -> list[int]:
        return [slot.worker.pid for slot in self._slots if slot.worker is not None]

    @property
    def ready(self) -> bool:
        """Whether at least one worker serves: then no connection is refused."""
        return any(slot.worker is not None and slot.worker.phase is Phase.READY for slot in self._slots)

    # Keeping a slot filled

    async def _keep(self, slot: _Slot) -> None:
        while not self._stopped.is_set():
            began = self._clock.monotonic()
            try:
                slot.worker = await WorkerProcess.spawn(
                    slot.index, slot.block.fd, slot.endpoints, lambda _: self._is_ready(slot), self._command
                )
            except OSError as error:
                pid, reason = None, f"could not be started: {error}"
            else:
                pid, reason = slot.worker.pid, await self._live(slot, slot.worker)
            slot.worker = None
            slot.filled.clear()
            connections, slot.lost = slot.block.settle()
            self._changed()
            if not slot.first.done():
                slot.first.set_result(reason)
            if self._stopped.is_set():
                return
            lived = self._clock.monotonic() - began
            slot.failures = 1 if lived >= self._pace.settled else slot.failures + 1
            slot.restarts += 1
            slot.last_end = reason
            delay = self._delay(slot.failures)
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

    def _delay(self, failures: int) -> float:
        """The first successor comes at once; 0.1, 0.2, ... 5 s once they keep dying."""
        if failures <= 1:
            return 0.0
        # The exponent is bounded so that a month of failures does not overflow a float.
        return float(min(self._pace.back_off_most, self._pace.back_off * 2 ** min(failures - 2, 16)))

    async def _live(self, slot: _Slot, worker: WorkerProcess) -> str:
        """From the first state to the end; returns the reason of the end."""
        slot.filled.set()
        if self._stopped.is_set():
            worker.kill("the supervisor stopped")
        self._changed()
        assert self._state is not None  # noqa: S101 - start sets it before the first keeper runs
        if self._serial or self._material.pairs or self._material.authorities:
            worker.send(channel.encode(self._credentials(self._material)))
        worker.send(channel.encode(publish.whole(self._state, self._assign(self._state))))
        worker.send(channel.encode(publish.backends(self._picture)))
        return await worker.exited

    def _is_ready(self, slot: _Slot) -> None:
        if not slot.first.done():
            slot.first.set_result("")
        if slot.restarts and slot.worker is not None:
            self._emit({"kind": "worker_replaced", "worker": slot.index, "pid": slot.worker.pid})

    async def _watch(self) -> None:
        number = 0
        starting: dict[int, int] = {}
        """Pid -> pings it was given while starting; it answers none before it is up."""
        patience: Final = max(1, round(self._pace.start / self._pace.ping))
        while True:
            await asyncio.sleep(self._pace.ping)
            number += 1
            frame = channel.encode({"type": "ping", "n": number})
            for slot in self._slots:
                worker = slot.worker
                if worker is None or not worker.alive:
                    continue
                bound = self._pace.pings_unanswered
                if worker.phase is Phase.STARTING:
                    starting[worker.pid] = starting.get(worker.pid, 0) + 1
                    if starting[worker.pid] > patience:
                        worker.kill(f"was not ready within {self._pace.start:g} s")
                    continue
                starting.pop(worker.pid, None)
                if worker.unanswered >= bound:
                    worker.kill(f"did not answer for {bound * self._pace.ping:g} s")
                    continue
                worker.unanswered += 1
                worker.send(frame)


async def _gone(workers: Sequence[WorkerProcess]) -> None:
    for worker in workers:
        await asyncio.shield(worker.exited)
