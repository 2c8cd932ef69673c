"""Versions that leave: every worker is told to let their requests and tunnels end in time, and what came of it is told.

A version leaves when an operator drains it, and when it is gone: retired, or not in the file any more. The routing
table keeps new requests from it; this is about those under way, above all tunnels, which would stay for days.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gatekeeper import channel
from gatekeeper.clock import Clock
from gatekeeper.core.model import State

log = logging.getLogger("gatekeeper.departures")

GRACE: Final = 2.0
"""Seconds beyond its time that a worker may take to say what became of a version; then it is not waited for."""

Emit = Callable[[Mapping[str, Any]], None]


class Leaver(Protocol):
    """A worker, see ``worker_process``."""

    def send(self, frame: bytes) -> None: ...
    def leaving(self, service: str, version: str) -> "asyncio.Future[tuple[int, int]]": ...


@dataclass(slots=True)
class Departure:
    """``until`` is wall seconds; ``finished`` and ``cut`` are requests and tunnels, 0 until ``done``."""

    until: float
    finished: int = 0
    cut: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Leave:
    service: str
    version: str
    seconds: float
    until: float
    drained: bool
    """Whether it is still there, and an operator may ask what became of it."""


class Departures:
    """``follow`` after every state that was taken up; ``stop`` at the end."""

    def __init__(self, emit: Emit, workers: Callable[[], Iterable[Leaver]], clock: Clock) -> None:
        """``workers`` are those that run now."""
        self._emit = emit
        self._workers = workers
        self._clock = clock
        self._reports: dict[tuple[str, str], Departure] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, previous: State, state: State) -> None:
        """Let leave what drains, or is gone, since ``previous``, which no worker routes by any more."""
        for leave in _leaving(previous, state, self._clock.wall()):
            waits: list[asyncio.Future[tuple[int, int]]] = []
            frame = channel.encode(
                {"type": "leave", "service": leave.service, "version": leave.version, "seconds": leave.seconds}
            )
            for worker in self._workers():
                waits.append(worker.leaving(leave.service, leave.version))
                worker.send(frame)
            if leave.drained:
                self._reports[leave.service, leave.version] = Departure(leave.until)
            task = asyncio.create_task(self._collect(leave, waits))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        for service, version in list(self._reports):
            if service not in state.services or version not in state.services[service].running.draining:
                del self._reports[service, version]

    def report(self, service: str, version: str) -> Mapping[str, Any] | None:
        """What became of a version that was drained; None if it was not, or somebody else did before us."""
        found = self._reports.get((service, version))
        if found is None:
            return None
        return {"until": found.until, "finished": found.finished, "cut": found.cut, "done": found.done}

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _collect(self, leave: _Leave, waits: Sequence["asyncio.Future[tuple[int, int]]"]) -> None:
        if waits:
            await asyncio.wait(waits, timeout=leave.seconds + GRACE)
        answers = [wait.result() for wait in waits if wait.done() and not wait.cancelled()]
        silent = len(waits) - len(answers)
        if silent:
            log.warning(
                "workers did not say what became of a version",
                extra={"service": leave.service, "version": leave.version, "silent": silent},
            )
        finished, cut = sum(ended for ended, _ in answers), sum(ended for _, ended in answers)
        report = self._reports.get((leave.service, leave.version))
        if leave.drained and report is not None and report.until == leave.until:
            report.finished, report.cut, report.done = finished, cut, True
        self._emit(
            {
                "kind": "version_drained",
                "service": leave.service,
                "version": leave.version,
                "finished": finished,
                "cut": cut,
                "gone": not leave.drained,
            }
        )


def _leaving(previous: State, state: State, now: float) -> Iterator[_Leave]:
    for name, before in previous.services.items():
        after = state.services.get(name)
        for version in before.definition.versions:
            if after is None or version not in after.definition.versions:
                seconds = before.definition.timeouts.drain
                # One that was drained before has nothing left to leave with, or is about to.
                if version not in before.running.draining:
                    yield _Leave(name, version, seconds, now + seconds, drained=False)
    for name, after in state.services.items():
        known = previous.services.get(name)
        if known is after:
            continue
        for version, until in after.running.draining.items():
            if known is None or known.running.draining.get(version) != until:
                yield _Leave(name, version, max(0.0, until - now), until, drained=True)
