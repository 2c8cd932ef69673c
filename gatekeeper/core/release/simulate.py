"""What a plan would catch, and how soon: its real lifecycle and the real judge against traffic as assumed.

The plan is walked once (``walk``). Then releases are drawn along that timeline, of a candidate that is equal and of
each kind of regression, and each second of them is judged: where the plan has an analysis a hold goes on until the
verdict lets it end, or ``max_hold`` is over. Seconds are taken together the longer a step lasts, a twentieth of its age
at a time: a step of a day costs little more than one of an hour, and no time of detection is off by more than that.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from statistics import median
from typing import Any, Final

from gatekeeper.core.command import apply
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.assumed import EQUAL, Draw, Regression, Traffic, second
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.verdict import Cause, Kind, Verdict
from gatekeeper.core.model import Release, State
from gatekeeper.core.release import demand
from gatekeeper.core.release.model import ReleaseState
from gatekeeper.core.release.plan import Plan
from gatekeeper.core.release.walk import CANDIDATE, STABLE, Walk, judged
from gatekeeper.core.release.words import duration, listed

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
    over all releases (None: that many were not caught), ``step`` the step of the median. ``guard`` is the part that an
    absolute bound caught, which is no comparison; it is in ``caught``. ``hurt`` is the median of the users' requests
    that failed or were slow because of it until it was caught, or until the plan's end.
    """

    name: str
    caught: float
    median: float | None
    p95: float | None
    step: int | None
    hurt: float
    guard: float = 0.0


@dataclass(frozen=True, slots=True)
class Simulation:
    """``stages`` and ``seconds`` (from the first step to the promotion) are those of the plan: where it waits for
    proof it takes longer, and ``notes`` say how long.
    """

    plan: str
    assumed: Traffic
    stages: tuple[Stage, ...]
    seconds: float
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
    """``chance`` gives uniform numbers for a seed. Raises ``Refused`` for a plan that cannot be followed.

    ``analysis`` takes the place of the plan's. Without any the default one is run beside the plan.
    """
    if analysis is not None and plan.analysis is not None:
        plan = replace(plan, analysis=analysis)
    asked = analysis or plan.analysis or Analysis()
    walk = Walk(plan)
    stages = tuple(
        Stage(number, weight, begins, ends - begins, traffic.rps * weight / 100 * (ends - begins))
        for number, (weight, begins, ends, _) in enumerate(walk.steps)
    )
    runs = {
        regression: [
            _Course(walk, traffic, regression, asked, chance(number * RELEASES + seed)).run()
            for seed in range(RELEASES)
        ]
        for number, regression in enumerate((EQUAL, *regressions))
    }
    equal = runs.pop(EQUAL)
    caught = tuple(_caught(regression, found) for regression, found in runs.items())
    paused = any(run.paused and run.ended < inf for found in runs.values() for run in found)
    return Simulation(
        plan=plan.name,
        assumed=traffic,
        stages=stages,
        seconds=walk.end,
        regressions=caught,
        notes=(
            *walk.notes,
            *_proof(walk, equal),
            *_promotion(walk, equal),
            *_weaknesses(walk, caught, asked, paused=paused),
        ),
    )


# Releases


@dataclass(frozen=True, slots=True)
class _Run:
    """One release: when it was rolled back (``guarded``: by the guard), what it cost until then, when it was proven
    good enough, when promoted. ``inf`` is never. ``paused``: it was left to people. ``step``: the one it ended in.
    """

    ended: float = inf
    step: int | None = None
    hurt: float = 0.0
    proven: float = inf
    promoted: float = inf
    paused: bool = False
    guarded: bool = False


class _Course:
    """One release on its way: seconds are drawn and judged until it ends."""

    def __init__(self, walk: Walk, traffic: Traffic, regression: Regression, analysis: Analysis, draw: Draw) -> None:
        self._walk, self._traffic, self._regression = walk, traffic, regression
        self._analysis, self._draw = analysis, draw
        # How long it has been watched is counted here: the judge is told of fewer seconds than there are.
        self._judge = Judge(replace(analysis, min_bake=0), STABLE, CANDIDATE, sticky=False)
        # Where only errors differ, times would differ by these alone: they are as well not drawn.
        self._slower = regression.slower != 1.0
        timed = self._slower or regression == EQUAL
        self._tolerance = (analysis.tolerate_latency, analysis.tolerate_floor) if timed and analysis.latency else None
        self._now = 0.0
        self._at = -1
        self._hurt = 0.0
        self._proven = inf

    def run(self) -> _Run:
        for step, (weight, begins, ends, state) in enumerate(self._walk.steps):
            release = next(iter(state.releases.values()))
            hold, age, looks = ends - begins, 0.0, 0
            while age < hold or not self._may_go(release):
                if age >= max(hold, release.plan.max_hold):
                    return self._ended(step=step, paused=True)
                left = hold - age if age < hold else release.plan.max_hold - age
                length = min(max(1.0, age // _GROWTH), left)
                self._pass(weight / 100, length)
                age += length
                if self._judge.rolled_back:
                    return self._caught(step, state)
                looks += 1
                if self._regression == EQUAL and looks % _LOOKS == 0 and self._kind(release) is Kind.PASSED:
                    self._proven = min(self._proven, self._now)
                    if not self._walk.judged:
                        return self._ended()
        return self._ended(promoted=self._now)

    def _pass(self, weight: float, length: float) -> None:
        traffic, base = self._traffic, self._traffic.errors
        self._now += length
        if weight == 1.0 and self._analysis.guard is None:
            # Nothing is compared: what comes of it needs no chance.
            more = 1.0 if self._slower else max(0.0, self._regression.errors(base) - base)
            self._hurt += traffic.rps * length * more
            return
        # Bounds on the last seconds, a warm-up and bursts go by the time of a second, which must grow.
        self._at = max(self._at + 1, int(self._now - length))
        guard = self._analysis.guard
        found = second(
            self._draw,
            traffic,
            self._regression,
            at=self._at,
            weight=weight,
            seconds=length,
            tolerance=self._tolerance,
            slow=guard.p99 if guard is not None else None,
        )
        self._judge.add(found)
        answered, failed = found.candidate.requests, found.candidate.errors
        self._hurt += answered if self._slower else max(0.0, failed - base * answered)

    def _may_go(self, release: Release) -> bool:
        return not self._walk.judged or demand.passes(release, self._kind(release))

    def _kind(self, release: Release) -> Kind:
        """What the judge says. Times that were not drawn are taken to be proven as soon as errors are."""
        verdict = self._judge.verdict(whole=demand.whole(release))
        proven = verdict.kind is Kind.PASSED
        if verdict.kind is Kind.COLLECTING and self._tolerance is None:
            proven = verdict.numbers.proofs["errors"] >= self._analysis.log_proof
        if proven:
            return Kind.PASSED if self._now >= self._analysis.min_bake else Kind.COLLECTING
        return verdict.kind

    def _caught(self, step: int, state: State) -> _Run:
        verdict = self._judge.verdict()
        after = _told(state, verdict, self._now)
        return self._ended(
            ended=self._now,
            step=step,
            paused=after.state is ReleaseState.PAUSED,
            guarded=verdict.cause is Cause.GUARD,
        )

    def _ended(self, **how: Any) -> _Run:
        return _Run(hurt=self._hurt, proven=self._proven, **how)


def _told(state: State, verdict: Verdict, at: float) -> Release:
    """What the lifecycle makes of it."""
    number = next(iter(state.releases))
    return apply(state, judged(number, verdict.kind, verdict.sentence), at).state.releases[number]


def _caught(regression: Regression, runs: Sequence[_Run]) -> Caught:
    ended = sorted(runs, key=lambda run: run.ended)
    middle, late = median(run.ended for run in runs), ended[ceil(0.95 * len(ended)) - 1].ended
    caught = [run for run in ended if run.ended < inf]
    return Caught(
        regression.name,
        len(caught) / len(runs),
        None if middle == inf else middle,
        None if late == inf else late,
        caught[(len(caught) - 1) // 2].step if caught else None,
        median(run.hurt for run in runs),
        sum(run.guarded for run in runs) / len(runs),
    )


# What else there is to know


def _proof(walk: Walk, equal: Sequence[_Run]) -> Iterator[str]:
    """When a candidate that is as good would be known to be."""
    proven = median(run.proven for run in equal)
    if proven == inf:
        yield "this plan does not prove a candidate that is as good to be so: too little traffic beside stable"
        return
    text = f"a candidate that is as good is proven to be after {duration(proven)}"
    step = next((number for number, (_, begins, ends, _) in enumerate(walk.steps) if begins < proven <= ends), None)
    yield f"{text}, in step {step + 1} (median)" if step is not None and not walk.judged else f"{text} (median)"


def _promotion(walk: Walk, equal: Sequence[_Run]) -> Iterator[str]:
    """What the analysis does to a candidate that is as good."""
    if not walk.judged:
        yield "the plan has no analysis, so nobody judges its releases: this is what `analysis: {}` would catch"
        return
    promoted, stuck = median(run.promoted for run in equal), [run for run in equal if run.paused]
    lost = [run for run in equal if run.ended < inf]
    if lost:
        by_guard = sum(run.guarded for run in lost)
        why = f", {by_guard} of them by the guard, which is too tight for this traffic" if by_guard else " by bad luck"
        yield f"{len(lost)} of {len(equal)} releases of one that is as good are rolled back{why}"
    if walk.end < promoted < inf:
        yield f"a candidate that is as good is promoted after {duration(promoted)} (median): holds wait for proof"
    if stuck:
        steps = listed(dict.fromkeys(str((run.step or 0) + 1) for run in stuck))
        yield (
            f"{len(stuck)} of {len(equal)} releases of one that is as good are left to people in step {steps}, for "
            "want of data or on suspicion: more weight below 100 % proves sooner"
        )


def _weaknesses(walk: Walk, caught: Sequence[Caught], analysis: Analysis, *, paused: bool) -> Iterator[str]:
    if not any(0 < weight < 100 and begins < ends for weight, begins, ends, _ in walk.steps) and not walk.judged:
        yield "no step below 100 % is held, so nothing is ever compared with stable"
    elif any(weight == 100 and begins < ends for weight, begins, ends, _ in walk.steps):
        seen = "only the guard can see" if analysis.guard is not None else "nobody sees: the analysis has no guard"
        if not walk.judged:
            seen = "only absolute guards can see"
        yield f"at 100 % there is no stable to compare with: what begins there {seen}"
    if any(each.guard for each in caught):
        yield "part of it is caught by the guard: an absolute bound, not a comparison, that says nothing of stable"
    if analysis.queries:
        yield "the metrics of Prometheus are left out: nothing is known of them"
    if any(each.caught < 1 for each in caught):
        yield (
            "what is not caught is left to people, or hurts on after the promotion until somebody sees it"
            if walk.judged
            else "what is not caught by the end hurts on after the promotion, until somebody sees it"
        )
    if paused:
        yield "on_fail: pause: what is caught hurts on until somebody decides"
