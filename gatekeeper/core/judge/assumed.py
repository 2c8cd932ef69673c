"""Traffic as it is assumed, for what-if: Poisson requests, versions that fail or are slow as often as somebody says.

Chance comes in as a function that gives uniform numbers in [0, 1), so that the same seed gives the same release.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import erf, exp, log, sqrt
from statistics import NormalDist
from typing import Final

from gatekeeper.core.judge.latency import BUCKETS, LEAST, RATIO, SLOWEST
from gatekeeper.core.judge.second import Arm, Cell, Second, Totals

Draw = Callable[[], float]

_MANY: Final = 30.0
"""A Poisson mean from which on it is drawn as a normal number: a tenth of its spread off at most."""
_RARE: Final = 1e-9
"""Expected requests in a bucket below which nobody draws for it."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """``errors`` (0..1) and ``latency`` (median in seconds, lognormal with ``sigma``) are of stable, and of a
    candidate that is as good.
    """

    rps: float
    errors: float = 0.001
    latency: float = 0.1
    sigma: float = 0.6


@dataclass(frozen=True, slots=True)
class Regression:
    """The candidate fails ``times`` as often as stable, and ``more`` (0..1) on top; takes ``slower`` times as long."""

    name: str
    times: float = 1.0
    more: float = 0.0
    slower: float = 1.0

    def errors(self, base: float) -> float:
        return min(1.0, self.times * base + self.more)


EQUAL: Final = Regression("equal")


def poisson(draw: Draw, mean: float) -> int:
    if mean >= _MANY:
        # A uniform number of exactly 0 has no normal one.
        return max(0, round(mean + sqrt(mean) * NormalDist().inv_cdf(max(draw(), 1e-300))))
    left, count = draw(), 0
    chance = exp(-mean)
    while left >= chance > 0.0:
        left -= chance
        count += 1
        chance *= mean / count
    return count


@lru_cache(maxsize=64)
def _shares(median: float, sigma: float, tolerance: float, floor: float) -> tuple[tuple[int, float], ...]:
    """Bucket -> share of the answers that are booked to it, less what is tolerated."""

    def below(edge: float) -> float:
        most = max(edge * (1 + tolerance), edge + floor)
        return (1 + erf(log(most / median) / (sigma * sqrt(2)))) / 2

    edges = [below(LEAST * RATIO**place) for place in range(BUCKETS - 1)]
    shares = [high - low for low, high in zip([0.0, *edges], [*edges, 1.0], strict=True)]
    return tuple((place, share) for place, share in enumerate(shares) if share > 0.0)


def second(
    draw: Draw,
    traffic: Traffic,
    regression: Regression,
    *,
    at: int,
    weight: float,
    seconds: float = 1.0,
    tolerance: tuple[float, float] | None = None,
    slow: float | None = None,
) -> Second:
    """What is recorded of ``seconds`` of it, as one. ``tolerance`` (part, seconds) is that of times; None: no times.

    Answers that take longer than ``slow`` seconds are counted as such.
    """
    requests = traffic.rps * seconds
    candidate = requests * weight, regression.errors(traffic.errors), traffic.latency * regression.slower
    stable = requests * (1 - weight), traffic.errors, traffic.latency
    ours = _arm(draw, *candidate, traffic.sigma, tolerance)
    theirs = _arm(draw, *stable, traffic.sigma, None if tolerance is None else (0.0, 0.0))
    cells = (Cell(weight, theirs, ours),) if ours.requests or theirs.requests else ()
    of_stable, of_candidate = (
        Totals(arm.requests, arm.errors, 0 if slow is None else _slow(draw, arm, slow, median, traffic.sigma))
        for arm, median in ((theirs, stable[2]), (ours, candidate[2]))
    )
    return Second(at, cells, of_stable, of_candidate)


def _slow(draw: Draw, arm: Arm, slow: float, median: float, sigma: float) -> int:
    """How many of the answers that did not fail took longer."""
    answered = arm.requests - arm.errors
    part = (1 - erf(log(slow / median) / (sigma * sqrt(2)))) / 2
    return min(answered, poisson(draw, answered * part))


def _arm(
    draw: Draw, requests: float, errors: float, median: float, sigma: float, tolerance: tuple[float, float] | None
) -> Arm:
    failed = poisson(draw, requests * errors)
    fine = requests * (1 - errors)
    if tolerance is None:
        answered = failed + poisson(draw, fine)
        return Arm(answered, failed, answered, failed)
    times = {SLOWEST: failed} if failed else {}
    for place, share in _shares(median, sigma, *tolerance):
        # Poisson numbers of independent parts add up to one of the whole.
        many = poisson(draw, fine * share) if fine * share > _RARE else 0
        if many:
            times[place] = times.get(place, 0) + many
    answered = sum(times.values())
    return Arm(answered, failed, answered, failed, times)
