"""All judges: which releases are judged, what workers are told of it, and what the releases are told.

It follows the State as the runner does and decides nothing: ``demand`` says who is judged and what is news, the judge
what is so. A look takes what workers have sent, hands complete seconds to the judges, and tells what is new.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from gatekeeper.channel import Message
from gatekeeper.clock import Clock
from gatekeeper.control.judging.busy import Busy
from gatekeeper.control.judging.case import Case, Task, sticks
from gatekeeper.control.judging.course import Course
from gatekeeper.control.judging.keeping import DISK_SECONDS, Keeping, Store
from gatekeeper.control.judging.memory import Memory
from gatekeeper.control.judging.queries import Queries
from gatekeeper.control.judging.resume import Here, begin, boot_id, recorded, resume
from gatekeeper.control.judging.seconds import SecondsLog
from gatekeeper.control.store.rows import Judgement
from gatekeeper.control.store.statefile import StoreError
from gatekeeper.core import codec
from gatekeeper.core.command import Command
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.standing import Standing, odds
from gatekeeper.core.model import Release, State
from gatekeeper.core.release import demand
from gatekeeper.core.release.model import Move

log = logging.getLogger("gatekeeper.judge")

LOOK_SECONDS: Final = 1.0
"""At most this long between two looks; every word of a worker is a reason for one, too."""
TOGETHER_SECONDS: Final = 0.05
"""What workers say within this time is looked at together."""


class Controller(Protocol):
    @property
    def state(self) -> State: ...
    async def changed(self, after: int) -> State: ...
    async def submit(self, command: Command, *, via: str = "") -> object: ...


class Crew(Protocol):
    """The workers: the fleet, for what matters here."""

    @property
    def serving(self) -> Sequence[int]: ...
    def judge(self, cases: Sequence[Message]) -> None: ...


class Judging:
    """``start`` once the controller takes commands, ``stop`` before it ends; ``pause`` for a hand-over."""

    def __init__(
        self,
        *,
        controller: Controller,
        crew: Crew,
        store: Store,
        tell: Callable[[Mapping[str, Any]], None],
        clock: Clock,
        steady: Callable[[Release], float],
        world: Callable[[Release], Mapping[str, Any]],
        state_path: str,
        boot: str | None = None,
    ) -> None:
        """``steady`` gives a release's own time, ``world`` what every command about it takes (see ``Runner``).

        ``boot`` tells this boot of the machine from others; None: as the system says.
        """
        self._controller = controller
        self._crew = crew
        self._store = store
        self._clock = clock
        self._steady = steady
        self._world = world
        self._boot = boot_id() if boot is None else boot
        self._keeping = Keeping(store, f"{state_path}.judge", self._cases, tell, clock)
        self._threads = ThreadPoolExecutor(1, "judge-token")
        self._courses: dict[int, Course] = {}
        self._busy = Busy()
        self._soon = asyncio.Event()
        self._paused = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Go on with what was judged when the last program ended, and begin what is to be judged."""
        self._keeping.start()
        state = self._controller.state
        await self._follow(state, found=True)
        self.look()  # before anything goes on by what was said long ago
        self._tasks = [
            asyncio.create_task(self._run(), name="judges"),
            asyncio.create_task(self._watch(state.revision), name="judges-follow"),
        ]

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(course.stop() for course in self._courses.values()))
        await self._keeping.stop(write=not self._paused)
        self._threads.shutdown(wait=False)

    async def pause(self) -> None:
        """Write down everything, and judge no further until ``resume``: another program goes on with it."""
        self._paused = True
        await self._keeping.settle()

    async def resume(self) -> None:
        """The other program failed: go on."""
        self._paused = False
        self._soon.set()

    # What workers say

    def hear(self, worker: int, message: Message) -> None:
        """A worker's message ``seconds`` or ``routes``. Never fails."""
        if message["type"] == "routes":
            sampled = message.get("of")
            if isinstance(sampled, dict):
                self._busy.hear(self._controller.state.services, sampled)
            return
        everything = message.get("of")
        for said in everything if isinstance(everything, list) else ():
            try:
                release, service, upto, parts = said
                course = self._courses.get(release)
                if course is not None and service in course.cases:
                    course.cases[service].hear(worker, upto, parts)
            except (ValueError, TypeError) as error:
                self._misheard(said, error)
        self._soon.set()

    def _misheard(self, said: Any, error: Exception) -> None:
        """What cannot be read is missing on one side or the other: who knows. Better no comparison than a wrong one."""
        log.error("a worker's seconds cannot be read", extra={"reason": str(error)})
        named = said[:2] if isinstance(said, list) else []
        for course in self._courses.values():
            for service, case in course.cases.items():
                if [course.release, service] == named:
                    case.lost("what a worker recorded could not be read")

    # What is shown

    def verdicts(self, release: int) -> tuple[Standing, ...]:
        """How its judges stand now, by service; empty where none judges it."""
        course = self._courses.get(release)
        return () if course is None else course.standings()

    def standings(self) -> tuple[Standing, ...]:
        """How all judges stand now."""
        return tuple(standing for course in self._courses.values() for standing in course.standings())

    async def recorded(self, release: int) -> tuple[Standing, ...]:
        """The same, or of one that is not judged any more what its judges said last. Raises StoreError."""
        live = self.verdicts(release)
        return live or tuple(
            standing for row in await self._store.judges(release) if (standing := _standing(row)) is not None
        )

    def odds(self, service: str) -> tuple[float, float] | None:
        """The odds against luck and those that mean rollback; None where the service is not judged now."""
        for course in self._courses.values():
            if (case := course.cases.get(service)) is not None:
                return odds(case.judge.log_odds), case.verdict.bar
        return None

    def log_paths(self, release: int, service: str) -> tuple[str, ...]:
        """The log of its seconds: the older part first, if there are two; empty where nothing was recorded."""
        return SecondsLog(self._keeping.directory, release, service).paths()

    def routes(self, service: str) -> tuple[str, ...]:
        """Those with most traffic, as sampled."""
        return self._busy.top(service)

    # The look

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._soon.wait()
                    await asyncio.sleep(TOGETHER_SECONDS)
            self._soon.clear()
            self.look()

    def look(self) -> None:
        """Judge what is complete, and tell what is new."""
        if self._paused or not self._courses:
            return
        state, present, news = self._controller.state, self._crew.serving, False
        for course in self._courses.values():
            release = state.releases.get(course.release)
            if release is None or not demand.asked(release):
                continue  # it is over; the state is followed behind
            try:
                news |= self._look_at(course, release, present)
            except Exception:
                log.exception("a release was not judged", extra={"release": course.release})
        self._keeping.look(soon=news)

    def _look_at(self, course: Course, release: Release, present: Sequence[int]) -> bool:
        now, wall = self._clock.monotonic(), self._clock.wall()
        overdue, whole = demand.overdue(release, self._steady(release)), demand.whole(release)
        for case in course.cases.values():
            case.look(now, wall, present, overdue=overdue, whole=whole)
        return course.tell(release, now, self._world, partial(self._controller.submit, via="gatekeeper"))

    # Which cases there are

    def _cases(self) -> list[Case]:
        return [case for course in self._courses.values() for case in course.cases.values()]

    async def _watch(self, revision: int) -> None:
        while True:
            state = await self._controller.changed(revision)
            revision = state.revision
            try:
                await self._follow(state, found=False)
            except Exception:
                log.exception("judges do not follow", extra={"revision": revision})

    async def _follow(self, state: State, *, found: bool) -> None:
        """Judge exactly what is to be judged; ``found``: it was so before this program began."""
        wanted = {release.id: release for release in state.releases.values() if demand.asked(release)}
        over = [self._courses.pop(number) for number in [*self._courses] if number not in wanted]
        new = [release for number, release in wanted.items() if number not in self._courses]
        for course in over:
            await course.stop()
            for case in course.cases.values():
                self._keeping.end(case)
        for course in self._courses.values():
            for service, case in course.cases.items():
                if service in state.services:
                    case.follow(state.services[service])
        for release in new:
            self._courses[release.id] = await self._begin(state, release, found=found)
        if over or new:
            self._crew.judge([case.picture() for case in self._cases()])
            self._keeping.look(soon=True)
        # A new step asks something else, and what was said of the last one does not count.
        self._soon.set()

    async def _begin(self, state: State, release: Release, *, found: bool) -> Course:
        analysis = release.plan.analysis
        assert analysis is not None  # noqa: S101 - ``demand.asked`` says so
        stay = [path for case in self._cases() for path in (case.log.path, case.log.older, case.memory.path) if path]
        rows: dict[str, Judgement] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISK_SECONDS):
                await self._keeping.tidy(stay)
        try:
            rows = {row.service: row for row in await self._store.judges(release.id)}
        except StoreError as error:
            log.error("judges cannot be read", extra={"release": release.id, "reason": str(error)})  # noqa: TRY400
            found = True
        cases = {}
        for move in release.moves:
            if move.service in state.services:
                cases[move.service] = await self._open(state, release, move, rows.get(move.service), found=found)
        queries = Queries(analysis.queries, self._clock, self._threads)
        queries.start()
        return Course(release.id, cases, queries)

    async def _open(self, state: State, release: Release, move: Move, row: Judgement | None, *, found: bool) -> Case:
        here = Here(self._clock.monotonic(), self._clock.wall(), self._boot)
        task = self._task(state, release, move, here)
        stem = f"{self._keeping.directory}/{release.id}-{move.service}"
        opening = partial(resume, task, row) if found or row is not None else partial(begin, task)
        try:
            async with asyncio.timeout(DISK_SECONDS):
                case, trouble = await self._keeping.run(lambda: opening(stem, self._keeping.directory, here))
        except TimeoutError:
            trouble = f"{self._keeping.directory}: did not answer within {DISK_SECONDS:g} s"
            case = Case.begin(task, Memory.private(), SecondsLog(self._keeping.directory, release.id, move.service), "")
            if found:
                case.lost("what the judge knew could not be read in time")
        if trouble:
            self._keeping.failed(trouble)
        return case

    def _task(self, state: State, release: Release, move: Move, here: Here) -> Task:
        analysis = release.plan.analysis
        assert analysis is not None  # noqa: S101 - ``demand.asked`` says so
        return Task(
            release=release.id,
            service=move.service,
            stable=move.stable,
            candidate=move.to,
            analysis=replace(analysis, services=len(release.moves)),
            units=sticks(state.services[move.service]),
            routes=analysis.routes or self._busy.top(move.service),
            origin=here.now,
            began=here.wall,
        )


def _standing(row: Judgement) -> Standing | None:
    """How a judge stood when it was kept last; None for what cannot be read."""
    try:
        judge = recorded(row.dump)
        analysis = codec.load(Analysis, row.dump["judge"]["analysis"])
        stable, candidate = str(row.dump["judge"]["stable"]), str(row.dump["judge"]["candidate"])
        verdict = judge.verdict(overdue=row.dump["overdue"] is True, whole=row.dump["whole"] is True)
        at = float(row.dump["looked"])
    except (codec.CodecError, KeyError, TypeError, ValueError) as error:
        log.error("a judge cannot be read", extra={"release": row.release, "reason": str(error)})  # noqa: TRY400
        return None
    return Standing(row.release, row.service, stable, candidate, analysis, verdict, at, judge.guards())
