"""The mean wealth over many random releases of a candidate that is no worse: at most 1, or the game is not fair."""

from dataclasses import dataclass
from math import exp, log, sqrt
from random import Random
from typing import Final

from gatekeeper.core.judge.bets import WorseTest

PATHS: Final = 100_000
MOST: Final = 20.0
"""Wealth counts as this at most: of a bounded number a mean says something. Less is never unfair."""
UNLIKELY: Final = 1e-6
TICKS: Final = ((0.02, 0.05), (0.1, 0.6), (0.3, 0.02), (0.5, 0.3))
"""Weight, and the probability that a request fails on either version: ramp and weather."""
REQUESTS: Final = 6
"""In each tick."""


@dataclass(frozen=True, slots=True)
class Fairness:
    """``mean`` of min(wealth, MOST), and the ``bound`` it exceeds with a chance of UNLIKELY if its expectation is 1;
    ``ever`` is the part of the paths on which the wealth ever reached MOST, which Ville bounds by 1/MOST.
    """

    paths: int
    mean: float
    bound: float
    ever: float
    ever_bound: float


def measure(paths: int = PATHS) -> Fairness:
    random, total, ever = Random(7), 0.0, 0
    for _ in range(paths):
        test, highest = WorseTest(), 0.0
        for weight, base in TICKS:
            n = sum(random.random() < weight for _ in range(REQUESTS))
            k = sum(random.random() < base for _ in range(n))
            b = sum(random.random() < base for _ in range(REQUESTS - n))
            test.bet(weight, n, k, b)
            test.mixture.end_tick()
            highest = max(highest, test.mixture.log_wealth)
        total += min(MOST, exp(test.mixture.log_wealth))
        ever += highest >= log(MOST)
    # Bernstein's inequality: a number in [0, MOST] of mean 1 has a variance of at most MOST. Hoeffding's for the part.
    likely = -log(UNLIKELY)
    bound = 1 + sqrt(2 * MOST * likely / paths) + MOST * likely / (3 * paths)
    return Fairness(paths, total / paths, bound, ever / paths, 1 / MOST + sqrt(likely / (2 * paths)))
