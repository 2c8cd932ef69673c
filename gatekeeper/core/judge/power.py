"""How many requests of the candidate it takes to see a regression, or to prove that there is none."""

from math import inf, log, log1p
from typing import Final

from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.bets import PASS_BETS, RATIOS, stakes

_WAIT: Final = 1.6
"""What the mixture over ratios costs beside the best ratio, in logarithms of wealth (measured)."""
_WAIT_PASS: Final = 0.7
"""The same of the bets on passing (measured)."""


def growth(weight: float, stable: float, candidate: float, *, rho: float = 1.0, delta: float = 0.0) -> float:
    """Of the logarithm of wealth, per candidate request, when the versions fail with these probabilities."""
    if not 0.0 < weight < 1.0:
        return 0.0
    best = 0.0
    for ratio in RATIOS:
        a, c = stakes(ratio, weight, rho)
        other = (1 - weight) / weight * stable * log1p(-c)
        best = max(best, candidate * log1p(a) + other - a * delta)
    return best


def proof_growth(weight: float, stable: float, candidate: float, *, rho: float, delta: float) -> float:
    """The same for the evidence that the candidate is better than ``rho * p + delta``."""
    if not 0.0 < weight < 1.0:
        return 0.0
    odds = weight / (1 - weight)
    return max(
        0.0,
        *(candidate * log1p(-bet) + stable / odds * log1p(bet * rho * odds) - log1p(-bet * delta) for bet in PASS_BETS),
    )


def requests_to_detect(analysis: Analysis, weight: float, stable: float, candidate: float) -> float:
    """Candidate requests until errors roll it back, about the median; ``inf`` = this weight cannot show that."""
    gain = growth(weight, stable, candidate, rho=analysis.tolerate_ratio, delta=analysis.tolerate_errors)
    return (analysis.log_bar + log(analysis.metrics) + _WAIT) / gain if gain > 0 else inf


def requests_to_pass(analysis: Analysis, weight: float, stable: float, candidate: float, *, have: float = 0.0) -> float:
    """Candidate requests until errors are proven good enough, about the median, with evidence ``have`` (a logarithm)
    at hand; ``inf`` = at these rates never.
    """
    rho, delta = analysis.promote_errors
    gain = proof_growth(weight, stable, candidate, rho=rho, delta=delta)
    return _until(analysis, gain, have)


def requests_to_pass_latency(analysis: Analysis, weight: float, *, have: tuple[float, float] = (0.0, 0.0)) -> float:
    """The same for p95 and p99 (``have`` of both) of a candidate that is as fast as stable."""
    slowest = 0.0
    for tail, (rho, delta), got in zip((0.05, 0.01), (analysis.promote_p95, analysis.promote_p99), have, strict=True):
        gain = proof_growth(weight, tail, tail, rho=rho, delta=delta)
        slowest = max(slowest, _until(analysis, gain, got))
    return slowest


def _until(analysis: Analysis, gain: float, have: float) -> float:
    missing = analysis.log_proof + (_WAIT_PASS if have == 0 else 0.0) - have
    return 0.0 if missing <= 0 else missing / gain if gain > 0 else inf
