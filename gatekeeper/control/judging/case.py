"""One service of one release: from what workers recorded to what its judge says.

It waits for nothing and writes no file but the memory of units, which is memory; ``keeping`` sees to the rest.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gatekeeper import __version__
from gatekeeper.channel import Message
from gatekeeper.control.judging.memory import Memory
from gatekeeper.control.judging.seconds import PART_BYTES, SecondsLog
from gatekeeper.core import codec
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.gather import Gathering
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.part import Part
from gatekeeper.core.judge.second import Second
from gatekeeper.core.judge.units import Units
from gatekeeper.core.judge.verdict import Kind, Verdict
from gatekeeper.core.model import ServiceState, StickyMode

UNWRITTEN: Final = 600
"""Lines that wait for the disk: ten minutes of it hanging. Beyond that they are given up, and the log begins anew."""

Line = tuple[Second, float, Kind, bool, bool]
"""A second; what the judge said after it (logarithm of the odds, kind); how it was asked (overdue, whole)."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is judged, and since when: all that does not change while it is."""

    release: int
    service: str
    stable: str
    candidate: str
    analysis: Analysis
    units: bool
    """Whether labels stick to units."""
    routes: tuple[str, ...]
    origin: float
    """Second 0, by the steady clock of this boot."""
    began: float
    """The same in wall seconds."""


@dataclass(slots=True)
class Case:
    """``hear`` what workers say, ``look`` once a second; ``verdict`` is what it came to."""

    task: Task
    judge: Judge
    gathering: Gathering
    memory: Memory
    log: SecondsLog
    boot: str
    verdict: Verdict = field(init=False)
    looked: float = 0.0
    """When that was, in wall seconds."""
    broken: bool = True
    """The log must say first what the judge is, since lines before are missing."""
    _asked: tuple[bool, bool] = (False, False)
    _lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.verdict = self.judge.verdict()
        self.looked = self.task.began

    @classmethod
    def begin(cls, task: Task, memory: Memory, log: SecondsLog, boot: str) -> "Case":
        """A new one, with a memory that is empty."""
        units = Units.begin(memory.view) if task.units else None
        gathering = Gathering(units, warm_up=task.analysis.warm_up, routes=task.routes)
        return cls(task, new_judge(task), gathering, memory, log, boot)

    # What goes down and comes up

    def picture(self) -> Message:
        """What a worker needs to record it."""
        task, analysis = self.task, self.task.analysis
        return {
            "release": task.release,
            "service": task.service,
            "stable": task.stable,
            "candidate": task.candidate,
            "units": task.units,
            "origin": task.origin,
            "tolerate": [analysis.tolerate_latency, analysis.tolerate_floor],
            "slow": None if analysis.guard is None else analysis.guard.p99,
            "routes": list(task.routes),
            "seen": self.memory.path if task.units else None,
        }

    def hear(self, worker: int, upto: int, parts: Sequence[Any]) -> None:
        """What a worker recorded, see ``Part.load``. Raises ValueError for what is none; then nothing was taken."""
        self.gathering.add(worker, upto, [Part.load(each) for each in parts])

    def follow(self, service: ServiceState) -> None:
        """A new revision holds."""
        if sticks(service) != self.task.units:
            self.judge.lost("the service's sticky mode was changed under way")

    # Judging

    def look(self, now: float, wall: float, present: Collection[int], *, overdue: bool, whole: bool) -> None:
        """Judge what is complete. ``now`` is monotonic seconds; ``present`` are the workers that take requests;
        ``overdue`` and ``whole`` as of ``Judge.verdict``.
        """
        asked = (overdue, whole)
        self.gathering.workers(present)
        found = self.gathering.take(now - self.task.origin)
        for second in found:
            # Before anything else: what a kill leaves behind must not look older than it is.
            self.memory.last = second.at
            self.judge.add(second)
            self.verdict = self.judge.verdict(overdue=overdue, whole=whole)
            self._lines.append((second, self.judge.log_odds, self.verdict.kind, overdue, whole))
        if not found and asked != self._asked:
            self.verdict = self.judge.verdict(overdue=overdue, whole=whole)
        if found or asked != self._asked:
            self.looked = wall
        self._asked = asked
        if len(self._lines) > UNWRITTEN:
            self._lines.clear()
            self.broken = True

    def ask_as(self, *, overdue: bool, whole: bool) -> None:
        """Go on as it was asked last."""
        self._asked = (overdue, whole)
        self.verdict = self.judge.verdict(overdue=overdue, whole=whole)

    def lost(self, what: str) -> None:
        """A part of the past is gone, see ``Judge.lost``."""
        self.judge.lost(what)
        self.verdict = self.judge.verdict()

    def silence(self, now: float) -> float:
        """Seconds since the end of the last second that was judged; ``now`` is monotonic seconds."""
        return now - self.task.origin - self.judge.last - 1

    # What is kept

    def dump(self) -> dict[str, Any]:
        """All that a restart needs beside the files. JSON values."""
        overdue, whole = self._asked
        task = self.task
        return {
            "judge": self.judge.dump(),
            "gathering": self.gathering.dump(),
            "units": task.units,
            "routes": list(task.routes),
            "origin": task.origin,
            "began": task.began,
            "boot": self.boot,
            "looked": self.looked,
            "overdue": overdue,
            "whole": whole,
        }

    def unwritten(self) -> tuple[list[Line], dict[str, Any] | None, bool]:
        """What the log still has to be given: lines, then a header, if any, and whether that begins a new part."""
        lines, self._lines = self._lines, []
        anew = self.log.size > PART_BYTES
        if not self.broken:
            return lines, self._header() if anew else None, anew
        self.broken = False
        # What came before the header is in the judge that it shows.
        return [], self._header(), anew

    def _header(self) -> dict[str, Any]:
        return {
            "judge": self.judge.dump(),
            "release": self.task.release,
            "service": self.task.service,
            "gatekeeper": __version__,
            "boot": self.boot,
            "began": self.task.began,
        }


def new_judge(task: Task) -> Judge:
    return Judge(task.analysis, task.stable, task.candidate, sticky=task.units, routes=task.routes)


def sticks(service: ServiceState) -> bool:
    """Whether its labels stick to units."""
    sticky = service.definition.sticky
    return sticky.mode is StickyMode.RAMP and bool(sticky.by)


def line(written: Line) -> dict[str, Any]:
    second, odds, kind, overdue, whole = written
    asked = {name: True for name, so in (("overdue", overdue), ("whole", whole)) if so}
    return {"second": codec.dump(second), "odds": odds, "kind": kind.value, **asked}
