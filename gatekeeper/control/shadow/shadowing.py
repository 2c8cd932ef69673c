"""Shadow traffic in the supervisor: which runs there are, what workers say of them, and a plan's ``mirror`` check.

A run is all mirrors of a service to one version. It begins with them, and anew when what they say or what the version
is changes (``core.shadow.model.run_id``), or when somebody resets it. A check is a run of its own: workers are told of
it beside the State, and while it lasts it is the only mirror of its service.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from gatekeeper.channel import Message
from gatekeeper.clock import Clock
from gatekeeper.control.releases.candidate import Candidate
from gatekeeper.control.releases.finding import Finding
from gatekeeper.control.shadow.keeping import Keeping
from gatekeeper.control.shadow.run import Run
from gatekeeper.core.codec import dump
from gatekeeper.core.model import Service, State
from gatekeeper.core.release.plan import MirrorCheck
from gatekeeper.core.shadow.asking import verdict
from gatekeeper.core.shadow.model import Mirror
from gatekeeper.core.shadow.runs import runs
from gatekeeper.core.shadow.tally import Tally
from gatekeeper.telemetry.shadowed import Shadowed

log = logging.getLogger("gatekeeper.shadow")

KEEP_SECONDS: Final = 10.0
"""What a kill costs at most of a report."""
LOOK_SECONDS: Final = 0.5
"""How often a check is looked at; workers speak once a second."""
TURN_SECONDS: Final = 5.0
"""How long a check waits for the one before it to end: that was cancelled, and gives way in milliseconds."""
ENDED_MOST: Final = 8
"""Runs of a service that are over and still shown."""


class Controller(Protocol):
    @property
    def state(self) -> State: ...
    async def changed(self, after: int) -> State: ...


class Crew(Protocol):
    """The workers: the fleet, for what matters here."""

    def mirror(self, checks: Sequence[Sequence[Any]]) -> None: ...


class Shadowing:
    """``start`` once there is a state, ``stop`` at the end; ``pause`` for a hand-over."""

    def __init__(self, *, controller: Controller, crew: Crew, totals: Shadowed, clock: Clock, state_path: str) -> None:
        """``totals`` are the metrics' sums. Runs are kept in a directory beside the state file."""
        self._controller = controller
        self._crew = crew
        self._totals = totals
        self._clock = clock
        self._keeping = Keeping(f"{state_path}.shadow")
        self._runs: dict[tuple[str, str], Run] = {}
        """By service and version."""
        self._checks: dict[str, tuple[Run, Mirror]] = {}
        """By service, those under way."""
        self._checked: dict[str, Run] = {}
        """By service, the last check that is over."""
        self._turns: dict[str, asyncio.Lock] = {}
        self._gone: set[tuple[str, str]] = set()
        """Whose files are to be removed."""
        self._followed: dict[str, Service] = {}
        self._paused = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Go on with what an earlier program kept, as far as it is still the same."""
        for run in await self._keeping.read():
            run.active = False
            self._runs[run.service, run.version] = run
        state = self._controller.state
        self._follow(state)
        self._tasks = [
            asyncio.create_task(self._watch(state.revision), name="shadow-follow"),
            asyncio.create_task(self._keep(), name="shadow-keep"),
        ]

    async def stop(self) -> None:
        """Write everything, unless it is another's by now, and end. Checks end with whoever asked for them."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if tasks and not self._paused:
            await self._write()
        self._keeping.close()

    async def pause(self) -> None:
        """Write everything, and nothing more until ``resume``: another program goes on with it."""
        await self._write()
        self._paused = True

    async def resume(self) -> None:
        """The other program failed: go on."""
        self._paused = False
        for run in self._runs.values():
            run.unwritten = True

    # What workers say

    def hear(self, worker: int, message: Message) -> None:
        """A worker's message ``shadow``. Never fails."""
        rows = message.get("runs")
        for row in rows if isinstance(rows, list) else ():
            try:
                service, version, number, said = row
                names, tally = (str(service), str(version), str(number)), Tally.of_message(said)
            except (ValueError, TypeError) as error:
                log.error("what a worker says of copies cannot be read", extra={"worker": worker, "reason": str(error)})  # noqa: TRY400
                continue
            if (run := self._run_of(*names)) is not None:
                # The last word of a run that is over is dropped; for the metrics nothing is ever over.
                run.hear(tally, self._clock.wall())
            if names[0] in self._followed:
                self._totals.add(names[0], names[1], tally)

    def _run_of(self, service: str, version: str, number: str) -> Run | None:
        checked = self._checks.get(service)
        if checked is not None and checked[0].id == number:
            return checked[0]
        run = self._runs.get((service, version))
        return run if run is not None and run.id == number else None

    # What is asked

    def of(self, service: str) -> list[Run]:
        """The runs of a service: those that go on first, then the latest."""
        found = [run for (name, _), run in self._runs.items() if name == service]
        found += [self._checks[service][0]] if service in self._checks else []
        found += [self._checked[service]] if service in self._checked else []
        return sorted(found, key=lambda run: (not run.active, -run.since))

    def reset(self, service: str) -> int:
        """Begin the runs of its mirrors anew, and forget those that are over. Returns how many there were."""
        found = [names for names in self._runs if names[0] == service]
        for names in found:
            run = self._runs.pop(names)
            if run.active:
                self._runs[names] = Run(service, run.version, run.id, self._clock.wall())
            else:
                self._gone.add(names)
        return len(found) + (self._checked.pop(service, None) is not None)

    async def check(self, check: MirrorCheck, candidate: Candidate) -> Finding:
        """Copy to the candidate until it is clear whether it passes. Raises nothing but cancellation, which ends it."""
        service, version = candidate.service.name, candidate.version.name
        turn = self._turns.setdefault(service, asyncio.Lock())
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await turn.acquire()
        except TimeoutError:
            return Finding(
                passed=False,
                text=f"another mirror check of service {service} is under way; check again when it has ended",
            )
        run = Run(service, version, f"check-{secrets.token_hex(6)}", self._clock.wall(), check=True)
        self._checks[service] = (run, replace(check.mirror, to=version))
        self._tell()
        try:
            return await self._until_clear(run, check)
        finally:
            del self._checks[service]
            run.active = False
            self._checked[service] = run
            self._tell()
            turn.release()

    async def _until_clear(self, run: Run, check: MirrorCheck) -> Finding:
        end = self._clock.monotonic() + check.seconds
        while True:
            over = self._clock.monotonic() >= end
            if (said := verdict(run.tally, check, over=over)) is not None:
                return Finding(*said)
            await asyncio.sleep(LOOK_SECONDS)

    def _tell(self) -> None:
        self._crew.mirror([[run.service, run.id, dump(mirror)] for run, mirror in self._checks.values()])

    # Behind the scenes

    async def _watch(self, revision: int) -> None:
        while True:
            state = await self._controller.changed(revision)
            revision = state.revision
            try:
                self._follow(state)
            except Exception:
                log.exception("runs of mirrors do not follow", extra={"revision": revision})

    def _follow(self, state: State) -> None:
        """Have exactly the runs that the state asks for, and of those that are over the last few."""
        services = {name: known.definition for name, known in state.services.items()}
        for name in {run.service for run in self._runs.values()} - services.keys():
            self._forget(name)
        for name, definition in services.items():
            if self._followed.get(name) is not definition:
                self._follow_service(definition)
        self._followed = services

    def _follow_service(self, definition: Service) -> None:
        wanted = {run.mirror.to: run.id for run in (runs(definition) or {}).values()}
        name = definition.name
        for version, number in wanted.items():
            run = self._runs.get((name, version))
            if run is None or run.id != number:
                self._runs[name, version] = Run(name, version, number, self._clock.wall())
            else:
                run.active = True
        over = [run for (service, version), run in self._runs.items() if service == name and version not in wanted]
        for run in over:
            run.active = False
        for run in sorted(over, key=lambda run: -run.at)[ENDED_MOST:]:
            self._drop(run.service, run.version)

    def _forget(self, service: str) -> None:
        for names in [names for names in self._runs if names[0] == service]:
            self._drop(*names)
        self._checked.pop(service, None)
        self._turns.pop(service, None)

    def _drop(self, service: str, version: str) -> None:
        del self._runs[service, version]
        self._gone.add((service, version))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            if not self._paused:
                await self._write()

    async def _write(self) -> None:
        gone, self._gone = self._gone - self._runs.keys(), set()
        await self._keeping.write([*self._runs.values()], gone)
