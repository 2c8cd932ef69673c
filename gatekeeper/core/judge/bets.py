"""Wealth that bets on labels: the tests of ``core.judge``, each a short list of floats.

All of them see the same: of ``n`` requests of the candidate ``k`` were events, of stable's ``b`` were, while the
candidate's probability was ``weight``. Wealth is kept as its logarithm, so that neither 10**7 events nor a total outage
overflows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import exp, log, log1p
from typing import Final

RATIOS: Final = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0)
"""How many times as often the candidate may fail: from just beyond a tolerance to a total outage."""
CASH: Final = 0.25
"""The part of the wealth that never bets: however long the good time was, it bounds what has to be won back."""
SHARE_TICKS: Final = 60
"""The first minute shares most: a regression is likeliest just after the start."""
LEAST: Final = 1e-300
"""What is left of a part that underflows, so that none is lost for good. Less than a rounding error of the whole."""
PASS_BETS: Final = (0.05, 0.15, 0.4, 0.7, 0.95)
WRONG_SHARES: Final = (0.5, 0.8, 0.9, 1.1, 1.25, 2.0)
"""What the candidate may get of the requests, as a multiple of what was drawn."""


def log_sum(logs: Sequence[float]) -> float:
    """log(sum(exp(x))) without overflow."""
    top = max(logs)
    return top + log(sum([exp(each - top) for each in logs]))


def log_mean(logs: Sequence[float]) -> float:
    return log_sum(logs) - log(len(logs))


@lru_cache(maxsize=64)
def _start(strategies: int) -> tuple[float, ...]:
    """What each part begins with; cash is the first."""
    return (CASH, *([(1 - CASH) / strategies] * strategies))


@dataclass(slots=True)
class Mixture:
    """A wealth of 1 dealt out to strategies. ``parts`` are their shares of what it is now, cash first; their sum is 1.

    Where it is ``shared``, a small part of the whole is dealt out anew after each tick (fixed share, Herbster &
    Warmuth 1998), so that a regression that begins late need not first win back what its strategy lost until then. The
    whole stays the same.
    """

    parts: tuple[float, ...]
    shared: bool = True
    ticks: int = 0
    log_wealth: float = 0.0

    @classmethod
    def begin(cls, strategies: int, *, shared: bool = True) -> "Mixture":
        return cls(_start(strategies), shared)

    def multiply(self, growths: Iterable[float]) -> None:
        """``growths`` are the logarithms by which the strategies after cash grew."""
        logs = (0.0, *growths)
        top = max(logs)
        parts = [part * exp(each - top) for part, each in zip(self.parts, logs, strict=True)]
        whole = sum(parts)
        self.log_wealth += top + log(whole)
        self.parts = tuple([part / whole or LEAST for part in parts])

    def end_tick(self) -> None:
        if self.shared:
            dealt = 1.0 / (self.ticks + SHARE_TICKS)
            keep = 1.0 - dealt
            start = _start(len(self.parts) - 1)
            self.parts = tuple([keep * part + dealt * fresh for part, fresh in zip(self.parts, start, strict=True)])
        self.ticks += 1

    def cap(self, log_most: float) -> None:
        """Give away what exceeds ``log_most``. Less wealth is never unfair."""
        self.log_wealth = min(self.log_wealth, log_most)


def stakes(ratio: float, weight: float, rho: float = 1.0) -> tuple[float, float]:
    """(a, c): what is bet on an event of the candidate, and against one of stable; 0 <= c < 1."""
    a = (ratio - 1) * (1 - weight) / (ratio * rho * weight + 1 - weight)
    return a, a * rho * weight / (1 - weight)


# A release has few weights; logarithms of all stakes at each of them cost more than the rest of a tick.
@lru_cache(maxsize=256)
def _worse_terms(weight: float, rho: float, delta: float) -> tuple[tuple[float, float, float], ...]:
    pairs = [stakes(ratio, weight, rho) for ratio in RATIOS]
    return tuple((log1p(a), log1p(-c), a * delta) for a, c in pairs)


@lru_cache(maxsize=256)
def _pass_terms(weight: float, rho: float, delta: float) -> tuple[tuple[float, float, float], ...]:
    odds = rho * weight / (1 - weight)
    return tuple((log1p(-bet), log1p(bet * odds), log1p(-bet * delta)) for bet in PASS_BETS)


@lru_cache(maxsize=256)
def _share_terms(weight: float) -> tuple[tuple[float, float], ...]:
    # Near weight 1 more than there is cannot be bet on; half of what is left can.
    wrong = [min(ratio * weight, (1 + weight) / 2) for ratio in WRONG_SHARES]
    return tuple((log(each / weight), log((1 - each) / (1 - weight))) for each in wrong)


@dataclass(slots=True)
class WorseTest:
    """Is the candidate worse than ``rho * p + delta``? Wealth 1/alpha happens to a good one with chance alpha."""

    rho: float = 1.0
    delta: float = 0.0
    mixture: Mixture = field(default_factory=lambda: Mixture.begin(len(RATIOS)))

    def bet(self, weight: float, n: int, k: int, b: int) -> None:
        """One weight of one tick. Without a concurrent comparison (weight 0 or 1) there is nothing to bet on."""
        if 0.0 < weight < 1.0 and (n or k or b):
            terms = _worse_terms(weight, self.rho, self.delta)
            self.mixture.multiply([k * won + b * lost - n * rent for won, lost, rent in terms])


@dataclass(slots=True)
class PassTest:
    """Is the candidate proven to be better than ``rho * p + delta``? Passing a worse one has chance beta.

    No sharing here: what is to be proven is one statement about the whole time.
    """

    rho: float
    delta: float
    logs: tuple[float, ...] = (0.0,) * len(PASS_BETS)

    def bet(self, weight: float, n: int, k: int, b: int) -> None:
        if 0.0 < weight < 1.0 and (n or k or b):
            terms = _pass_terms(weight, self.rho, self.delta)
            self.logs = tuple(
                [each + k * lost + b * won - n * rent for each, (lost, won, rent) in zip(self.logs, terms, strict=True)]
            )

    @property
    def log_evidence(self) -> float:
        return log_mean(self.logs)


@dataclass(slots=True)
class ShareTest:
    """Does the candidate get the share that was drawn? If not, no comparison means anything (sample ratio mismatch)."""

    mixture: Mixture = field(default_factory=lambda: Mixture.begin(len(WRONG_SHARES)))

    def bet(self, weight: float, stable: int, candidate: int) -> None:
        """One weight of one tick: how many labels were drawn."""
        if 0.0 < weight < 1.0 and (stable or candidate):
            terms = _share_terms(weight)
            self.mixture.multiply([candidate * ours + stable * theirs for ours, theirs in terms])
