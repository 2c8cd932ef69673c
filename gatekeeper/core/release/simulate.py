"""What a plan would catch, and how soon: its real lifecycle and the real judge against traffic as assumed.

The plan is walked once, with people who approve at once and checks that pass at once. Then releases are drawn along
that timeline, of a candidate that is equal and of each kind of regression, and each second of them is judged. Seconds
are taken together the longer a step lasts, a twentieth of its age at a time: a step of a day costs little more than one
of an hour, and no time of detection is off by more than that.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil, inf
from statistics import median
from typing import Final

from gatekeeper.core.command import Act, Advance, CheckDone, Judged, StartRelease, Verb, apply
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.assumed import EQUAL, Draw, Regression, Traffic, second
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.verdict import Kind, Verdict
from gatekeeper.core.model import Backend, Definition, Release, Service, Settings, State, Version
from gatekeeper.core.outcome import Command
from gatekeeper.core.release import gates
from gatekeeper.core.release.calendar import utc
from gatekeeper.core.release.due import next_due
from gatekeeper.core.release.model import CheckResult, ReleaseState, VerdictView, WaitKind
from gatekeeper.core.release.plan import Plan
from gatekeeper.core.release.words import count, duration
from gatekeeper.core.reload import initial_state

SERVICE, STABLE, CANDIDATE = "service", "stable", "candidate"
RELEASES: Final = 20
"""Releases drawn per kind: enough for a median, and for what 95 % stay below."""
REGRESSIONS: Final = (
    Regression("100 % errors", more=1.0),
    Regression("+5 points", more=0.05),
    Regression("+1 point", more=0.01),
    Regression("x3 errors", times=3.0),
    Regression("latency +10 %", slower=1.1),
    Regression("latency x2", slower=2.0),
)
_GROWTH: Final = 20
"""The part of a step's age that is taken as one second."""
_LOOKS: Final = 3
"""Every so many of these it is asked whether the candidate has passed."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: ``begins`` and ``hold`` in seconds, ``weight`` in percent, ``requests`` the candidate would get."""

    step: int
    weight: float
    begins: float
    hold: float
    requests: float


@dataclass(frozen=True, slots=True)
class Caught:
    """What becomes of one kind of regression.

    ``caught`` is the part of the releases (0..1) that were rolled back, ``median`` and ``p95`` the seconds until then
    over all releases (None: that many were not caught), ``step`` the step of the median. ``hurt`` is the median of the
    users' requests that failed or were slow because of it until it was caught, or until the plan's end.
    """

    name: str
    caught: float
    median: float | None
    p95: float | None
    step: int | None
    hurt: float


@dataclass(frozen=True, slots=True)
class Simulation:
    plan: str
    assumed: Traffic
    stages: tuple[Stage, ...]
    seconds: float
    """From the first step to the promotion."""
    regressions: tuple[Caught, ...]
    notes: tuple[str, ...]


def simulate(
    plan: Plan,
    traffic: Traffic,
    *,
    chance: Callable[[int], Draw],
    analysis: Analysis | None = None,
    regressions: Sequence[Regression] = REGRESSIONS,
) -> Simulation:
    """``chance`` gives uniform numbers for a seed. Raises ``Refused`` for a plan that cannot be followed."""
    asked = analysis or Analysis()
    walk = _Walk(plan)
    stages = tuple(
        Stage(number, weight, begins, ends - begins, traffic.rps * weight / 100 * (ends - begins))
        for number, (weight, begins, ends, _) in enumerate(walk.steps)
    )
    runs = {
        regression: [
            _run(walk, traffic, regression, asked, chance(number * RELEASES + seed)) for seed in range(RELEASES)
        ]
        for number, regression in enumerate((EQUAL, *regressions))
    }
    equal = runs.pop(EQUAL)
    caught = tuple(_caught(regression, found) for regression, found in runs.items())
    paused = any(run.paused for found in runs.values() for run in found)
    return Simulation(
        plan=plan.name,
        assumed=traffic,
        stages=stages,
        seconds=walk.end,
        regressions=caught,
        notes=(*walk.notes, _proof(walk, equal), *_weaknesses(walk, caught, paused=paused)),
    )


# The plan


class _Walk:
    """A plan from its start to the promotion, by the commands that a gatekeeper would apply.

    ``steps`` are weight, begin and end in seconds since the first step, and the State while it is held.
    """

    def __init__(self, plan: Plan) -> None:
        self.notes: list[str] = []
        self._now = 0.0
        if plan.at is not None or plan.window is not None:
            self.notes.append("the plan's time and window are left out: what waits for them is not counted")
        self._state = _start()
        self._do(
            StartRelease(
                actor="author",
                services={SERVICE: CANDIDATE},
                plan=replace(plan, at=None, window=None),
                offset=utc,
                ready={SERVICE: True},
            )
        )
        held: dict[int, tuple[float, float, State]] = {}
        # Of each step: to be verified, to be approved, to be resumed, and held.
        for _ in range(4 * len(plan.steps) + 4):
            release = self.release
            if release.state is ReleaseState.PROGRESSING:
                begins, state = self._now, self._state
                self._now += max(0.0, next_due(state, release, begins, utc) or 0.0)
                held[release.step] = begins, self._now, state
                self._do(Advance(actor="plan", release=release.id, offset=utc, ready={SERVICE: True}))
            elif release.active:
                self._pass_gate(release)
        self.end = self._now
        self.steps: list[tuple[float, float, float, State]] = []
        ends = 0.0
        for number, step in enumerate(plan.steps):
            # A step that is not held is over in the revision that takes it.
            begins, ends, state = held.get(number, (ends, ends, self._state))
            self.steps.append((float(step.weight), begins, ends, state))

    @property
    def release(self) -> Release:
        return next(iter(self._state.releases.values()))

    def _do(self, command: Command) -> None:
        self._state = apply(self._state, command, self._now).state

    def _pass_gate(self, release: Release) -> None:
        checks = gates.checks_of(release)
        if checks is not None:
            gate, wanted = checks
            self._note(f"{count(len(wanted), 'check')} before step {release.step + 2}: taken to pass at once")
            results = tuple(CheckResult(gate, SERVICE, check.name, True, 0.0, "", self._now) for check in wanted)
            self._do(
                CheckDone(
                    actor="plan", release=release.id, gate=gate, results=results, offset=utc, ready={SERVICE: True}
                )
            )
            return
        for item in release.waiting:
            if item.kind is WaitKind.APPROVAL:
                for group in item.groups:
                    self._note(f"approval by {group} before step {release.step + 2}: taken to be given at once")
                    self._act(Verb.APPROVE, f"one of {group}", groups=(group,), gate=item.gate)
            elif item.kind is WaitKind.PAUSE:
                self._note(f"pause before step {release.step + 2}: taken to be ended at once")
                self._act(Verb.RESUME, "somebody")

    def _act(self, verb: Verb, actor: str, *, groups: tuple[str, ...] = (), gate: str | None = None) -> None:
        self._do(
            Act(
                actor=actor,
                event=verb,
                service=SERVICE,
                groups=groups,
                gate=gate,
                offset=utc,
                ready={SERVICE: True},
            )
        )

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _start() -> State:
    versions = {name: Version(name, (Backend(f"http://{name}:80"),)) for name in (STABLE, CANDIDATE)}
    service = Service(SERVICE, versions, split={STABLE: Decimal(100)}, stable=STABLE)
    return initial_state(Definition(Settings(), {SERVICE: service}), {}, 1, "simulation", 0.0)[0]


# Releases


@dataclass(frozen=True, slots=True)
class _Run:
    """One release: when and in which step it was rolled back (``inf``, None: it was not), and what it cost until then;
    when it was proven good enough; whether it was left to people.
    """

    ended: float
    step: int | None
    hurt: float
    proven: float
    paused: bool = False


def _ticks(walk: _Walk) -> Iterator[tuple[int, State, float, float, float]]:
    """Step, State, weight (0..1), and begin and length in seconds of what is judged as one second."""
    for number, (weight, begins, ends, state) in enumerate(walk.steps):
        at = begins
        while at < ends:
            length = min(max(1.0, (at - begins) // _GROWTH), ends - at)
            yield number, state, weight / 100, at, length
            at += length


def _run(walk: _Walk, traffic: Traffic, regression: Regression, analysis: Analysis, draw: Draw) -> _Run:
    judge = Judge(replace(analysis, min_bake=0), STABLE, CANDIDATE, sticky=False)
    slower = regression.slower != 1.0
    # Where only errors differ, times would differ by these alone: they are as well not drawn.
    timed = slower or regression == EQUAL
    tolerance = (analysis.tolerate_latency, analysis.tolerate_floor) if timed and analysis.latency else None
    base, rate = traffic.errors, regression.errors(traffic.errors)
    hurt, proven = 0.0, inf
    for number, (step, state, weight, at, length) in enumerate(_ticks(walk)):
        if weight == 1.0 and analysis.guard is None:
            # Nothing is compared: what comes of it needs no chance.
            hurt += traffic.rps * length * (1.0 if slower else max(0.0, rate - base))
            continue
        found = second(draw, traffic, regression, at=number, weight=weight, seconds=length, tolerance=tolerance)
        judge.add(found)
        answered, failed = found.candidate.requests, found.candidate.errors
        hurt += answered if slower else max(0.0, failed - base * answered)
        if judge.rolled_back:
            after = _told(state, judge.verdict(), at + length)
            return _Run(at + length, step, hurt, proven, paused=after.state is ReleaseState.PAUSED)
        if regression == EQUAL and number % _LOOKS == 0 and judge.verdict().kind is Kind.PASSED:
            return _Run(inf, None, 0.0, at + length)
    return _Run(inf, None, hurt, proven)


def _told(state: State, verdict: Verdict, at: float) -> Release:
    """What the lifecycle makes of it."""
    number = next(iter(state.releases))
    view = VerdictView(verdict.kind.value, verdict.sentence, passes=False)
    command = Judged(actor="judge", release=number, verdict=view, offset=utc, ready={SERVICE: True})
    return apply(state, command, at).state.releases[number]


def _caught(regression: Regression, runs: Sequence[_Run]) -> Caught:
    ended = sorted(runs, key=lambda run: run.ended)
    middle, late = median(run.ended for run in runs), ended[ceil(0.95 * len(ended)) - 1].ended
    caught = [run for run in ended if run.step is not None]
    return Caught(
        regression.name,
        len(caught) / len(runs),
        None if middle == inf else middle,
        None if late == inf else late,
        caught[(len(caught) - 1) // 2].step if caught else None,
        median(run.hurt for run in runs),
    )


# What else there is to know


def _proof(walk: _Walk, equal: Sequence[_Run]) -> str:
    """When a candidate that is as good would be known to be."""
    proven = median(run.proven for run in equal)
    if proven == inf:
        return "this plan does not prove a candidate that is as good to be so: too little traffic beside stable"
    step = next(number for number, (_, begins, ends, _) in enumerate(walk.steps) if begins < proven <= ends)
    return f"a candidate that is as good is proven to be after {duration(proven)}, in step {step + 1} (median)"


def _weaknesses(walk: _Walk, caught: Sequence[Caught], *, paused: bool) -> Iterator[str]:
    if not any(0 < weight < 100 and begins < ends for weight, begins, ends, _ in walk.steps):
        yield "no step below 100 % is held, so nothing is ever compared with stable"
    elif any(weight == 100 and begins < ends for weight, begins, ends, _ in walk.steps):
        yield "at 100 % there is no stable to compare with: what begins there only absolute guards can see"
    if any(each.caught < 1 for each in caught):
        yield "what is not caught by the end hurts on after the promotion, until somebody sees it"
    if paused:
        yield "on_fail: pause: what is caught hurts on until somebody decides"
