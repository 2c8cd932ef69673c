"""One flag that is judged: from what workers recorded to what its judge says. It waits for nothing.

All of it is in memory. A program that begins anew begins a judge anew, which may have the chance of a false alarm once
more; a flag is on for days and a release for hours, and its judge ends where it is turned off.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatekeeper.channel import Message
from gatekeeper.control.judging.memory import Memory
from gatekeeper.core.flags.judged import Terms
from gatekeeper.core.judge.gather import Gathering
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.part import Part
from gatekeeper.core.judge.standing import Standing
from gatekeeper.core.judge.units import Units
from gatekeeper.core.judge.verdict import Kind, Verdict


@dataclass(slots=True)
class Course:
    """``hear`` what workers say, ``look`` once a second; ``verdict`` is what it came to."""

    number: int
    """Of the judge, among those of this program."""
    terms: Terms
    memory: Memory
    origin: float
    """Second 0, by the steady clock."""
    looked: float
    """When its judge was asked last, in wall seconds; at first when it began."""
    whole: bool = False
    """The flag is on for everybody: nothing is compared."""
    told: Kind | None = None
    """The verdict that people were told of last."""
    again: float = float("-inf")
    """Not to be turned off before then, by the steady clock."""
    tries: int = 0
    judge: Judge = field(init=False)
    gathering: Gathering = field(init=False)
    verdict: Verdict = field(init=False)

    def __post_init__(self) -> None:
        terms, analysis = self.terms, self.terms.analysis
        units = Units.begin(self.memory.view) if terms.units else None
        self.judge = Judge(analysis, terms.stable, terms.candidate, sticky=terms.units, routes=analysis.routes)
        self.gathering = Gathering(units, warm_up=analysis.warm_up, routes=analysis.routes)
        self.verdict = self.judge.verdict()

    def picture(self) -> Message:
        """What a worker needs to record it."""
        terms, analysis = self.terms, self.terms.analysis
        return {
            "release": self.number,
            "service": terms.flag,
            "stable": terms.stable,
            "candidate": terms.candidate,
            "units": terms.units,
            "origin": self.origin,
            "tolerate": [analysis.tolerate_latency, analysis.tolerate_floor],
            "slow": None if analysis.guard is None else analysis.guard.p99,
            "routes": list(analysis.routes),
            "seen": self.memory.path if terms.units else None,
            "services": list(terms.services),
        }

    def hear(self, worker: int, upto: int, parts: Sequence[Any]) -> None:
        """What a worker recorded, see ``Part.load``. Raises ValueError for what is none; then nothing was taken."""
        self.gathering.add(worker, upto, [Part.load(each) for each in parts])

    def lost(self, what: str) -> None:
        """A part of the past is gone, see ``Judge.lost``."""
        self.judge.lost(what)
        self.verdict = self.judge.verdict(whole=self.whole)

    def look(self, now: float, wall: float, present: Collection[int], *, whole: bool) -> None:
        """Judge what is complete. ``now`` is monotonic seconds; ``present`` are the workers that take requests."""
        self.gathering.workers(present)
        found = self.gathering.take(now - self.origin)
        for second in found:
            self.judge.add(second)
        if found or whole != self.whole:
            self.whole, self.looked = whole, wall
            self.verdict = self.judge.verdict(whole=whole)

    def standing(self) -> Standing:
        return Standing(
            release=0,
            service=self.terms.flag,
            stable=self.terms.stable,
            candidate=self.terms.candidate,
            analysis=self.terms.analysis,
            verdict=self.verdict,
            at=self.looked,
            guards=self.judge.guards(),
        )
