"""One release from start to end: the judge, the other rules and tests, on the same seconds of traffic."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import log
from random import Random
from typing import Final

from benchmarks.judge.peeking import PEEKS, Counts, Peek
from benchmarks.judge.rules import MINUTE, RULES, Minute, Rule
from benchmarks.judge.traffic import HOUR, Schedule, Tick, Times, Weather, ticks
from gatekeeper.core.judge.analysis import SUSPICION, Analysis
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.second import Second
from gatekeeper.core.judge.verdict import Cause, Kind

ERRORS: Final = Analysis(latency=False, min_bake=0)
"""One metric, so that its bar is 100 : 1."""
LATENCY: Final = Analysis(min_bake=0)
PASS_LOOKS: Final = 5
"""Seconds between two looks whether it has passed: only looking costs much."""


@dataclass(frozen=True, slots=True)
class Fired:
    """When something said roll back (or passed): seconds, and requests of the candidate until then."""

    second: int
    requests: int


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one release. ``fired`` names who rolled it back."""

    fired: dict[str, Fired] = field(default_factory=dict)
    passed: Fired | None = None
    misrouted: Fired | None = None
    """When the judge held that the routing was wrong."""
    cause: Cause = Cause.NONE
    suspicious: bool = False
    """Whether it was ever."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a release depends on, but for its seed. ``weather`` is made anew for each."""

    rps: float
    schedule: Schedule
    weather: Callable[[Random], Weather]
    seconds: int = HOUR
    times: Times | None = None
    analysis: Analysis = ERRORS
    rules: bool = True
    promotion: bool = False
    misroute: float = 1.0
    """How many times the share that was drawn the candidate really gets."""


def run(plan: Plan, seed: str) -> Result:
    """A release is over when the judge and all the rules have rolled it back (and it has passed, where that is
    asked), or its time is.
    """
    random = Random(seed)
    judge = Judge(plan.analysis, "blue", "green", sticky=False)
    waiting = {name: rule() for name, rule in RULES.items()} if plan.rules else {}
    # What they know is errors.
    peeking = dict(PEEKS) if plan.rules and plan.times is None else {}
    result, minute, counts, requests = Result(), Minute(), Counts(), 0
    passed: Fired | None = None
    misrouted: Fired | None = None
    suspicious, looks = False, plan.promotion or plan.misroute != 1
    weather, suspicion = plan.weather(random), log(SUSPICION)
    for tick in _misrouted(ticks(random, plan.rps, plan.schedule, weather, plan.seconds, plan.times), plan.misroute):
        at = tick.second.at
        requests += tick.candidate.requests
        if "judge" not in result.fired:
            judge.add(tick.second)
            suspicious = suspicious or judge.log_odds >= suspicion
            if judge.rolled_back:
                result.fired["judge"] = Fired(at + 1, requests)
            elif looks and at % PASS_LOOKS == 0:
                verdict = judge.verdict()
                passed = Fired(at + 1, requests) if plan.promotion and verdict.kind is Kind.PASSED else None
                misrouted = Fired(at + 1, requests) if verdict.cause is Cause.ROUTING else None
        if waiting:
            _note(minute, tick)
            if at % MINUTE == MINUTE - 1:
                _ask(waiting, minute, result, Fired(at + 1, requests))
                minute = Minute()
        if peeking:
            _peek(peeking, counts, tick, result, Fired(at + 1, requests))
        if "judge" in result.fired and not waiting and not peeking:
            break
        if passed or misrouted:
            break
    return Result(result.fired, passed, misrouted, judge.verdict().cause, suspicious)


def _note(minute: Minute, tick: Tick) -> None:
    minute.stable += tick.stable.requests
    minute.candidate += tick.candidate.requests
    minute.stable_errors += tick.stable.errors
    minute.candidate_errors += tick.candidate.errors
    minute.stable_times += tick.stable_times
    minute.candidate_times += tick.candidate_times


def _ask(waiting: dict[str, Rule], minute: Minute, result: Result, now: Fired) -> None:
    for name in [name for name, rule in waiting.items() if rule.add(minute)]:
        result.fired[name] = now
        del waiting[name]


def _peek(peeking: dict[str, Peek], counts: Counts, tick: Tick, result: Result, now: Fired) -> None:
    counts.stable += tick.stable.requests
    counts.stable_errors += tick.stable.errors
    counts.candidate += tick.candidate.requests
    counts.candidate_errors += tick.candidate.errors
    if tick.candidate.errors:
        for name in [name for name, peek in peeking.items() if peek(counts)]:
            result.fired[name] = now
            del peeking[name]


def _misrouted(found: Iterator[Tick], factor: float) -> Iterator[Tick]:
    """The same seconds, of which the recorder says another weight than they were drawn with."""
    if factor == 1.0:
        yield from found
        return
    for tick in found:
        cells = tuple(type(cell)(cell.weight / factor, cell.stable, cell.candidate) for cell in tick.second.cells)
        second = tick.second
        yield Tick(
            Second(second.at, cells, second.stable, second.candidate),
            tick.weight / factor,
            tick.stable_times,
            tick.candidate_times,
        )
