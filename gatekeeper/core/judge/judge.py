"""The judge of one release: sealed seconds in, in order; one verdict at any time.

Deterministic: the same seconds give the same floats, bit for bit, so that every rollback can be replayed. It knows no
clock. Everything it knows is in ``dump``; a restart that forgot it would begin at even odds and spend alpha again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, log
from typing import Any, Final

from gatekeeper.core import codec
from gatekeeper.core.judge import words
from gatekeeper.core.judge.analysis import SUSPICION, TROUBLE, Analysis
from gatekeeper.core.judge.bets import PassTest, ShareTest
from gatekeeper.core.judge.errors import ErrorTest
from gatekeeper.core.judge.latency import LatencyTest
from gatekeeper.core.judge.recent import CANDIDATE, STABLE, Recent
from gatekeeper.core.judge.second import Cell, Second
from gatekeeper.core.judge.standing import GuardReading
from gatekeeper.core.judge.verdict import Cause, Kind, Numbers, Verdict

SHARE_ODDS: Final = 1000.0
"""Odds against the routing being what was drawn, at which nothing else counts."""
UNKEYED: Final = 0.05
"""Part of the requests without a unit where labels stick to units, above which the rest speaks for too few."""
UNKEYED_LEAST: Final = 20
"""Fewer of them say nothing about a part."""
ALONE_SECONDS: Final = 10
"""Seconds of answers by the candidate without any comparison, after which there is none."""
BACKENDS_KEPT: Final = 64
"""Backends whose failures are counted apart; only the evidence is poorer where there are more."""

Pair = tuple[int, int]
"""Of stable and of the candidate."""


@dataclass(slots=True)
class _Memory:
    errors: ErrorTest
    passes: PassTest
    share: ShareTest
    latency: LatencyTest
    recent: Recent
    last: int = -1
    """The newest second seen."""
    seconds: int = 0
    requests: Pair = (0, 0)
    failed: Pair = (0, 0)
    candidate_errors: int = 0
    """Every single one since the warm-up, also those that could not be bet on."""
    draws: Pair = (0, 0)
    draw_failed: Pair = (0, 0)
    expected: float = 0.0
    """Of the candidate's draws."""
    routes: Mapping[str, Pair] = field(default_factory=dict)
    backends: Mapping[str, Pair] = field(default_factory=dict)
    """Requests and errors."""
    weight: float = 0.0
    alone: int = 0
    """Seconds of answers by the candidate since the last comparison."""
    excluded: int = 0
    warmed: int = 0
    keyed: int = 0
    unkeyed: int = 0
    crowded: float = 0.0
    keep: int = 1
    """1 of so many units was looked at in the second with most of them."""
    missing: int = 0
    ignored: int = 0
    stable_broke: int | None = None
    """The newest second at which stable was beyond the guard (or what is trouble where there is none)."""
    block: int | None = None
    """When the burst's block began, and with what evidence of errors and latency."""
    block_errors: float = 0.0
    block_latency: float = 0.0
    log_odds: float = 0.0
    reason: Cause = Cause.ERRORS
    rolled_back: str = ""
    """The sentence of the rollback, once there is one: it stays."""
    rolled_back_by: Cause = Cause.NONE
    invalid: str = ""
    """Why no comparison will ever mean anything again; it stays, too."""
    invalid_by: Cause = Cause.NONE


@dataclass(frozen=True, slots=True)
class _Dumped:
    analysis: Analysis
    stable: str
    candidate: str
    sticky: bool
    routes: tuple[str, ...]
    memory: _Memory


class Judge:
    """``add`` every second once, in order; ``verdict`` as often as needed.

    ``sticky``: labels are drawn per unit, not per request. ``routes`` are those looked at apart, chosen beforehand.
    """

    def __init__(
        self, analysis: Analysis, stable: str, candidate: str, *, sticky: bool, routes: Sequence[str] = ()
    ) -> None:
        self._analysis = analysis
        self._names = words.Names(stable, candidate, sticky)
        self._sticky = sticky
        self._routes = tuple(routes)
        # Fewer requests than accuse a version excuse one: when both fail from the first second on, it may be any that
        # has the 20th request first.
        self._excuse = replace(analysis.guard or TROUBLE, least=0)
        self._memory = _Memory(
            errors=ErrorTest.begin(routes, rho=analysis.tolerate_ratio, delta=analysis.tolerate_errors, sticky=sticky),
            passes=PassTest(*analysis.promote_errors),
            share=ShareTest(),
            latency=LatencyTest(PassTest(*analysis.promote_p95), PassTest(*analysis.promote_p99)),
            recent=Recent((analysis.guard or TROUBLE).window),
        )

    def dump(self) -> Any:
        """Everything it is and knows, as JSON values; floats survive exactly."""
        names = self._names
        return codec.dump(
            _Dumped(self._analysis, names.stable, names.candidate, self._sticky, self._routes, self._memory)
        )

    @classmethod
    def load(cls, dumped: Any) -> "Judge":
        """The judge that ``dump`` was of. Raises CodecError."""
        found = codec.load(_Dumped, dumped)
        judge = cls(found.analysis, found.stable, found.candidate, sticky=found.sticky, routes=found.routes)
        judge._memory = found.memory
        return judge

    def lost(self, what: str) -> None:
        """Something of the past is gone (its own memory, the units'): from now on there is no comparison."""
        self._invalidate(Cause.LOST, f"{what}, so the evidence cannot be carried on: judge it anew as a new release")

    def add(self, second: Second) -> None:
        """Take one second into account. One that is not newer than the last is left out: its moment has passed."""
        memory, analysis = self._memory, self._analysis
        if second.at <= memory.last:
            memory.ignored += 1
            return
        memory.last = second.at
        memory.seconds += 1
        memory.excluded += second.excluded
        memory.unkeyed += second.unkeyed
        requests = sum([cell.stable.requests + cell.candidate.requests for cell in second.cells])
        memory.keyed += requests
        memory.crowded = second.crowded
        memory.keep = max(memory.keep, second.keep)
        memory.missing += second.missing
        memory.recent.add(second)
        if memory.recent.breaks(self._excuse, STABLE):
            memory.stable_broke = second.at
        if second.backends:
            memory.backends = _counted(memory.backends, {k: (v.requests, v.errors) for k, v in second.backends.items()})
        if second.at < analysis.warm_up:
            memory.warmed += requests
        else:
            self._compare(second)
        self._latch()

    def _compare(self, second: Second) -> None:
        memory, burst = self._memory, self._analysis.burst
        if burst is not None and (memory.block is None or second.at - memory.block >= burst.block):
            memory.block = second.at
            memory.block_errors, memory.block_latency = memory.errors.log_wealth, memory.latency.log_wealth
        memory.alone += second.candidate.requests > 0
        memory.candidate_errors += second.candidate.errors
        for cell in second.cells:
            self._bet(cell)
        memory.errors.end_tick()
        memory.share.mixture.end_tick()
        if self._analysis.latency:
            memory.latency.end_tick()
        if burst is not None:
            memory.errors.cap(memory.block_errors + log(burst.cap))
            memory.latency.cap(memory.block_latency + log(burst.cap))

    def _bet(self, cell: Cell) -> None:
        memory, stable, candidate, weight = self._memory, cell.stable, cell.candidate, cell.weight
        memory.errors.bet(cell)
        # What is counted is what was compared: requests of a candidate that has everything prove nothing.
        if 0.0 < (memory.errors.highest if self._sticky and not cell.fresh else weight) < 1.0:
            memory.failed = memory.failed[0] + stable.errors, memory.failed[1] + candidate.errors
            for name, tally in cell.routes.items():
                if name in self._routes and (tally.stable_errors or tally.candidate_errors):
                    memory.routes = _counted(memory.routes, {name: (tally.stable_errors, tally.candidate_errors)})
            if not cell.fresh:
                memory.alone = 0
                memory.requests = memory.requests[0] + stable.requests, memory.requests[1] + candidate.requests
        if cell.fresh:
            return
        memory.weight = weight
        if 0.0 < weight < 1.0:
            draws, failed = memory.draws, memory.draw_failed
            memory.draws = draws[0] + stable.draws, draws[1] + candidate.draws
            memory.draw_failed = failed[0] + stable.draw_errors, failed[1] + candidate.draw_errors
            memory.expected += weight * (stable.draws + candidate.draws)
        # Being no worse than a stable that fails is no proof of being good. To look at this very second is fair: what
        # is left out by it speaks for the candidate.
        fine = not memory.recent.breaks(self._analysis.guard or TROUBLE, STABLE)
        if fine:
            memory.passes.bet(weight, candidate.draws, candidate.draw_errors, stable.draw_errors)
        memory.share.bet(weight, stable.draws, candidate.draws)
        if self._analysis.latency:
            memory.latency.bet(weight, stable.times, candidate.times, proving=fine)

    def _latch(self) -> None:
        """What stays once it was so: by Ville's inequality the first crossing is the decision."""
        memory, analysis = self._memory, self._analysis
        given, latency = log(analysis.metrics), memory.latency.log_wealth if analysis.latency else -inf
        memory.log_odds, memory.reason = memory.errors.log_wealth - given, Cause.ERRORS
        if latency - given > memory.log_odds:
            memory.log_odds, memory.reason = latency - given, Cause.LATENCY
        if memory.share.mixture.log_wealth >= log(SHARE_ODDS):
            self._invalidate(
                Cause.ROUTING,
                f"{self._names.candidate} got {memory.draws[1]:,} of {sum(memory.draws):,} draws where "
                f"{memory.expected:,.0f} were to be expected: the routing is not what it should be, so nothing can be "
                "compared",
            )
        if memory.rolled_back:
            return
        events = memory.candidate_errors if memory.reason is Cause.ERRORS else memory.latency.slow[1]
        if memory.log_odds >= analysis.log_bar and events >= analysis.min_events and not memory.invalid:
            memory.rolled_back_by = memory.reason
            memory.rolled_back = words.evidence(analysis, self._names, self.numbers())
        elif (guard := analysis.guard) is not None and memory.recent.breaks(guard, CANDIDATE) and not self._shared():
            broken = memory.recent.describe(guard, CANDIDATE)
            memory.rolled_back_by = Cause.GUARD
            memory.rolled_back = f"an absolute guard, not a comparison: {self._names.candidate}: {broken}"

    def _shared(self) -> bool:
        """Whether stable is in trouble, too, or was within the window: what hurt both leaves one of them first."""
        memory, window = self._memory, (self._analysis.guard or TROUBLE).window
        return memory.stable_broke is not None and memory.last - memory.stable_broke < window

    def _invalidate(self, cause: Cause, sentence: str) -> None:
        if not self._memory.invalid:
            self._memory.invalid, self._memory.invalid_by = sentence, cause

    # What it says

    @property
    def last(self) -> int:
        """The newest second it has seen; -1 before the first."""
        return self._memory.last

    @property
    def rolled_back(self) -> bool:
        return bool(self._memory.rolled_back)

    @property
    def log_odds(self) -> float:
        """The logarithm of the odds against luck: what is compared with the bar."""
        return self._memory.log_odds

    def verdict(self, *, overdue: bool = False, whole: bool = False) -> Verdict:
        """What it says now. ``overdue``: the time that the step had for its proof is over. ``whole``: the step gives
        the candidate everything, so that no comparison is expected: it says what it said before, but for its guard.
        """
        numbers = self.numbers()
        kind, cause, sentence = self._decide(numbers, overdue=overdue, whole=whole)
        if whole and kind is not Kind.ROLLBACK:
            left = (
                "no absolute guard was asked for" if self._analysis.guard is None else "only absolute guards are left"
            )
            sentence = f"{sentence}; {self._names.candidate} has everything, nothing is compared any more: {left}"
        notes = tuple(words.notes(self._analysis, self._names, numbers))
        return Verdict(kind, sentence, numbers, 1 / self._analysis.alpha, cause, notes)

    def _decide(self, numbers: Numbers, *, overdue: bool, whole: bool) -> tuple[Kind, Cause, str]:
        memory, analysis, names = self._memory, self._analysis, self._names
        if memory.rolled_back:
            return Kind.ROLLBACK, memory.rolled_back_by, memory.rolled_back
        trouble, recent = analysis.guard or TROUBLE, memory.recent
        broken = recent.breaks(trouble, STABLE) and f"{names.stable}: {recent.describe(trouble, STABLE)}"
        if self._shared() and recent.breaks(trouble, CANDIDATE):
            ours = f"{names.candidate}: {recent.describe(trouble, CANDIDATE)}"
            both = f"are in trouble: {broken}" if broken else f"were in trouble: {names.stable} is out of it"
            return Kind.SHARED_TROUBLE, Cause.GUARD, f"both versions {both}; {ours}"
        if memory.invalid:
            return Kind.INVALID, memory.invalid_by, memory.invalid
        if self._sticky and memory.unkeyed > max(UNKEYED_LEAST, UNKEYED * (memory.keyed + memory.unkeyed)):
            sentence = "too many requests carry no unit id: who belongs together is not known, so nothing is compared"
            return Kind.INVALID, Cause.UNITS, sentence
        if memory.alone >= ALONE_SECONDS and not whole:
            sentence = f"{names.candidate} runs without {names.stable} beside it: only absolute guards are left"
            return Kind.INVALID, Cause.ALONE, sentence
        if numbers.log_odds >= log(SUSPICION):
            return Kind.SUSPICIOUS, numbers.reason, words.evidence(analysis, names, numbers)
        if broken and not whole:
            sentence = f"stable itself is in trouble, and to be no worse than that is no proof: {broken}"
            return Kind.INVALID, Cause.STABLE, sentence
        if min(numbers.proofs.values()) >= analysis.log_proof:
            left = analysis.min_bake - memory.seconds
            if left <= 0:
                return Kind.PASSED, Cause.NONE, words.proven(analysis, names, numbers)
            if not overdue:
                return Kind.COLLECTING, Cause.NONE, f"proven good enough so far; watched for {left} s more"
        sentence = words.collecting(analysis, names, numbers)
        if overdue:
            return Kind.NOT_ENOUGH_DATA, Cause.NONE, f"neither worse nor proven good enough in time; {sentence}"
        return Kind.COLLECTING, Cause.NONE, sentence

    def guards(self) -> tuple[GuardReading, ...]:
        """Both versions beside the absolute bounds that were asked for; nothing where none were."""
        guard, names, recent = self._analysis.guard, self._names, self._memory.recent
        if guard is None:
            return ()
        return (
            *recent.readings(guard, STABLE, names.stable),
            *recent.readings(guard, CANDIDATE, names.candidate),
        )

    def numbers(self) -> Numbers:
        memory, given = self._memory, log(self._analysis.metrics)
        metrics, proofs = {"errors": memory.errors.log_wealth - given}, {"errors": memory.passes.log_evidence}
        if self._analysis.latency:
            metrics["latency"] = memory.latency.log_wealth - given
            proofs["p95"] = memory.latency.pass95.log_evidence
            proofs["p99"] = memory.latency.pass99.log_evidence
        return Numbers(
            seconds=memory.seconds,
            requests=memory.requests,
            errors=memory.failed,
            slow=memory.latency.slow,
            draws=memory.draws,
            draw_errors=memory.draw_failed,
            log_odds=memory.log_odds,
            metrics=metrics,
            proofs=proofs,
            log_share=memory.share.mixture.log_wealth,
            weight=memory.weight,
            reason=memory.reason,
            route=memory.errors.loudest,
            routes=memory.routes,
            backends=memory.backends,
            excluded=memory.excluded,
            unkeyed=memory.unkeyed,
            warmed=memory.warmed,
            crowded=memory.crowded,
            keep=memory.keep,
            missing=memory.missing,
            ignored=memory.ignored,
        )


def _counted(counts: Mapping[str, Pair], more: Mapping[str, Pair]) -> dict[str, Pair]:
    result = dict(counts)
    for name, pair in more.items():
        if name in result or len(result) < BACKENDS_KEPT:
            one, other = result.get(name, (0, 0))
            result[name] = one + pair[0], other + pair[1]
    return result
