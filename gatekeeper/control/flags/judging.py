"""All judges of flags: which flags are judged, what workers are told of it, and what comes of a verdict.

As ``control.judging`` does for releases. A flag that is proven to make things worse is turned off, if its ``on_fail``
says so, in one revision by the actor ``judge`` with the evidence in its event; else people are told.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Protocol

from gatekeeper.channel import Message
from gatekeeper.clock import Clock
from gatekeeper.control.flags.course import Course
from gatekeeper.control.judging.memory import Memory
from gatekeeper.core.command import Command, Refused, SwitchFlag
from gatekeeper.core.flags.judged import Terms, share, terms
from gatekeeper.core.flags.model import FlagFails
from gatekeeper.core.judge.standing import Standing, odds
from gatekeeper.core.judge.verdict import Kind, Verdict
from gatekeeper.core.model import State

log = logging.getLogger("gatekeeper.judge")

ACTOR: Final = "judge"
KIND: Final = "judge_flags"
"""Of the message to workers."""
LOOK_SECONDS: Final = 1.0
"""At most this long between two looks; every word of a worker is a reason for one, too."""
TOGETHER_SECONDS: Final = 0.05
"""What workers say within this time is looked at together."""
DISK_SECONDS: Final = 5.0
"""How long a beginning waits for the disk; without it workers tell more."""
AGAIN_SECONDS: Final = 1.0
AGAIN_MOST: Final = 15.0
"""After a refusal (the disk is full, the queue is) it is tried again, first soon, then four times a minute."""
TELLING: Final = frozenset({Kind.ROLLBACK, Kind.PASSED, Kind.INVALID, Kind.SHARED_TROUBLE})
"""Verdicts that people are told of: each at most once in a row, and none that comes and goes by chance."""


class Controller(Protocol):
    @property
    def state(self) -> State: ...
    async def changed(self, after: int) -> State: ...
    async def submit(self, command: Command, *, via: str = "") -> object: ...


class Crew(Protocol):
    """The workers: the fleet, for what matters here."""

    @property
    def serving(self) -> Sequence[int]: ...
    def judge(self, cases: Sequence[Message], kind: str) -> None: ...


class FlagJudging:
    """``start`` once the controller takes commands, ``stop`` before it ends."""

    def __init__(
        self,
        *,
        controller: Controller,
        crew: Crew,
        tell: Callable[[Mapping[str, Any]], None],
        clock: Clock,
        state_path: str,
    ) -> None:
        """``tell`` gets events that are no revision. Memories of units are in a directory beside the state file."""
        self._controller = controller
        self._crew = crew
        self._tell = tell
        self._clock = clock
        self._directory = Path(f"{state_path}.judge")
        self._threads = ThreadPoolExecutor(1, "flag-judges")
        """What blocks for as long as the disk does."""
        self._courses: dict[str, Course] = {}
        self._number = 0
        self._followed: State | None = None
        self._soon = asyncio.Event()
        self._paused = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self._follow(self._controller.state)
        self._tasks = [
            asyncio.create_task(self._run(), name="flag-judges"),
            asyncio.create_task(self._watch(), name="flag-judges-follow"),
        ]

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for course in self._courses.values():
            if not self._paused:  # else there may be another program's by now
                course.memory.remove()
        self._courses = {}
        self._threads.shutdown(wait=False)

    async def pause(self) -> None:
        """Judge no further until ``resume``: another program begins to."""
        self._paused = True

    async def resume(self) -> None:
        """The other program failed: go on."""
        self._paused = False
        self._soon.set()

    def hear(self, worker: int, message: Message) -> None:
        """A worker's message ``flag_seconds``. Never fails."""
        everything = message.get("of")
        for said in everything if isinstance(everything, list) else ():
            try:
                number, flag, upto, parts = said
                course = self._courses.get(flag)
                if course is not None and course.number == number:
                    course.hear(worker, upto, parts)
            except (ValueError, TypeError) as error:
                log.error("a worker's seconds cannot be read", extra={"reason": str(error)})  # noqa: TRY400
                # What is missing on one side or the other nobody knows: no comparison is better than a wrong one.
                for course in self._courses.values():
                    if isinstance(said, list) and said[:2] == [course.number, course.terms.flag]:
                        course.lost("what a worker recorded could not be read")
        self._soon.set()

    def standings(self) -> tuple[Standing, ...]:
        """How all judges stand now."""
        return tuple(course.standing() for course in self._courses.values())

    def standing(self, flag: str) -> Standing | None:
        """How the flag's stands; None where nobody judges it now."""
        course = self._courses.get(flag)
        return None if course is None else course.standing()

    # Which flags are judged

    async def _watch(self) -> None:
        while True:
            state = await self._controller.changed(0 if self._followed is None else self._followed.revision)
            try:
                await self._follow(state)
            except Exception:
                log.exception("judges of flags do not follow", extra={"revision": state.revision})

    async def _follow(self, state: State) -> None:
        """Judge exactly what is to be judged, and begin anew where it is something else."""
        before, self._followed = self._followed, state
        self._soon.set()
        if before is not None and before.flags is state.flags and before.services is state.services:
            return
        news = False
        wanted = {name: found for name in state.flags if (found := self._wanted(state, name)) is not None}
        for name in [*self._courses]:
            if wanted.get(name) != self._courses[name].terms:
                self._courses.pop(name).memory.remove()
                news = True
        for name, found in wanted.items():
            if name not in self._courses:
                self._courses[name] = await self._begin(found)
                news = True
        if news:
            self._crew.judge([course.picture() for course in self._courses.values()], KIND)

    def _wanted(self, state: State, name: str) -> Terms | None:
        """One that is on for everybody is heard out, and is no reason to begin."""
        flag = state.flags[name]
        part = share(flag)
        if 0.0 < part < 1.0 or (part == 1.0 and name in self._courses):
            return terms(state, flag.definition)
        return None

    async def _begin(self, found: Terms) -> Course:
        self._number += 1
        memory = await self._memory(found.flag) if found.units else None
        return Course(self._number, found, memory or Memory.private(), self._clock.monotonic(), self._clock.wall())

    async def _memory(self, flag: str) -> Memory | None:
        """In a file, where workers look whom they need not tell of again; None where the disk gives none in time."""

        def create() -> Memory:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            return Memory.create(str(self._directory / f"flag-{flag}.units"))

        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(DISK_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, create)
        return None

    # The look

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._courses else None):
                    await self._soon.wait()
                    await asyncio.sleep(TOGETHER_SECONDS)
            self._soon.clear()
            await self.look()

    async def look(self) -> None:
        """Judge what is complete, and do what comes of it."""
        for course in [] if self._paused else list(self._courses.values()):
            try:
                await self._look_at(course)
            except Exception:
                log.exception("a flag was not judged", extra={"flag": course.terms.flag})

    async def _look_at(self, course: Course) -> None:
        state, name = self._controller.state, course.terms.flag
        if state is not self._followed:
            return  # it may be over; there is a look when this state is followed
        flag = state.flags[name]
        now = self._clock.monotonic()
        course.look(now, self._clock.wall(), self._crew.serving, whole=share(flag) == 1.0)
        verdict = course.verdict
        if verdict.kind in TELLING and verdict.kind is not course.told:
            course.told = verdict.kind
            self._tell({"kind": "flag_verdict", "flag": name, "note": verdict.sentence, **said(verdict)})
        if verdict.kind is Kind.ROLLBACK and flag.definition.on_fail is FlagFails.OFF and now >= course.again:
            await self._turn_off(course, state.revision)

    async def _turn_off(self, course: Course, revision: int) -> None:
        """As long as nobody has changed anything since it was looked at: whoever did is looked at next."""
        name, verdict = course.terms.flag, course.verdict
        command = SwitchFlag(
            actor=ACTOR,
            note=verdict.sentence,
            name=name,
            on=False,
            verdict=said(verdict),
            expected_revision=revision,
        )
        try:
            await self._controller.submit(command, via="gatekeeper")
        except Refused as refusal:
            wait = min(AGAIN_SECONDS * 2 ** min(course.tries, 10), AGAIN_MOST)
            course.tries += 1
            course.again = self._clock.monotonic() + wait
            told = {"flag": name, "reason": str(refusal), "again": wait}
            log.error("a verdict was not taken", extra=told)  # noqa: TRY400 - the reason says it all


def said(verdict: Verdict) -> dict[str, Any]:
    """As events tell it."""
    numbers = verdict.numbers
    return {
        "verdict": verdict.kind.value,
        "cause": verdict.cause.value,
        "odds": odds(numbers.log_odds),
        "bar": verdict.bar,
        "requests": {"off": numbers.requests[0], "others": numbers.requests[1]},
        "errors": {"off": numbers.errors[0], "others": numbers.errors[1]},
    }
