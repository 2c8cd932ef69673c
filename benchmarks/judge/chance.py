"""Random numbers that are quick enough for millions of seconds of traffic, and the same on every machine."""

from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate
from math import exp, lgamma, log, sqrt
from random import Random
from statistics import NormalDist
from typing import Final

ATOMS: Final = 4096
"""A lognormal time takes one of so many values, each as likely: for both versions the same ones."""


@lru_cache(maxsize=4096)
def _poisson_table(mean: float) -> list[float]:
    most = int(mean + 12 * sqrt(mean) + 12)
    return list(accumulate(exp(each * log(mean) - mean - lgamma(each + 1)) for each in range(most)))


def poisson(random: Random, mean: float) -> int:
    return bisect_left(_poisson_table(mean), random.random()) if mean > 0 else 0


@lru_cache(maxsize=64)
def lognormal(median: float, sigma: float, tail: float = 1.0) -> tuple[float, ...]:
    """The values, growing, in seconds; the slowest 3 % are ``tail`` times as long."""
    normal = NormalDist()
    values = [median * exp(sigma * normal.inv_cdf((place + 0.5) / ATOMS)) for place in range(ATOMS)]
    slow = int(0.97 * ATOMS)
    return (*values[:slow], *(each * tail for each in values[slow:]))


@lru_cache(maxsize=64)
def gamma_levels(shape: float, levels: int = 32) -> tuple[float, ...]:
    """Equally likely values of a gamma distribution of mean 1 (means of its slices, by sampling; always the same)."""
    random = Random(shape)
    slices = 500
    values = sorted(random.gammavariate(shape, 1 / shape) for _ in range(levels * slices))
    means = [sum(values[place * slices : (place + 1) * slices]) / slices for place in range(levels)]
    return tuple(each * levels / sum(means) for each in means)
