"""The runner: makes the checks of releases that are being verified, and sees to it that what is due happens.

It decides nothing and holds nothing: what is due ``core`` says, asked without effect (``apply`` is pure) before a
command is sent; everything else is in the State. So it may be ended at any moment, and one that begins goes on where
the last one was; checks that were under way are made again.

It looks when the state has changed, when a backend's condition has, when something is due by time and, while there is
an active release, at least every LOOK_SECONDS. One release never waits for another: each has its own commands under
way, and checks run beside all that. Checks that are not wanted any more, because the release was paused or has ended,
are ended at the next look.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gatekeeper.clock import Clock
from gatekeeper.control import zones
from gatekeeper.control.releases.candidate import find
from gatekeeper.control.releases.checks import Examiner
from gatekeeper.control.releases.times import Times
from gatekeeper.control.releases.verification import Verification
from gatekeeper.core.command import Command, Refused, apply
from gatekeeper.core.lookup import find_service, find_version
from gatekeeper.core.model import Release, State
from gatekeeper.core.release.calendar import Offset
from gatekeeper.core.release.commands import Advance, CheckDone
from gatekeeper.core.release.due import next_due
from gatekeeper.core.release.gates import checks_of
from gatekeeper.core.release.model import CheckResult
from gatekeeper.core.release.plan import Check

log = logging.getLogger("gatekeeper.release")

ACTOR: Final = "plan"
LOOK_SECONDS: Final = 1.0
"""At most this long between two looks while a release is active: what comes unheard (a clock that was set) is seen."""
REST_SECONDS: Final = 3600.0
"""At most this long otherwise."""
AGAIN_SECONDS: Final = 1.0
AGAIN_MOST: Final = 60.0
"""After a refusal (the disk is full, the queue is) it is tried again, first soon, then every minute, without end."""
MANUAL: Final = 4
"""Verifications that people asked for under way at once; each runs up to ``verification.AT_ONCE`` checks."""
MANUAL_GATE: Final = "manual"
"""The gate in the results of these."""


class Controller(Protocol):
    @property
    def state(self) -> State: ...
    async def changed(self, after: int) -> State: ...
    async def submit(self, command: Command, *, via: str = "") -> object: ...


Ready = Callable[[str, str], int]
"""Service and version -> how many of its backends are ready."""


@dataclass(slots=True)
class _Course:
    """What goes on for one release."""

    key: tuple[object, ...] | None = None
    """What is being verified, or was last: gate, when that began, and exactly which versions."""
    verification: Verification | None = None
    making: "asyncio.Task[None] | None" = None
    results: tuple[CheckResult, ...] | None = None
    """To be told to the release."""
    asking: "asyncio.Task[None] | None" = None
    again: float = float("-inf")
    """Not to ask before then, by the steady clock."""
    tries: int = 0


@dataclass(slots=True)
class Runner:
    """``start`` once the controller takes commands; ``stop`` before it ends."""

    controller: Controller
    examiner: Examiner
    backends: Ready
    clock: Clock
    offset: Offset = zones.offset
    """What all release commands take."""
    _times: Times = field(init=False)
    _courses: dict[int, _Course] = field(default_factory=dict)
    _soon: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list)
    _manual: int = 0

    def __post_init__(self) -> None:
        self._times = Times(self.clock)

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._run(), name="releases"),
            asyncio.create_task(self._follow(), name="releases-follow"),
        ]

    async def stop(self) -> None:
        """Ask for nothing any more, and end all checks; ``examiner.close`` waits until their programs are gone."""
        courses, self._courses = self._courses, {}
        tasks = [*self._tasks, *(task for each in courses.values() for task in (each.making, each.asking) if task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def look_soon(self) -> None:
        """Something has changed that a release may wait for."""
        self._soon.set()

    # What whoever makes release commands needs

    def steady(self, release: Release) -> float:
        """The release's own time, see ``commands.ReleaseCommand``."""
        return self._times.of(release)

    def ready(self, versions: Mapping[str, str]) -> dict[str, bool]:
        """Of each service, whether the version has a ready backend."""
        return {service: self.backends(service, version) > 0 for service, version in versions.items()}

    def world(self, release: Release) -> dict[str, Any]:
        """``offset``, ``steady`` and ``ready``, as every command about this release takes them."""
        candidates = {move.service: move.to for move in release.moves}
        return {"offset": self.offset, "steady": self.steady(release), "ready": self.ready(candidates)}

    # What whoever shows releases wants to know

    def progress(self, release: int) -> list[dict[str, Any]]:
        """How far the checks that run now are: service, name, ``state`` (waiting, running, passed, failed), seconds."""
        course = self._courses.get(release)
        if course is None or course.verification is None:
            return []
        now = asyncio.get_running_loop().time()
        return [item.document(now) for item in course.verification.items]

    async def verify(
        self, service: str, version: str, checks: Sequence[Check], seconds: float
    ) -> tuple[CheckResult, ...]:
        """Make these checks of a version now, for no release. What is not done within ``seconds`` has failed.

        Whoever is cancelled here ends them.

        Raises Refused: 404 for a version that is not there, 503 when too many are made already.
        """
        state = self.controller.state
        find_version(find_service(state, service), version)
        candidate = find(state, service, version)
        if candidate is None or self._manual >= MANUAL:
            raise Refused(503, "busy", f"{MANUAL} verifications are being made already", "ask again when one has ended")
        self._manual += 1
        try:
            verification = Verification(MANUAL_GATE, checks, [candidate])
            return await verification.run(self.examiner.look, self.clock.wall, seconds=seconds)
        finally:
            self._manual -= 1

    # The loop

    async def _follow(self) -> None:
        revision = self.controller.state.revision
        while True:
            revision = (await self.controller.changed(revision)).revision
            self.look_soon()

    async def _run(self) -> None:
        while True:
            self._soon.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look()):
                    await self._soon.wait()

    def _look(self) -> float:
        """Begin what is to be done now. Returns the seconds until the next look."""
        state = self.controller.state
        releases = {each.id: each for each in state.releases.values() if each.active or each.retained}
        for number in [number for number in self._courses if number not in releases]:
            self._end_checks(self._courses.pop(number))
        self._times.keep(releases)
        wait = REST_SECONDS
        for release in releases.values():
            try:
                due = self._look_at(state, release, self._courses.setdefault(release.id, _Course()))
            except Exception:
                log.exception("a release was not looked at", extra={"release": release.id})
                due = LOOK_SECONDS
            wait = min(wait, due, LOOK_SECONDS if release.active else REST_SECONDS)
        return wait

    def _look_at(self, state: State, release: Release, course: _Course) -> float:
        self._see_to_checks(state, release, course)
        left = course.again - self.clock.monotonic()
        return left if left > 0 else self._go_on(state, release, course)

    def _see_to_checks(self, state: State, release: Release, course: _Course) -> None:
        """Make exactly the checks that are to be made now."""
        wanted = checks_of(release)
        candidates = [find(state, move.service, move.to, release.id) for move in release.moves]
        if wanted is None or None in candidates:
            self._end_checks(course)
            return
        found = [candidate for candidate in candidates if candidate is not None]
        gate, checks = wanted
        key = (gate, release.since, *(candidate.digest for candidate in found))
        if key == course.key:
            return
        self._end_checks(course)
        course.key, course.verification = key, Verification(gate, checks, found)
        course.making = asyncio.create_task(self._make(course, course.verification, release))

    async def _make(self, course: _Course, verification: Verification, release: Release) -> None:
        course.results = await verification.run(self.examiner.look, lambda: self._times.of(release))
        course.making = None
        self.look_soon()

    @staticmethod
    def _end_checks(course: _Course) -> None:
        if course.making is not None:
            course.making.cancel()
        course.key = course.verification = course.making = course.results = None

    def _go_on(self, state: State, release: Release, course: _Course) -> float:
        """Ask for what is due. Returns the seconds until there may be more."""
        if course.asking is not None:
            return REST_SECONDS  # its end is a reason to look
        now = self.clock.wall()  # before the release's own time: what is due by the one is not early by the other
        world = self.world(release)
        if course.results is not None and course.verification is not None:
            gate = course.verification.gate
            done = CheckDone(actor=ACTOR, release=release.id, gate=gate, results=course.results, **world)
            self._ask(course, done)
            return REST_SECONDS
        command = Advance(actor=ACTOR, release=release.id, **world)
        try:
            if apply(state, command, now).state is not state:
                self._ask(course, command)
                return REST_SECONDS
            due = next_due(state, release, now, self.offset, world["steady"])
        except (Refused, LookupError) as error:  # a zone may be gone from the machine
            self._complain(course, release.id, error)
            return AGAIN_SECONDS
        # What is due and still does not happen waits for something else.
        return REST_SECONDS if due is None else due or LOOK_SECONDS

    def _ask(self, course: _Course, command: Advance | CheckDone) -> None:
        course.asking = asyncio.create_task(self._submit(course, command))

    async def _submit(self, course: _Course, command: Advance | CheckDone) -> None:
        try:
            await self.controller.submit(command, via="gatekeeper")
        except Refused as refusal:
            self._complain(course, command.release, refusal)
        else:
            course.tries = 0
            if isinstance(command, CheckDone) and course.results is command.results:
                course.results = None
        finally:
            course.asking = None
            self.look_soon()

    def _complain(self, course: _Course, release: int, error: Exception) -> None:
        wait = min(AGAIN_SECONDS * 2 ** min(course.tries, 10), AGAIN_MOST)
        course.tries += 1
        course.again = self.clock.monotonic() + wait
        log.error("a release does not go on", extra={"release": release, "reason": str(error), "again": wait})
