"""Two tests on the errors of the whole release so far, looked at again and again: what a fixed-sample test makes of
that, and a sequential one that takes each version's errors for one unchanging rate.

- *z-peek*: a one-sided z-test of two proportions at 1 %, after 30 requests of the candidate and five errors.
- *mSPRT* (Johari, Koomen, Pekelis and Walsh 2022): the mixture sequential probability ratio test of their difference,
  with a normal mixture of standard deviation .01, at 1 %, one-sided, after 30 requests of the candidate.

They look in every second that brings an error of the candidate: in others the odds hardly rise.
"""

from dataclasses import dataclass
from math import exp, sqrt
from typing import Final, Protocol

LEAST: Final = 30
Z: Final = 2.326348
"""One-sided, 1 %."""
TAU: Final = 0.01
BAR: Final = 100.0


@dataclass(slots=True)
class Counts:
    """Of the release so far."""

    stable: int = 0
    candidate: int = 0
    stable_errors: int = 0
    candidate_errors: int = 0

    @property
    def difference(self) -> float:
        return self.candidate_errors / self.candidate - self.stable_errors / self.stable

    @property
    def pooled(self) -> float:
        """The variance of the difference, if both have the same rate: that of all together."""
        rate = (self.stable_errors + self.candidate_errors) / (self.stable + self.candidate)
        return rate * (1 - rate) * (1 / self.stable + 1 / self.candidate)

    @property
    def variance(self) -> float:
        """The same with a rate for each."""
        ours, theirs = self.candidate_errors / self.candidate, self.stable_errors / self.stable
        return ours * (1 - ours) / self.candidate + theirs * (1 - theirs) / self.stable


class Peek(Protocol):
    def __call__(self, counts: Counts) -> bool:
        """Whether to roll back now."""
        ...


def z_peek(counts: Counts) -> bool:
    if counts.candidate < LEAST or not counts.stable or counts.stable_errors + counts.candidate_errors < 5:
        return False
    return counts.difference > Z * sqrt(counts.pooled)


def msprt(counts: Counts) -> bool:
    if counts.candidate < LEAST or not counts.stable or counts.difference <= 0:
        return False
    variance, spread = counts.variance, TAU * TAU
    if not variance:
        return True  # all of the candidate's requests failed, and none of stable's
    exponent = spread * counts.difference**2 / (2 * variance * (variance + spread))
    return sqrt(variance / (variance + spread)) * exp(min(exponent, 700.0)) >= BAR


PEEKS: Final[dict[str, Peek]] = {"z-peek": z_peek, "mSPRT": msprt}
